/**
 * Joins the node to the page: what the node says becomes state, and state is rendered once a frame.
 *
 * @module
 */
import { learnMove, tellMove } from './actions.ts'
import type { IgorNode, Peer } from './api.ts'
import { isPutRight, silenceOf } from './archipelago.ts'
import { watchForHiding } from './home.ts'
import { learnNames, withNames } from './names.ts'
import type { Site } from './site.ts'
import { type App, MAX_ACTIVITY, newState } from './state.ts'
import { fuller } from './watch.ts'

/** Time to connect before the page says that the server does not answer. */
const SERVER_GRACE_MS = 4000
/** Ages are shown in seconds. */
const CLOCK_MS = 1000
const USAGE_EVERY_MS = 15_000
/** What ends a press. */
const RELEASES = ['pointerup', 'pointercancel', 'blur'] as const

const liveRegion = (urgent: boolean): ((text: string) => void) => {
  const el = document.createElement('div')
  el.className = 'for-ears'
  el.setAttribute('role', urgent ? 'alert' : 'status')
  el.setAttribute('data-testid', urgent ? 'live-urgent' : 'live')
  document.body.append(el)
  return (text) => {
    el.textContent = text
  }
}

export interface RunningApp {
  readonly app: App
  stop(): void
}

export const startApp = (node: IgorNode, site: Site | undefined): RunningApp => {
  const state = newState()
  state.site = site
  state.online = navigator.onLine
  const renders: (() => void)[] = []
  const polite = liveRegion(false)
  const urgent = liveRegion(true)
  const began = performance.now()
  let frame = 0
  let pressed = false
  let serial = 0
  let reached = false
  const seen = new Set<string>()

  const app: App = {
    node,
    state,
    changed() {
      frame ||= requestAnimationFrame(() => {
        frame = 0
        // Between press and release nothing moves away: the click would be lost, or be another one.
        if (pressed && document.body.dataset.dragging === undefined) return
        for (const render of renders) {
          try {
            render()
          } catch (error) {
            // One part that fails must not take the page along.
            reportError(error)
          }
        }
      })
    },
    onrender(render) {
      renders.push(render)
    },
    announce(text, isUrgent = false) {
      ;(isUrgent ? urgent : polite)(text)
    },
    note(level, text, agent) {
      const last = state.activity.at(-1)
      if (last?.text === text && Date.now() - last.time < 2000) return
      state.activity = [
        ...state.activity.slice(1 - MAX_ACTIVITY),
        { id: serial++, time: Date.now(), level, text, ...(agent === undefined ? {} : { agent }) },
      ]
      app.changed()
    },
  }

  let links = new Map<string, Peer['link']>()
  const tellPeers = (): void => {
    const now = new Map(state.peers.map((peer) => [peer.id, peer.link]))
    const settled = performance.now() - began > SERVER_GRACE_MS
    for (const peer of state.peers) {
      const before = links.get(peer.id) ?? 'none'
      if (before === peer.link || peer.id === node.id) continue
      if (before === 'none') app.note('info', `${peer.name} is in sight`)
      else if (peer.link === 'none') app.note('info', `${peer.name} is out of reach`)
      else if (before === 'relayed') app.note('info', `${peer.name} is connected directly now`)
    }
    for (const [id, link] of links) if (settled && link !== 'none' && !now.has(id)) app.note('info', 'A node left')
    links = now
  }

  const checkServer = (): void => {
    if (!state.site) return
    const server = state.peers.find((peer) => peer.id === state.site?.peerId)
    if (server && server.link !== 'none' && silenceOf(server, Date.now()) === undefined) {
      if (state.serverLost !== undefined) {
        app.note('info', `${state.site.name} answers again`)
        app.announce(`The server ${state.site.name} answers again.`)
      }
      reached = true
      state.serverLost = undefined
    } else if (state.serverLost === undefined && (reached || performance.now() - began > SERVER_GRACE_MS)) {
      state.serverLost = Date.now()
      app.note('warn', `${state.site.name} does not answer`)
      app.announce(`The server ${state.site.name} does not answer. Agents in this tab go on.`)
    }
  }

  const refresh = (): void => {
    const before = new Map(state.agents.map((status) => [status.agent, status]))
    state.agents = node.agents().map((known) => fuller(known, state.live.get(known.agent)?.status))
    for (const status of state.agents) if (isPutRight(before.get(status.agent), status)) state.problems.delete(status.agent)
    state.peers = node.peers()
    learnNames(node, state.peers, state.site)
    for (const status of state.agents) {
      const seenBefore = seen.has(status.agent)
      seen.add(status.agent)
      if (!status.lastMove || !learnMove(app, status.lastMove)) continue
      if (seenBefore) tellMove(app, status, status.lastMove)
      // What it did before this page looked is no news.
      else state.moves.set(status.agent, { move: status.lastMove, seen: Number.NEGATIVE_INFINITY })
    }
    tellPeers()
    checkServer()
    app.changed()
  }

  const offHiding = watchForHiding(app)
  const offChange = node.onchange(refresh)
  const offEvent = node.onevent((event) => {
    const message = withNames(node, event.message)
    app.note(event.level, message, event.agent)
    if (event.level === 'error') app.announce(message, true)
  })
  const onNetwork = (): void => {
    state.online = navigator.onLine
    app.changed()
  }
  const onPress = ({ target }: PointerEvent): void => {
    pressed = target instanceof Element && target.closest('button, label, a, summary') !== null
  }
  const onRelease = (): void => {
    if (!pressed) return
    pressed = false
    // The frame comes after the click that the release makes.
    app.changed()
  }
  const onVisible = (): void => {
    if (!document.hidden) refresh()
  }
  addEventListener('online', onNetwork)
  addEventListener('offline', onNetwork)
  document.addEventListener('visibilitychange', onVisible)
  addEventListener('pointerdown', onPress, true)
  for (const type of RELEASES) addEventListener(type, onRelease)
  const timer = setInterval(() => {
    checkServer()
    if (!document.hidden) app.changed()
  }, CLOCK_MS)
  const weigh = (): void => {
    node.usage().then(
      (usage) => {
        state.usage = usage
        app.changed()
      },
      () => {},
    )
  }
  weigh()
  const usageTimer = setInterval(weigh, USAGE_EVERY_MS)
  refresh()

  return {
    app,
    stop() {
      offHiding()
      offChange()
      offEvent()
      clearInterval(timer)
      clearInterval(usageTimer)
      removeEventListener('online', onNetwork)
      removeEventListener('offline', onNetwork)
      document.removeEventListener('visibilitychange', onVisible)
      removeEventListener('pointerdown', onPress, true)
      for (const type of RELEASES) removeEventListener(type, onRelease)
      if (frame) cancelAnimationFrame(frame)
    },
  }
}
