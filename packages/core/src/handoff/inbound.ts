/**
 * What taking an agent in needs of the node.
 *
 * @module
 */
import type { Context } from '../agent/context.ts'
import type { Ledger } from '../agent/ledger.ts'
import type { History } from '../authority/judge.ts'
import type { Executor, Placed } from '../execution/executor.ts'
import type { Manifest } from '../manifest.ts'
import type { Judge } from '../replay/replay.ts'
import type { Trust } from '../replay/trust.ts'
import type { House } from './policy.ts'

/** An agent whose accept is durable here. */
export interface Arrived {
  readonly ledger: Ledger
  readonly manifest: Manifest
  readonly init: Uint8Array
  /** In a worker already, with its present state. */
  readonly placed?: Placed
  readonly from: string
  /** `elapsed` at the end of its last tick, as well as both clocks tell; undefined: unknown, as whoever held it is gone. */
  readonly since?: number
}

export interface Inbound {
  readonly context: Context
  readonly executor: Executor
  /** Policy and room now, the arrivals included. */
  house(): House
  /** What is known here of an agent; a pending handoff of it may end by what the peer shows. */
  ledger(agent: string): Ledger | undefined
  /** A peer shows a verified history of an agent that is known here. Throws when it conflicts. */
  reconcile(ledger: Ledger, theirs: History): Promise<void>
  /** A ready for a file that this peer makes; throws when it would not be taken. */
  readyForFile(peer: string): Promise<Uint8Array>
  /** Lends a judge with a worker of its own. */
  judge<T>(task: (judge: Judge) => Promise<T>): Promise<T>
  /** States that this node computed itself. */
  readonly trust: Trust
  /** It does not go on here, and why: its owner has to look. */
  halt(agent: string, why: string): Promise<void>
  /** Resolves when what an agent here wrote last is committed. @throws IgorError NOT_AUTHORITATIVE when it is refused for good */
  committed(agent: string): Promise<void>
  /** Removes modules that no agent here names. */
  sweep(): Promise<void>
  /** The accept is durable: the agent lives here. Resolves when its first tick is under way, or soon if it does not tick now. */
  arrived(arrival: Arrived): Promise<void>
}
