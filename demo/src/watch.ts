/**
 * Watches the agents that a person can see at the moment, and no others: each costs a stream.
 *
 * @module
 */
import { learnMove, tellMove } from './actions.ts'
import type { AgentEvent, AgentStatus } from './api.ts'
import { type App, agentOf, type Live, liveOf, MAX_LOG_LINES } from './state.ts'
import { codeOf, said } from './words.ts'

/** More would cost the node more than they tell a person. */
const MAX_WATCHED = 24
/** An agent that scrolls by need not be dropped and taken again. */
const LINGER_MS = 5000
const RETRY_MS = 2000
/** Who was told that it may not, asks rarely. */
const DENIED_MS = 20_000
const MAX_LINE_CHARS = 4096

export interface Watchers {
  /** The agents to watch from now on, the most important first. */
  want(ids: readonly string[]): void
  stop(): void
}

/**
 * The better of what the node knows of an agent and what watching it told last: presence knows who hosts it and little
 * else, its host knows it all, and either may be behind.
 */
export const fuller = (known: AgentStatus, watched: AgentStatus | undefined): AgentStatus => {
  if (!watched) return known
  const newer =
    watched.epoch > known.epoch || (watched.epoch === known.epoch && watched.seq >= known.seq && watched.tick >= known.tick)
  const { owned, resided } = known
  if (newer) return { ...watched, owned, resided, ...(known.lastMove ? { lastMove: known.lastMove } : {}) }
  return {
    ...known,
    capabilities: known.capabilities.length > 0 ? known.capabilities : watched.capabilities,
    memory: known.memory || watched.memory,
    ...(known.born === undefined && watched.born !== undefined ? { born: watched.born } : {}),
  }
}

type IsNew = ReturnType<Live['order']['attach']>

const take = (app: App, id: string, event: AgentEvent, isNew: IsNew): void => {
  const live = liveOf(app.state, id)
  switch (event.type) {
    case 'log':
      if (!isNew(event)) return
      live.log.push({ tick: event.tick, time: event.time, text: event.text.slice(0, MAX_LINE_CHARS) })
      live.logged++
      if (live.log.length > MAX_LOG_LINES) live.log.splice(0, live.log.length - MAX_LOG_LINES)
      break
    case 'view':
      live.view = { tick: event.tick, view: event.view }
      break
    case 'progress':
      live.progress = event
      break
    case 'moved':
      delete live.progress
      if (learnMove(app, event.move)) tellMove(app, agentOf(app.state, id), event.move)
      break
    case 'status':
      if (event.status.state !== 'moving') delete live.progress
      live.status = event.status
      app.state.agents = app.state.agents.map((known) => (known.agent === id ? fuller(known, event.status) : known))
      break
  }
  app.changed()
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  })

const follow = async (app: App, id: string, signal: AbortSignal): Promise<void> => {
  while (!signal.aborted) {
    const live = liveOf(app.state, id)
    let rest = RETRY_MS
    const isNew = live.order.attach()
    try {
      for await (const event of app.node.agent(id).watch(signal)) {
        delete live.lost
        take(app, id, event, isNew)
      }
    } catch (error) {
      if (signal.aborted) return
      live.lost = said(error)
      if (codeOf(error) === 'NOT_OWNER') rest = DENIED_MS
      app.changed()
    }
    await pause(rest, signal)
  }
}

export const startWatchers = (app: App): Watchers => {
  const running = new Map<string, { readonly stop: AbortController; readonly host: string; unwanted: number | undefined }>()
  return {
    want(ids) {
      const wanted = new Set(ids.slice(0, MAX_WATCHED))
      const now = performance.now()
      const reached = new Set(app.state.peers.filter((peer) => peer.link !== 'none').map((peer) => peer.id))
      const hosts = new Map(app.state.agents.map(({ agent, host }) => [agent, `${host} ${reached.has(host)}`]))
      for (const [id, watcher] of running) {
        // Whoever moved is watched at its new host at once, not when the old one notices; so is one whose host came back.
        if (hosts.get(id) !== watcher.host) {
          watcher.stop.abort()
          running.delete(id)
          continue
        }
        if (wanted.has(id)) {
          watcher.unwanted = undefined
          continue
        }
        watcher.unwanted ??= now
        if (now - watcher.unwanted > LINGER_MS || running.size > MAX_WATCHED) {
          watcher.stop.abort()
          running.delete(id)
        }
      }
      for (const id of wanted) {
        const host = hosts.get(id)
        if (host === undefined || running.has(id) || running.size >= MAX_WATCHED) continue
        const stop = new AbortController()
        running.set(id, { stop, host, unwanted: undefined })
        void follow(app, id, stop.signal)
      }
    },
    stop() {
      for (const { stop } of running.values()) stop.abort()
      running.clear()
    },
  }
}
