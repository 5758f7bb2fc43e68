/**
 * What a replay finds (docs/design.md, section 5: "Proof of a lie").
 *
 * @module
 */

/** `cannot judge`: something is missing, of another version, over the judge's caps, or beyond this machine. It is never guilt. */
export type ReplayVerdict = 'consistent' | 'guilty' | 'cannot judge'

/** What of a record's claims does not come out again. */
export type ReplayClaim = 'journal' | 'tick' | 'fuel' | 'cost' | 'state'

/** One signed claim that is false. */
export interface ReplayGuilt {
  /** CID of the record that makes the claim. */
  readonly record: string
  readonly epoch: number
  readonly seq: number
  /** Peer id of whoever signed it. */
  readonly signer: string
  readonly claim: ReplayClaim
  /** The first tick that differs, as far as the claims tell: fuel is claimed for a journal entry, a state for a record. */
  readonly tick: number
  /** Up to this tick everything that was claimed came out again. */
  readonly agreedTick: number
  /** Where the states differ first: index of a 4 KiB chunk of the memory, or another part of the state. */
  readonly chunk?: number
  readonly part?: 'memory' | 'memory size' | 'globals' | 'host'
  /** A sentence with both figures. */
  readonly message: string
}

/** Ticks that were not judged, and why. */
export interface ReplayDoubt {
  /** `not kept`: older than what is retained; that alone takes nothing from a verdict on the rest. */
  readonly code: 'not kept' | 'missing' | 'version' | 'caps' | 'machine'
  /** First and last tick. */
  readonly fromTick: number
  readonly toTick: number
  readonly message: string
}

export interface Replay {
  readonly verdict: ReplayVerdict
  /** First and last tick that were run again; null: none. */
  readonly fromTick: number | null
  readonly toTick: number | null
  /** Ticks run again, and what they were billed. */
  readonly ticks: number
  readonly fuel: bigint
  /** States that were computed again and are the ones that were signed. */
  readonly states: number
  readonly guilt?: ReplayGuilt
  /** Oldest first. */
  readonly doubts: readonly ReplayDoubt[]
}

export interface ReplayProgress {
  readonly ticks: number
  readonly ofTicks: number
  readonly fuel: bigint
  readonly ofFuel: bigint
}

export interface ReplayOptions {
  readonly signal?: AbortSignal
  /** After every part that was run: at most some hundred ms apart where ticks are ordinary. */
  readonly onprogress?: (progress: ReplayProgress) => void
  /** Seq of a record whose state is known to be true: what led up to it is not run. Default: none is. */
  readonly since?: number
  /** The most that is run again, newest first. Default 10^12: some twenty minutes at the most. */
  readonly maxFuel?: bigint
  /** Bytes of states and journals that are read. Default 256 MiB. */
  readonly maxBytes?: number
}
