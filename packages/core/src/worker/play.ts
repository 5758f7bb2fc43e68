/**
 * Ticks, one after the other in one live instance, as far as a job goes.
 *
 * @module
 */
import { Trap } from '@igor/sandbox'
import type { Live } from './live.ts'
import type { Attempt } from './protocol.ts'
import { MAX_JOB_LOG, type Session } from './session.ts'

/** More than any tick can use. */
const UNBOUNDED = 2n ** 64n

/** How far a job goes. */
export interface Bounds {
  readonly maxTicks: number
  /** By `Tools.now`. */
  readonly end: number
  readonly allowance: bigint
  /** Stops after the tick with which it used more. */
  readonly most?: bigint
}

/** Exactly so many ticks, as long as they use no more fuel than `most`. */
export const exactly = (maxTicks: number, most = UNBOUNDED): Bounds => ({
  maxTicks,
  end: Number.POSITIVE_INFINITY,
  allowance: UNBOUNDED,
  most,
})

/** `longest` is the time of the longest tick, ms, `started` when the first did, `ended` when the last one did; `failed` what stopped the tick after the completed ones. */
export interface Ran {
  readonly session: Session
  readonly ticks: number
  readonly more: boolean
  readonly fuel: bigint
  readonly longest: number
  readonly started: number
  readonly ended: number
  readonly failed?: string
}

/** Runs ticks; what they did is not kept yet. */
export const play = (
  session: Session,
  { tick, limit }: Pick<Attempt, 'tick' | 'limit'>,
  { instance, use }: Live,
  { maxTicks, end, allowance, most = UNBOUNDED }: Bounds,
  now: () => number,
): Ran => {
  use(session)
  let left = allowance
  let fuel = 0n
  let done = 0
  let more = false
  let longest = 0
  const started = now()
  let before = started
  while (done < maxTicks && left >= limit) {
    session.begin(tick + done)
    instance.setFuel(limit)
    try {
      more = instance.call('agent_tick') !== 0
    } catch (error) {
      if (!(error instanceof Trap)) throw error
      return { session, ticks: done, more: false, fuel, longest, started, ended: before, failed: error.message }
    }
    const used = limit - instance.fuel()
    fuel += used
    left -= used
    session.end()
    done++
    const after = now()
    longest = Math.max(longest, after - before)
    before = after
    if (!more || after >= end || fuel > most || session.logBytes() >= MAX_JOB_LOG) break
  }
  return { session, ticks: done, more, fuel, longest, started, ended: before }
}
