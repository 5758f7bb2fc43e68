/**
 * What a person can do to an agent. Each says what it is doing, and where it went wrong.
 *
 * @module
 */
import type { Agent, AgentStatus, Move } from './api.ts'
import { readBytes } from './files.ts'
import { nameOfPeer, placeOf, withNames } from './names.ts'
import { type App, agentOf } from './state.ts'
import { codeOf, count, millis, said } from './words.ts'

/** `this tab → brave-owl · tick 42 → 43 · 12 ms` */
export const moveWords = (app: App, move: Move): string =>
  `${nameOfPeer(app.node, move.from)} → ${nameOfPeer(app.node, move.to)} · tick ${count(move.tick)} → ${count(move.tick + 1)} · ${millis(move.downtimeMs)}`

/** True if `move` came after `known`: a node goes on naming the last move that it took part in itself. */
export const isLater = (move: Move, known: Move | undefined): boolean =>
  !known || move.tick > known.tick || (move.tick === known.tick && move.from === known.to && move.to !== known.to)

/** Keeps the latest move of an agent; true if it is news. */
export const learnMove = (app: App, move: Move): boolean => {
  const known = app.state.moves.get(move.agent)?.move
  if (!isLater(move, known)) return false
  app.state.moves.set(move.agent, { move, seen: performance.now() })
  return true
}

export const tellMove = (app: App, status: AgentStatus | undefined, move: Move): void => {
  const text = `${status?.name ?? 'An agent'} moved: ${moveWords(app, move)}`
  app.note('info', text, move.agent)
  app.announce(text.replaceAll('→', 'to'))
}

/** Orders a move; where it fails, the agent is where it was, and the reason is shown on it. */
export const moveAgent = async (app: App, id: string, to: string): Promise<void> => {
  const { state, node } = app
  const status = agentOf(state, id)
  if (!status || state.runs.has(id)) return
  const stop = new AbortController()
  state.problems.delete(id)
  state.runs.set(id, { agent: id, from: status.host, to, began: performance.now(), stop })
  app.announce(`${status.name} is moving to ${nameOfPeer(node, to)}.`)
  app.changed()
  try {
    const move = await node.agent(id).moveTo(to, { signal: stop.signal })
    if (learnMove(app, move)) tellMove(app, status, move)
  } catch (error) {
    if (stop.signal.aborted) {
      app.note('info', `Stopped waiting for ${status.name} to move.`, id)
    } else {
      const after = agentOf(state, id)
      const where = placeOf(node, after?.host ?? status.host)
      fail(app, id, `${status.name} did not move${after?.state === 'moving' ? '' : `. It is still ${where}`}`, error, () => {
        void moveAgent(app, id, to)
      })
    }
  } finally {
    state.runs.delete(id)
    const live = state.live.get(id)
    if (live) delete live.progress
    app.changed()
  }
}

/** Shows an error where it happened, and says it. */
export const fail = (app: App, place: string, title: string, error: unknown, again?: () => void): void => {
  const code = codeOf(error)
  const text = withNames(app.node, said(error))
  app.state.problems.set(place, { title, text, ...(code === undefined ? {} : { code }), ...(again ? { again } : {}) })
  app.note('error', `${title}: ${text}`, place.startsWith('did:') ? place : undefined)
  app.announce(`${title}. ${text}`, true)
  app.changed()
}

/** Runs one thing at a time for an agent, with a word for what it does. */
export const act = async (
  app: App,
  id: string,
  doing: string,
  title: string,
  run: (agent: Agent) => Promise<void>,
): Promise<boolean> => {
  const { state } = app
  if (state.busy.has(id)) return false
  state.problems.delete(id)
  state.busy.set(id, doing)
  app.changed()
  try {
    await run(app.node.agent(id))
    return true
  } catch (error) {
    fail(app, id, title, error)
    return false
  } finally {
    state.busy.delete(id)
    app.changed()
  }
}

export const pauseAgent = (app: App, status: AgentStatus): Promise<boolean> =>
  act(app, status.agent, 'pausing', `${status.name} was not paused`, async (agent) => {
    await agent.pause()
    app.announce(`${status.name} is paused.`)
    app.note('info', `${status.name} is paused`, status.agent)
  })

export const resumeAgent = (app: App, status: AgentStatus): Promise<boolean> =>
  act(app, status.agent, 'resuming', `${status.name} was not resumed`, async (agent) => {
    await agent.resume()
    app.announce(`${status.name} goes on.`)
    app.note('info', `${status.name} goes on`, status.agent)
  })

export const recoverAgent = (app: App, status: AgentStatus, force: boolean): Promise<boolean> =>
  act(app, status.agent, 'recovering', `${status.name} was not recovered`, async () => {
    await app.node.recover(status.agent, { force })
    app.announce(`${status.name} goes on here.`)
    app.note('info', `${status.name} was recovered by its owner, and goes on here`, status.agent)
  })

export const retireAgent = (app: App, status: AgentStatus): Promise<boolean> =>
  act(app, status.agent, 'retiring', `${status.name} was not retired`, async (agent) => {
    await agent.retire()
    app.announce(`${status.name} is retired.`)
    app.note('info', `${status.name} is retired`, status.agent)
  })

/** Goes on with other code; where that fails the old code goes on. */
export const upgradeAgent = (app: App, status: AgentStatus, module: File): Promise<boolean> =>
  act(app, status.agent, 'upgrading', `${status.name} keeps its code`, async (agent) => {
    await agent.upgrade(await readBytes(module))
    app.announce(`${status.name} goes on with new code.`)
    app.note('info', `${status.name} goes on with the code of ${module.name}`, status.agent)
  })

/** Opens the detail of an agent, or of this node, or closes what is open. */
export const open = (app: App, what: App['state']['open']): void => {
  app.state.open = what
  app.changed()
}
