/**
 * When an agent's next tick is due. Pure.
 *
 * @module
 */

/** Longest wait between attempts after failures. */
export const MAX_BACKOFF_MS = 60_000
/** The same when it was this node that failed, as a full disk does: the agent goes on as soon as it can. */
const MAX_FAULT_WAIT_MS = 5000
/**
 * Agents that tick rarely do so at the same moments, a fiftieth of their interval apart: what is due together goes to a
 * worker in one message, and to the disk in one write.
 */
const GRAINS = 50
const MAX_GRAIN_MS = 20

export interface Attempted {
  /** When this attempt was due, and when it began, by the clock's `elapsed`. */
  readonly due: number
  readonly started: number
  /** Of the manifest, ms. */
  readonly interval: number
  /** Attempts in a row that failed by the agent's own doing, and by this node's. */
  readonly failed: number
  readonly faults: number
  /** It asked to tick again at once. */
  readonly more: boolean
}

/** By the clock's `elapsed`. */
export const nextDue = ({ due, started, interval, failed, faults, more }: Attempted): number => {
  if (more && failed + faults === 0) return started
  const own = faults === 0 ? 0 : Math.min(MAX_FAULT_WAIT_MS, interval * 2 ** faults)
  const wait = Math.max(own, failed === 0 ? interval : Math.min(MAX_BACKOFF_MS, interval * 2 ** failed))
  // Late by less than an interval it catches up: an agent of 1 Hz ticks once a second.
  const from = started >= due && started - due < wait ? due : started
  const grain = Math.min(MAX_GRAIN_MS, Math.floor(wait / GRAINS))
  return grain > 0 ? Math.round((from + wait) / grain) * grain : from + wait
}
