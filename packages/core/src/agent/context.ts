/**
 * What every part of a node is given: the platform and who the node is.
 *
 * @module
 */
import type { Sign } from '@igor/lineage'
import type { Version } from '@igor/sandbox'
import type { NodeEvent, Proof } from '../api.ts'
import type { contradicts, Shown } from '../authority/contradiction.ts'
import type { Links } from '../authority/witness.ts'
import type { Clock, Crypto, Network, Store } from '../platform.ts'
import type { Timetable } from './timetable.ts'
import type { Turns } from './turns.ts'

/** Who is proven to have forked an agent. */
export interface Forks {
  /** True if this node holds a proof against this peer, which is another one. */
  convicts(peer: string): boolean
  /** Agents neither go to whoever is proven to have forked one, nor come from there. @throws IgorError HANDOFF_REJECTED */
  check(peer: string): void
  /** What a peer says of an agent does not go together with these records. */
  readonly contradicts: typeof contradicts
  /** Holds a history that is known here against one that was shown. */
  compare(mine: Required<Shown>, theirs: Shown): Promise<void>
  /** The same for records that a peer shows and that nobody has verified: at most one comparison a second and peer. */
  shown(peer: string, mine: Required<Shown>, records: Shown['records']): Promise<void>
  /** A peer is there: the first time it is told of all proofs. */
  greet(peer: string): void
  list(): Promise<readonly Proof[]>
  close(): void
}

export interface Context {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly store: Store
  /** Writes the journals of this node's agents. */
  readonly turns: Turns
  /** Wakes them. */
  readonly timetable: Timetable
  readonly network: Network
  /** This node's peer id. */
  readonly peer: string
  /** Signs with the node's key. */
  readonly sign: Sign
  readonly incarnation: Uint8Array
  /** Value of the fence row for agents that live here. */
  readonly fence: Uint8Array
  readonly price: bigint
  /** States that stay behind the present one, it included; default `DEFAULT_KEEP`, Infinity for all. */
  readonly keep?: number
  /** By which agents run here; default `CURRENT`. */
  readonly version?: Version
  /** The way to each agent's witness. */
  readonly links: Links
  readonly forks: Forks
  /** Names of records that were verified in their chains; see `verifyGently`. */
  readonly verified: Set<string>
  /** Aborted when the node stops. */
  readonly signal: AbortSignal
  /** Tells the operator. */
  readonly report: (event: NodeEvent) => void
}

/** Wall time in Unix milliseconds, as records carry it. */
export const nowMs = (clock: Clock): number => Number(clock.now() / 1_000_000n)
