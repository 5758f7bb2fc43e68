/**
 * An agent that is held under a witness.
 *
 * @module
 */
import type { Chain, LineageRecord, StateBlock } from '@igor/lineage'
import type { Row } from '../authority/row.ts'

/** What the holder needs of a ledger. */
export interface HeldLedger {
  readonly agent: string
  readonly chain: Chain
  readonly row: Row
  readonly records: readonly LineageRecord[]
  readonly refs: { pin(): () => void }
  readonly current: { readonly block: StateBlock } | undefined
  /** The record came back with its cosignature: kept with it. */
  cosigned(record: LineageRecord): Promise<void>
  halt(why: string): Promise<void>
}
