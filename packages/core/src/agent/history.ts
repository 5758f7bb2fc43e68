/**
 * Where an agent's history stands at one store, and each step on from there: the next position, and the rows that
 * make it durable. Signing comes before, the commit after. Pure but for `otherBranch`, which looks what stands there.
 *
 * @module
 */
import { type Chain, decodeRecord, extendChain, type LineageRecord, pruneRecords } from '@igor/lineage'
import type { History } from '../authority/judge.ts'
import { depart, encodeRow, type HandoffPending, type Row, type Slot, takeBack } from '../authority/row.ts'
import { keys } from '../keys.ts'
import type { Store } from '../platform.ts'
import { emptyJournal } from './journal.ts'
import { windowOf } from './retention.ts'

/** The records that are kept are the anchors and the last checkpoints, oldest first. */
export interface Position extends History {
  readonly row: Row
}

type Puts = readonly (readonly [string, Uint8Array])[]

export interface Step extends Position {
  readonly put: Puts
  readonly remove: readonly string[]
}

/** Whether a record applied this very order. */
export const appliesOrder = ({ body }: LineageRecord, order: Uint8Array): boolean =>
  'orders' in body && body.orders.some((one) => one.length === order.length && one.every((byte, i) => byte === order[i]))

export const slotOf = (record: LineageRecord): Slot => ({ epoch: record.body.epoch, seq: record.body.seq, id: record.id })

export const recordKey = ({ body }: LineageRecord): string => keys.record(body.agent, body.epoch, body.seq)

const rowsOf = (records: readonly LineageRecord[]): Puts => records.map((one) => [recordKey(one), one.bytes])

/** Records that the chain cannot do without, the latest window, and what falls out. */
const prune = (chain: Chain, all: LineageRecord[], keep: number, least = 1): { kept: LineageRecord[]; gone: string[] } => {
  // The witness takes a record only with all that lie between it and the last one that it cosigned.
  const since = all.findLastIndex(({ id }) => chain.cosigned !== null && id.equals(chain.cosigned.id))
  const owed = chain.witness === null && chain.changing === null ? 0 : all.length - Math.max(0, since)
  const kept = [...pruneRecords(all, Math.max(least, owed, windowOf(all, keep)))]
  const needed = new Set(kept)
  return { kept, gone: all.filter((record) => !needed.has(record)).map(recordKey) }
}

/** This node's own record follows. @param keep as of `windowOf` @param least of the latest records that stay */
export const stepOn = (at: Position, record: LineageRecord, row: Row, keep: number, least: number): Step => {
  const { kept, gone } = prune(at.chain, [...at.records, record], keep, least)
  return {
    chain: extendChain(at.chain, record, { trusted: true }),
    row,
    records: kept,
    put: [...rowsOf([record]), [keys.authority(at.chain.agent), encodeRow(row)]],
    remove: gone,
  }
}

/**
 * The target refused, and an accept of this node's own follows.
 *
 * @param refused the chain with the refuse
 * @param journal keys of the rows that stand there
 */
export const stepBack = (
  refused: Chain,
  at: { readonly row: HandoffPending; readonly records: readonly LineageRecord[] },
  [refuse, accept]: readonly [LineageRecord, LineageRecord],
  journal: readonly string[],
): Step => {
  const { agent } = refused
  const row = takeBack(at.row, slotOf(accept))
  return {
    chain: extendChain(refused, accept, { trusted: true }),
    row,
    records: [...at.records, refuse, accept],
    put: [...rowsOf([refuse, accept]), emptyJournal(agent, row.slot), [keys.authority(agent), encodeRow(row)]],
    remove: journal,
  }
}

type Leaving = Parameters<typeof depart>[0]

/** The agent goes on elsewhere, by records that follow on these. @param keep as of `windowOf` */
export const stepAway = (at: Position & { readonly row: Leaving }, theirs: readonly LineageRecord[], keep: number): Step => {
  const added = theirs.filter((record) => !at.records.some((one) => one.id.equals(record.id)))
  const chain = added.reduce((before, record) => extendChain(before, record, { gap: true }), at.chain)
  const row = depart(at.row)
  const { kept, gone } = prune(at.chain, [...at.records, ...added], keep)
  return {
    chain,
    row,
    records: kept,
    put: [...rowsOf(added), [keys.authority(chain.agent), encodeRow(row)]],
    remove: gone,
  }
}

/** Another branch takes the place of this one. @param branch what `otherBranch` found */
export const stepAcross = (row: Row, theirs: History, branch: OtherBranch): Step => {
  const next = row.state === 'retired' ? row : depart(row)
  return {
    chain: theirs.chain,
    row: next,
    records: [...theirs.records],
    put: [...branch.put, ...rowsOf(theirs.records), [keys.authority(theirs.chain.agent), encodeRow(next)]],
    remove: branch.remove,
  }
}

export interface OtherBranch {
  readonly put: Puts
  readonly remove: readonly string[]
}

/**
 * What must go, so that the store holds one branch of an agent's history. Decisions on handoffs stay, as
 * they are asked for again.
 */
export const otherBranch = async (store: Store, agent: string, branch: readonly LineageRecord[]): Promise<OtherBranch> => {
  const stays = new Set(branch.map(recordKey))
  const remove = (await store.list(keys.records(agent))).filter((key) => !stays.has(key))
  const put: (readonly [string, Uint8Array])[] = []
  for (const key of remove) {
    const bytes = await store.get(key)
    const body = bytes === undefined ? undefined : decodeRecord(bytes).body
    if (bytes !== undefined && (body?.kind === 'accept' || body?.kind === 'refuse'))
      put.push([keys.refusal(agent, body.epoch, body.seq), bytes])
  }
  return { put, remove }
}
