/**
 * An agent that is held under a witness: what of it is cosigned, and who waits for that.
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

interface Slot {
  readonly epoch: number
  readonly seq: number
}

interface Waiting extends Slot {
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export const isActive = ({ row }: HeldLedger): boolean => row.state === 'active-owner'

export const isCosigned = ({ cosigned, witness, changing }: Chain, { epoch, seq }: Slot): boolean => {
  if (witness === null && changing === null) return true
  const body = cosigned?.body
  return body !== undefined && (body.epoch > epoch || (body.epoch === epoch && body.seq >= seq))
}

export const isBehind = ({ chain }: HeldLedger): boolean => !isCosigned(chain, chain.head.body)

/** The last record that this node wrote is still to be cosigned: a handoff or a retire too. */
export const owes = (ledger: HeldLedger): boolean => isBehind(ledger) && ledger.row.slot.id.equals(ledger.chain.head.id)

/** Those who wait for a record's cosignature. */
export const createWaiting = (ledger: HeldLedger) => {
  const waiting: Waiting[] = []
  return {
    get size(): number {
      return waiting.length
    },
    add: ({ epoch, seq }: Slot): Promise<void> =>
      new Promise((resolve, reject) => void waiting.push({ epoch, seq, resolve, reject })),
    /** Tells those whose record has it by now. */
    settle: (): void => {
      for (const one of waiting.splice(0)) {
        if (isCosigned(ledger.chain, one)) one.resolve()
        else waiting.push(one)
      }
    },
    turnAway: (error: unknown): void => {
      for (const one of waiting.splice(0)) one.reject(error)
    },
  }
}
