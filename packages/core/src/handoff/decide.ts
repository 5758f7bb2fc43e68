/**
 * The target's decision on a handoff: accept or refuse, one of them, in one slot, durable before it
 * is sent (docs/design.md, section 7).
 *
 * @module
 */
import {
  type Accept,
  type Chain,
  decodeRecord,
  extendChain,
  type Handoff,
  type JournalEntry,
  type LineageRecord,
  plainText,
  type Recover,
  type Refuse,
  readReady,
  signRecord,
} from '@igor/lineage'
import type { CID } from 'multiformats/cid'
import { type BlockRefs, hexOf } from '../agent/blocks.ts'
import { type Context, nowMs } from '../agent/context.ts'
import { otherBranch, slotOf } from '../agent/history.ts'
import { emptyJournal } from '../agent/journal.ts'
import { type Ledger, openLedger } from '../agent/ledger.ts'
import { useOfModule } from '../agent/modules.ts'
import type { Current } from '../agent/state.ts'
import { type ActiveOwner, decodeRow, encodeRow, type Row, take, takeOver } from '../authority/row.ts'
import { IgorError } from '../errors.ts'
import { keys } from '../keys.ts'
import type { Expectation } from '../platform.ts'

/** What an accept needs: everything but the accept itself. */
export interface Arrival {
  /** Verified, up to and with the handoff (or recover). */
  readonly chain: Chain
  /** Anchors and window of that chain, oldest first. */
  readonly records: readonly LineageRecord[]
  readonly current: Current
  /** Blocks not in the store yet. */
  readonly rows: readonly (readonly [key: string, bytes: Uint8Array])[]
  /** Uses of `current`'s blocks, where they were counted before. */
  readonly refs?: BlockRefs
  /** What was journaled since `current`, and is sealed in records. */
  readonly sealed?: readonly JournalEntry[]
  /** What was looked up before for the earlier part of `records`. */
  readonly ground?: Ground
}

/** What the store needs so that it holds one branch of an agent's history; true as long as the rows are these. */
export interface Ground {
  readonly authority: Uint8Array | undefined
  readonly owner: Uint8Array | undefined
  /** Changes when modules are swept away. */
  readonly swept: Uint8Array | undefined
  /** Records of the branch that it has. */
  readonly held: ReadonlySet<string>
  readonly put: readonly (readonly [string, Uint8Array])[]
  readonly remove: readonly string[]
}

const readRows = async ({ store }: Context, agent: string) => {
  const [authority, owner] = await Promise.all([store.get(keys.authority(agent)), store.get(keys.owner(agent))])
  return { authority, owner }
}

/** Looks up ahead of an accept what takes long. @param records verified, oldest first; more may follow them later */
export const prepareGround = async (context: Context, agent: string, records: readonly LineageRecord[]): Promise<Ground> => {
  const rows = { ...(await readRows(context, agent)), swept: await context.store.get(keys.moduleSweep) }
  if (rows.authority === undefined) return { ...rows, held: new Set(), put: [], remove: [] }
  const held = new Set<string>()
  await Promise.all(
    records.map(async ({ id, bytes, body }) => {
      const there = await context.store.get(keys.record(agent, body.epoch, body.seq))
      if (there !== undefined && sameBytes(there, bytes)) held.add(id.toString())
    }),
  )
  return { ...rows, held, ...(await otherBranch(context.store, agent, records)) }
}

/** What this store holds of an agent's authority, and which of its nodes may write. */
interface Seat {
  readonly row: Exclude<Row, ActiveOwner> | undefined
  readonly rows: Pick<Ground, 'authority' | 'owner'>
  readonly expect: readonly Expectation[]
}

/**
 * The seat that a decision on a handoff may take: empty, given up, or left by another node of the same
 * store with this very handoff (tabs share a store).
 *
 * @throws IgorError AGENT_EXISTS
 */
const openSeat = async (context: Context, agent: string, handoff: CID): Promise<Seat> => {
  const { authority, owner } = await readRows(context, agent)
  const row = authority === undefined ? undefined : decodeRow(authority)
  const left =
    row?.state === 'handoff-pending' && row.slot.id.equals(handoff) && owner !== undefined && !sameBytes(owner, context.fence)
  if (row?.state === 'active-owner' || (row?.state === 'handoff-pending' && !left))
    throw new IgorError('AGENT_EXISTS', `${agent} is ${row.state} here already`)
  return {
    row,
    rows: { authority, owner },
    expect: [
      [keys.authority(agent), authority],
      [keys.owner(agent), owner],
    ],
  }
}

const sameBytes = (a: Uint8Array | undefined, b: Uint8Array | undefined): boolean =>
  a === b || (a !== undefined && b?.length === a.length && a.every((byte, i) => byte === b[i]))

