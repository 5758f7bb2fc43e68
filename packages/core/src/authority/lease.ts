/**
 * The holder's side of a lease (docs/design.md, section 6). It is for liveness: that nobody else goes on
 * is the witness's compare-and-swap. Pure: readings come from whoever holds the clock.
 *
 * @module
 */

/** Default length of a lease. */
export const LEASE_MS = 15_000
/** The shortest and the longest that a witness may grant. */
export const MIN_LEASE_MS = 1000
export const MAX_LEASE_MS = 60_000
/** A holder's two clocks may differ by so much; more, and one of them cannot be believed. */
export const MAX_DIFFERENCE_MS = 2000
/** Ticks and effects end so long before the lease does: what they led to has to be looked at within it. */
export const MARGIN_MS = 500

/** Both clocks at one moment, in milliseconds. */
export interface Reading {
  /** Monotonic; may stand still while the machine sleeps. */
  readonly elapsed: number
  /** Unix time; may jump. */
  readonly wall: number
}

export interface Lease {
  /** As the witness named it. */
  readonly id: Uint8Array
  readonly ms: number
  /** When it was asked for: the witness counts from later. */
  readonly asked: Reading
}

export interface Leasing {
  readonly lease: Lease | undefined
  /** The last look at the clocks. */
  readonly last: Reading
  /** Answers to what was asked before this moment (`elapsed`) count no more. */
  readonly since: number
}

export const noLease = (now: Reading): Leasing => ({ lease: undefined, last: now, since: now.elapsed })

/** What has passed, by the clock that says more; infinite when the clocks cannot be believed. */
export const passed = (since: Reading, now: Reading): number => {
  const elapsed = now.elapsed - since.elapsed
  const wall = now.wall - since.wall
  if (wall < 0 || Math.abs(wall - elapsed) > MAX_DIFFERENCE_MS) return Number.POSITIVE_INFINITY
  return Math.max(elapsed, wall)
}

/** Looks at the clocks: when they cannot be believed since the last look, the lease has ended until it is renewed. */
export const look = (state: Leasing, now: Reading): Leasing => {
  const broken = passed(state.last, now) === Number.POSITIVE_INFINITY
  if (broken) return noLease(now)
  const { lease } = state
  const over = lease !== undefined && passed(lease.asked, now) >= lease.ms
  return { ...state, last: now, lease: over ? undefined : lease }
}

/** The witness granted what was asked for at `lease.asked`. */
export const granted = (state: Leasing, lease: Lease, now: Reading): Leasing => {
  const seen = look(state, now)
  // What was asked before the clocks broke, or before the lease was ended, says nothing of now.
  if (lease.asked.elapsed < seen.since) return seen
  const { lease: before } = seen
  const newer = before === undefined || lease.asked.elapsed >= before.asked.elapsed
  return look({ ...seen, lease: newer ? lease : before }, now)
}

/** A record was refused for good, or the agent is given up. */
export const endLease = (state: Leasing, now: Reading): Leasing => ({ ...noLease(now), last: state.last })

/** Milliseconds that it still runs; 0: it has ended. */
export const leftOf = (state: Leasing, now: Reading): number => {
  const { lease } = look(state, now)
  return lease === undefined ? 0 : lease.ms - passed(lease.asked, now)
}

/** Milliseconds until it should be renewed: a third of it has passed, or there is none. */
export const renewalIn = (state: Leasing, now: Reading): number => {
  const { lease } = look(state, now)
  return lease === undefined ? 0 : Math.max(0, lease.ms / 3 - passed(lease.asked, now))
}
