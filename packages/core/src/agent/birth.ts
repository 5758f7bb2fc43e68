/**
 * How an agent is born.
 *
 * @module
 */
import {
  buildMemory,
  cborCid,
  costOf,
  encodeEntry,
  encodeSegment,
  encodeState,
  extendChain,
  type Genesis,
  rawCid,
  type Sign,
  type StartEntry,
  type StateBlock,
  signRecord,
  startChain,
} from '@igor/lineage'
import { CURRENT } from '@igor/sandbox'
import type { CID } from 'multiformats/cid'
import { encodeRow, take } from '../authority/row.ts'
import { keys } from '../keys.ts'
import type { Delta } from '../worker/protocol.ts'
import { hexOf } from './blocks.ts'
import { type Context, nowMs } from './context.ts'
import { slotOf } from './history.ts'
import { encodeHostPart, type HostPart } from './host-part.ts'
import { emptyJournal } from './journal.ts'
import { type Ledger, openLedger } from './ledger.ts'
import { useOfModule } from './modules.ts'
import { createRetention, DEFAULT_KEEP } from './retention.ts'
import { countRefs, nameOf } from './state.ts'

export interface Birth {
  readonly agent: string
  readonly nonce: Uint8Array
  readonly name: string
  readonly module: CID
  readonly moduleRows: readonly (readonly [string, Uint8Array])[]
  readonly manifest: Uint8Array
  readonly init: Uint8Array
  /** Peer id; null: none. */
  readonly witness: string | null
  readonly budget: bigint
  /** Signs with the agent's key. */
  readonly sign: Sign
  /** The state after tick 0. */
  readonly delta: Delta
  readonly host: HostPart
  /** Tick 0. */
  readonly start: StartEntry
}

/** Genesis and the first checkpoint, in one commit: an agent is born whole or not at all. */
export const bear = async (context: Context, birth: Birth): Promise<Ledger> => {
  const { agent } = birth
  const { version = CURRENT } = context
  const manifest = rawCid(birth.manifest)
  const init = birth.init.length === 0 ? null : rawCid(birth.init)
  const body: Genesis = {
    kind: 'genesis',
    version: 1,
    agent,
    seq: 0,
    prev: null,
    anchor: null,
    epoch: 1,
    time: nowMs(context.clock),
    nonce: birth.nonce,
    name: birth.name,
    module: birth.module,
    manifest,
    init,
    budget: birth.budget,
    price: context.price,
    authority: context.peer,
    incarnation: context.incarnation,
    witness: birth.witness,
  }
  const genesis = await signRecord(body, birth.sign)
  const chain = startChain(genesis)
  const hostBytes = encodeHostPart(birth.host)
  const block: StateBlock = {
    version: 1,
    memory: buildMemory(
      birth.delta.memoryBytes,
      birth.delta.chunks.map(([index, , digest]) => [index, digest] as const),
    ),
    globals: birth.delta.globals,
    host: cborCid(hostBytes),
  }
  const state = encodeState(block)
  const segment = encodeSegment(encodeEntry(birth.start, undefined))
  const cost = costOf(birth.start.fuel, body.price)
  const checkpoint = await signRecord(
    {
      kind: 'checkpoint',
      agent,
      seq: 1,
      prev: genesis.id,
      anchor: genesis.id,
      epoch: 1,
      time: body.time,
      journal: segment.cid,
      state: state.cid,
      from: null,
      tick: birth.host.tick,
      module: birth.module,
      manifest,
      instrument: version.instrument,
      costTable: version.costTable,
      fuel: birth.start.fuel,
      cost,
      price: body.price,
      budget: body.budget - cost,
      orders: [],
    },
    context.sign,
  )
  const row = take(undefined, slotOf(checkpoint))
  const blockRow = (cid: CID, bytes: Uint8Array): readonly [string, Uint8Array] => [
    keys.block(agent, hexOf(cid.multihash.digest)),
    bytes,
  ]
  await context.store.commit({
    put: [
      ...birth.moduleRows,
      useOfModule(context.crypto),
      blockRow(manifest, birth.manifest),
      ...(init === null ? [] : [blockRow(init, birth.init)]),
      blockRow(state.cid, state.bytes),
      blockRow(block.host, hostBytes),
      blockRow(segment.cid, segment.bytes),
      ...birth.delta.chunks.flatMap(([, bytes, digest]) =>
        bytes === null || digest === null ? [] : [[keys.block(agent, hexOf(digest)), bytes] as const],
      ),
      [keys.record(agent, 1, 0), genesis.bytes],
      [keys.record(agent, 1, 1), checkpoint.bytes],
      emptyJournal(agent, row.slot),
      [keys.owner(agent), context.fence],
      [keys.authority(agent), encodeRow(row)],
    ],
    expect: [[keys.authority(agent), undefined]],
  })
  const current = { block, cid: state.cid, host: birth.host }
  const refs = countRefs(body, current)
  const retention = createRetention(context.keep ?? DEFAULT_KEEP, refs)
  refs.add(nameOf(segment.cid))
  retention.also(nameOf(segment.cid))
  return openLedger(context, {
    chain: extendChain(chain, checkpoint, { trusted: true }),
    row,
    records: [genesis, checkpoint],
    current,
    refs,
    retention,
  })
}
