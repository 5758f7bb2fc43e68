/**
 * What an agent can show of what it was billed: a checkpoint is the receipt (docs/design.md, section 5).
 *
 * @module
 */
import { type LineageRecord, MAX_RECEIPTS, RECEIPT_BYTES } from '@igor/lineage'
import { hexOf } from './blocks.ts'

const DIGEST_AT = RECEIPT_BYTES - 32

/** The record that a receipt is of. */
export const nameOfReceipt = (receipt: Uint8Array): string => hexOf(receipt.subarray(DIGEST_AT))

/** Undefined: it bills nothing. */
export const receiptOf = ({ id, body }: LineageRecord): Uint8Array | undefined => {
  if (body.kind !== 'checkpoint' && body.kind !== 'handoff') return undefined
  const receipt = new Uint8Array(RECEIPT_BYTES)
  const view = new DataView(receipt.buffer)
  view.setBigUint64(0, BigInt(body.tick), true)
  view.setBigUint64(8, BigInt(body.time), true)
  view.setBigUint64(16, body.fuel, true)
  view.setBigUint64(24, body.cost, true)
  receipt.set(id.multihash.digest, DIGEST_AT)
  return receipt
}

/** Of the last records that billed, latest last; made again only when there is a new record. */
export const createReceipts = (): ((records: readonly LineageRecord[]) => readonly Uint8Array[]) => {
  let head: LineageRecord | undefined
  let last: readonly Uint8Array[] = []
  return (records) => {
    const now = records.at(-1)
    if (head === undefined || now === undefined || !now.id.equals(head.id)) {
      head = now
      last = records.flatMap((record) => receiptOf(record) ?? []).slice(-MAX_RECEIPTS)
    }
    return last
  }
}
