/**
 * A history cut into what can be run again by itself: from one state to the next. Pure.
 *
 * @module
 */
import type { Chain, Checkpoint, Handoff, LineageRecord } from '@igor/lineage'
import { nameOfReceipt, receiptOf } from '../agent/receipts.ts'

export type ProgressRecord = LineageRecord<Checkpoint | Handoff>

/** Cumulative, as claimed. */
export interface Tally {
  readonly fuel: bigint
  readonly cost: bigint
}

/** A record that claims progress, and what its claims are measured against. */
export interface Step {
  readonly record: ProgressRecord
  /** Peer id of the epoch's authority. */
  readonly signer: string
  readonly before: Tally & { readonly tick: number; readonly budget: bigint }
  /** When the epoch's authority took over: its price counts from there. */
  readonly billed: Tally
  /** What the agent can have been shown of what it was billed. */
  readonly receipts: Receipts
}

export interface Receipts {
  /** Of the record before that bills; undefined: there is none. */
  readonly last: Uint8Array | undefined
  /** All that are known of this history, by the record's name, and its place. */
  readonly known: ReadonlyMap<string, { readonly seq: number; readonly receipt: Uint8Array }>
}

export interface Span {
  /** The record whose state it begins at; undefined: the birth. */
  readonly start: ProgressRecord | undefined
  /** At least one; only the last may have a state. */
  readonly steps: readonly Step[]
  /** Records between were pruned: their journals are not known. */
  readonly pruned: boolean
}

export const isProgress = (record: LineageRecord): record is ProgressRecord =>
  record.body.kind === 'checkpoint' || record.body.kind === 'handoff'

/** First and last tick of a span. */
export const ticksOf = ({ start, steps }: Span): readonly [from: number, to: number] => {
  const from = start === undefined ? 0 : start.body.tick + 1
  return [from, Math.max(from, steps.at(-1)?.record.body.tick ?? from)]
}

/** @param records a verified history, oldest first */
export const spansOf = (chain: Chain, records: readonly LineageRecord[]): Span[] => {
  const spans: Span[] = []
  const signers = new Map(chain.hosts.map(({ epoch, peer }) => [epoch, peer]))
  let start: ProgressRecord | undefined
  let steps: Step[] = []
  let pruned = false
  let last = -1
  const known = new Map<string, { seq: number; receipt: Uint8Array }>()
  let receipt: Uint8Array | undefined
  let billed: Tally = { fuel: 0n, cost: 0n }
  let before = { fuel: 0n, cost: 0n, tick: 0, budget: chain.genesis.body.budget }
  for (const record of records) {
    const { body } = record
    if (body.seq !== last + 1) pruned = true
    last = body.seq
    if (body.kind === 'accept') billed = { fuel: before.fuel, cost: before.cost }
    if (!isProgress(record)) continue
    const { fuel, cost, tick, budget, state, epoch } = record.body
    steps.push({ record, signer: signers.get(epoch) ?? '', before, billed, receipts: { last: receipt, known } })
    receipt = receiptOf(record)
    if (receipt !== undefined) known.set(nameOfReceipt(receipt), { seq: body.seq, receipt })
    before = { fuel, cost, tick, budget }
    if (state === null) continue
    spans.push({ start, steps, pruned })
    start = record
    steps = []
    pruned = false
  }
  if (steps.length > 0) spans.push({ start, steps, pruned })
  return spans
}