/** Writes the accept and everything it needs, in one commit. @throws ConflictError when the row changed meanwhile */
export const accept = async (context: Context, arrival: Arrival): Promise<{ ledger: Ledger; record: LineageRecord<Accept> }> => {
  const { chain, records } = arrival
  const { authority } = chain
  if (authority.status !== 'offered') throw new IgorError('NOT_AUTHORITATIVE', `${chain.agent} was not offered to anyone`)
  const body: Accept = {
    kind: 'accept',
    agent: chain.agent,
    seq: chain.head.body.seq + 1,
    prev: chain.head.id,
    anchor: chain.head.id,
    epoch: authority.recover ? chain.head.body.epoch : chain.head.body.epoch + 1,
    time: Math.max(nowMs(context.clock), chain.head.body.time),
    incarnation: context.incarnation,
    budget: chain.budget,
    price: authority.ready.price,
  }
  const [{ row, rows, expect }, record] = await Promise.all([
    openSeat(context, chain.agent, chain.head.id),
    signRecord(body, context.sign),
  ])
  const next = extendChain(chain, record, { trusted: true })
  const slot = slotOf(record)
  const nextRow = row?.state === 'handoff-pending' ? takeOver(row, slot) : take(row, slot)
  const all = [...records, record]
  const { ground: before } = arrival
  const stands = before !== undefined && sameBytes(before.authority, rows.authority) && sameBytes(before.owner, rows.owner)
  const ground = stands ? before : await prepareGround(context, chain.agent, all)
  const missing = all.filter(({ id }) => !ground.held.has(id.toString()))
  await context.store.commit({
    put: [
      ...arrival.rows,
      ...ground.put,
      ...missing.map((one) => [keys.record(chain.agent, one.body.epoch, one.body.seq), one.bytes] as const),
      useOfModule(context.crypto),
      emptyJournal(chain.agent, slot),
      [keys.owner(chain.agent), context.fence],
      [keys.authority(chain.agent), encodeRow(nextRow)],
    ],
    remove: ground.remove,
    expect: [
      ...expect,
      [keys.refusal(chain.agent, record.body.epoch, record.body.seq), undefined],
      // Its module was looked for when the ground was prepared.
      ...(before === undefined ? [] : [[keys.moduleSweep, before.swept] as const]),
    ],
  })
  const { current, refs } = arrival
  const ledger = openLedger(context, {
    chain: next,
    row: nextRow,
    records: all,
    current,
    ...(refs === undefined ? {} : { refs }),
    ...(arrival.sealed === undefined ? {} : { sealed: arrival.sealed }),
  })
  return { ledger, record }
}

/** A handoff leaves the next epoch to its target, a recover has made its own. */
const answerEpoch = ({ body }: LineageRecord): number => (body.kind === 'recover' ? body.epoch : body.epoch + 1)

/** Codes that a refuse record may carry. */
export type RefusalCode = 'expired' | 'interrupted' | 'invalid' | 'room' | 'failed'

/**
 * Writes the refuse: this node does not and never will hold that epoch. Nothing but the handoff
 * record itself is needed.
 */
export const refuse = async (
  context: Context,
  handoff: LineageRecord<Handoff | Recover>,
  code: RefusalCode,
  reason: string,
): Promise<LineageRecord<Refuse>> => {
  const { body } = handoff
  const { expect } = await openSeat(context, body.agent, handoff.id)
  const record = await signRecord<Refuse>(
    {
      kind: 'refuse',
      agent: body.agent,
      seq: body.seq + 1,
      prev: handoff.id,
      anchor: handoff.id,
      epoch: answerEpoch(handoff),
      time: Math.max(nowMs(context.clock), body.time),
      code,
      reason: plainText(reason),
    },
    context.sign,
  )
  await context.store.commit({
    put: [[keys.refusal(body.agent, record.body.epoch, record.body.seq), record.bytes]],
    expect: [
      ...expect,
      [keys.refusal(body.agent, record.body.epoch, record.body.seq), undefined],
      [keys.record(body.agent, record.body.epoch, record.body.seq), undefined],
    ],
  })
  return record
}

/**
 * The decision that this store already made on a handoff.
 *
 * @throws IgorError HANDOFF_FAILED when the slot was used to decide on another handoff: its signer wrote two
 */
export const decisionOn = async (context: Context, handoff: LineageRecord): Promise<LineageRecord | undefined> => {
  const { agent, epoch, seq } = handoff.body
  const taken = answerEpoch(handoff)
  const [refused, written] = await Promise.all([
    context.store.get(keys.refusal(agent, taken, seq + 1)),
    context.store.get(keys.record(agent, taken, seq + 1)),
  ])
  const bytes = refused ?? written
  if (bytes === undefined) return undefined
  const record = decodeRecord(bytes)
  if (record.body.prev?.equals(handoff.id) !== true) {
    throw new IgorError(
      'HANDOFF_FAILED',
      `this node decided on another handoff of ${agent} in epoch ${epoch}: its source wrote two histories`,
    )
  }
  return record
}

/** The handoff or recover that a chain ends in, if it names this node's store. */
export const offeredHere = (context: Context, chain: Chain): LineageRecord<Handoff | Recover> | undefined => {
  const { head, authority } = chain
  if (authority.status !== 'offered' || (head.body.kind !== 'handoff' && head.body.kind !== 'recover')) return undefined
  const { ready } = readReady(head.body.ready)
  const mine = ready.to === context.peer && hexOf(ready.incarnation) === hexOf(context.incarnation)
  return mine ? (head as LineageRecord<Handoff | Recover>) : undefined
}
