/**
 * Sending agents home: when nobody sees this page any more, they go to the server that it came from. Phones put
 * hidden pages to sleep; a server does not sleep.
 *
 * @module
 */
import { nameOfPeer } from './names.ts'
import type { App } from './state.ts'
import { plural } from './words.ts'

const KEY = 'igor.home-when-hidden'
/** A page that is about to sleep has not much longer. */
const TIME_MS = 5000

/** Where fingers point, pages sleep. */
const isTouch = (): boolean => matchMedia('(pointer: coarse)').matches

/** Whether agents leave this tab when it is hidden; on by default on touch devices. */
export const sendsHome = (): boolean => {
  const chosen = localStorage.getItem(KEY)
  return chosen === null ? isTouch() : chosen === 'yes'
}

export const setSendsHome = (yes: boolean): void => localStorage.setItem(KEY, yes ? 'yes' : 'no')

/** @returns what ends it */
export const watchForHiding = (app: App): (() => void) => {
  const { node, state } = app
  const onVisibility = async (): Promise<void> => {
    const { site } = state
    if (!document.hidden || !sendsHome() || site === undefined || state.serverLost !== undefined) return
    if (!state.agents.some((agent) => agent.here && agent.state !== 'retired')) return
    const home = nameOfPeer(node, site.peerId)
    try {
      const { moves, stayed } = await node.handOver(site.peerId, { signal: AbortSignal.timeout(TIME_MS) })
      if (moves.length > 0) app.note('info', `This page was hidden: ${plural(moves.length, 'agent')} went home to ${home}`)
      for (const { agent, why } of stayed) app.note('warn', `Not sent home: ${why}`, agent)
    } catch (error) {
      app.note('warn', `This page was hidden, but ${home} took nobody: ${error instanceof Error ? error.message : error}`)
    }
  }
  const listener = (): void => void onVisibility()
  document.addEventListener('visibilitychange', listener)
  return () => document.removeEventListener('visibilitychange', listener)
}
