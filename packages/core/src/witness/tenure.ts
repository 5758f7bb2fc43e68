/**
 * The lease of one agent, as its holder has it: until when it counts, what says beforehand that the holder goes, and
 * why the agent stands still.
 *
 * @module
 */
import { type Context, nowMs } from '../agent/context.ts'
import { endLease, granted, leftOf, look, MARGIN_MS, noLease, type Reading, renewalIn } from '../authority/lease.ts'
import type { Grant } from '../authority/witness.ts'
import { type HeldLedger, isActive } from './held.ts'
import { makeRelease } from './release.ts'

export interface Tenure {
  reading(): Reading
  /** Milliseconds; 0: there is none. */
  left(): number
  /** The same, looked at anew, without the margin before its end. */
  safe(): number
  /** Milliseconds until it is to be renewed. */
  due(): number
  /** The same for an agent between two witnesses. */
  renewal(): number
  /** Why there is none; undefined: it runs. */
  why: string | undefined
  readonly release: Uint8Array | undefined
  grant(lease: Grant, asked: Reading): Promise<void>
  /** Lengthens what an agent between two witnesses has, which stands still meanwhile. */
  extend(lease: Grant, asked: Reading): void
  lose(reason: string): void
  /** Another witness is asked from now on. */
  forget(): void
  /** It stands still from now on, if its lease is over. */
  lapse(reason: string): void
}

/** @param onchange a lease came or went */
export const createTenure = (
  { clock, peer, sign }: Pick<Context, 'clock' | 'peer' | 'sign'>,
  ledger: HeldLedger,
  onchange: () => void,
): Tenure => {
  const { agent } = ledger
  const reading = (): Reading => ({ elapsed: clock.elapsed(), wall: nowMs(clock) })
  let leasing = noLease(reading())
  let epoch = 0
  let by = ''
  let release: Uint8Array | undefined

  /** One that was granted before the agent was away is none any more. */
  const left = (): number => {
    const { chain } = ledger
    // Between two witnesses it stands still: whoever is asked next may know of no lease.
    const stands = chain.changing !== null || epoch !== chain.epoch || by !== chain.witness || !isActive(ledger)
    return stands ? 0 : leftOf(leasing, reading())
  }

  const renewal = (): number => renewalIn(leasing, reading())

  const tenure: Tenure = {
    reading,
    left,
    safe: () => {
      leasing = look(leasing, reading())
      return Math.max(0, left() - MARGIN_MS)
    },
    due: () => (left() === 0 ? 0 : renewal()),
    renewal,
    why: 'it waits for its witness',
    get release() {
      return release
    },
    grant: async (lease, asked) => {
      const before = left() > 0
      const { chain } = ledger
      epoch = chain.epoch
      by = chain.witness ?? ''
      leasing = granted(leasing, { ...lease, asked }, reading())
      const head = chain.cosigned?.id
      if (head !== undefined) release = await makeRelease({ agent, epoch, head, lease: lease.id, by: peer }, sign)
      tenure.why = undefined
      if (!before) onchange()
    },
    extend: (lease, asked) => {
      leasing = granted(leasing, { ...lease, asked }, reading())
    },
    lose: (reason) => {
      leasing = endLease(leasing, reading())
      release = undefined
      tenure.why = reason
      onchange()
    },
    forget: () => {
      leasing = noLease(reading())
    },
    lapse: (reason) => {
      leasing = look(leasing, reading())
      if (!isActive(ledger) || tenure.why !== undefined || left() > 0) return
      tenure.why = reason
      onchange()
    },
  }
  return tenure
}
