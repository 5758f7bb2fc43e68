/**
 * What a handle on an agent needs of its node.
 *
 * @module
 */
import type { SignedOrder } from '@igor/lineage'
import type { Context } from '../agent/context.ts'
import type { AgentEvent, AgentStatus, Move } from '../api.ts'
import type { Judge } from '../replay/replay.ts'
import type { Owner } from './owner.ts'
import type { HostProver } from './proof-of-host.ts'
import type { Residents } from './residents.ts'
import type { Upgrades } from './upgrades.ts'

export interface Handles {
  readonly context: Context
  readonly residents: Residents
  readonly owner: Owner
  /** Holds a peer's word about what it hosts against the history. */
  readonly hosts: HostProver
  /** @throws IgorError UNKNOWN_AGENT */
  status(agent: string): AgentStatus
  /** Applies an order at this node. */
  apply(order: SignedOrder): Promise<Move | undefined>
  readonly upgrades: Upgrades
  deliver(agent: string, id: Uint8Array, message: Uint8Array): Promise<void>
  /** A peer id for what a person gave: peer id, name or multiaddr. */
  resolve(peer: string, signal?: AbortSignal): Promise<string>
  /** The witness that a peer serves, as far as it said; else its own. */
  witnessOf(peer: string): string
  /** Gets a ready for a file from a peer that answers. */
  requestReady(peer: string, signal?: AbortSignal): Promise<Uint8Array>
  /** Starts listening to an agent that lives here. */
  listen(agent: string, listener: (event: AgentEvent) => void): () => void
  onchange(listener: () => void): () => void
  /** Lends a judge with a worker of its own. */
  judge<T>(task: (judge: Judge) => Promise<T>): Promise<T>
}
