/**
 * How an agent's ledger comes to be: born here, loaded from the store, or taken from a verified
 * history (handoff, file, recovery).
 *
 * @module
 */
import {
  buildMemory,
  type Chain,
  cborCid,
  decodeRecord,
  decodeState,
  encodeState,
  extendChain,
  type Genesis,
  type LineageRecord,
  rawCid,
  type Sign,
  type StateBlock,
  signRecord,
  startChain,
} from '@igor/lineage'
import type { CID } from 'multiformats/cid'
import { decodeRow, encodeRow, type Row, take } from '../authority/row.ts'
import { IgorError } from '../errors.ts'
import { keys } from '../keys.ts'
import type { Expectation, Store } from '../platform.ts'
import type { Delta } from '../worker/protocol.ts'
import { chunkDigests, hexOf } from './blocks.ts'
import { type Context, nowMs } from './context.ts'
import { decodeHostPart, encodeHostPart, type HostPart } from './host-part.ts'
import { type Current, type Ledger, openLedger, slotOf } from './ledger.ts'

export interface Birth {
  readonly agent: string
  readonly nonce: Uint8Array
  readonly name: string
  readonly module: CID
  readonly moduleRows: readonly (readonly [string, Uint8Array])[]
  readonly manifest: Uint8Array
  readonly init: Uint8Array
  readonly budget: bigint
  /** Signs with the agent's key. */
  readonly sign: Sign
  /** The state after tick 0. */
  readonly delta: Delta
  readonly host: HostPart
  readonly instrument: number
}

/** Genesis and the first checkpoint, in one commit: an agent is born whole or not at all. */
export const bear = async (context: Context, birth: Birth): Promise<Ledger> => {
  const { agent } = birth
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
    witness: null,
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
  const checkpoint = await signRecord(
    {
      kind: 'checkpoint',
      agent,
      seq: 1,
      prev: genesis.id,
      anchor: genesis.id,
      epoch: 1,
      time: body.time,
      journal: null,
      state: state.cid,
      from: null,
      tick: birth.host.tick,
      module: birth.module,
      manifest,
      instrument: birth.instrument,
      costTable: 0,
      fuel: 0n,
      cost: 0n,
      price: body.price,
      budget: body.budget,
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
      blockRow(manifest, birth.manifest),
      ...(init === null ? [] : [blockRow(init, birth.init)]),
      blockRow(state.cid, state.bytes),
      blockRow(block.host, hostBytes),
      ...birth.delta.chunks.flatMap(([, bytes, digest]) =>
        bytes === null || digest === null ? [] : [[keys.block(agent, hexOf(digest)), bytes] as const],
      ),
      [keys.record(agent, 1, 0), genesis.bytes],
      [keys.record(agent, 1, 1), checkpoint.bytes],
      [keys.owner(agent), context.fence],
      [keys.authority(agent), encodeRow(row)],
    ],
    expect: [[keys.authority(agent), undefined]],
  })
  return openLedger(context, {
    chain: extendChain(chain, checkpoint, { trusted: true }),
    row,
    records: [genesis, checkpoint],
    current: { block, cid: state.cid, host: birth.host },
  })
}

/** Reads the current state's root and host part. @throws IgorError STORE_DAMAGED */
export const readCurrent = async (store: Store, agent: string, cid: CID): Promise<Current> => {
  const read = async (one: CID): Promise<Uint8Array> => {
    const bytes = await store.get(keys.block(agent, hexOf(one.multihash.digest)))
    if (bytes === undefined) throw new IgorError('STORE_DAMAGED', `a block of ${agent} is missing from the store`)
    return bytes
  }
  const block = decodeState(await read(cid))
  return { block, cid, host: decodeHostPart(await read(block.host)) }
}

export interface Loaded {
  readonly row: Row
  /** Undefined where this store only ever declined the agent. */
  readonly ledger: Ledger | undefined
}

/** The slot order of the keys is the order of the records. */
const readRecords = async (store: Store, agent: string): Promise<LineageRecord[]> => {
  const records: LineageRecord[] = []
  for (const key of await store.list(keys.records(agent))) {
    const bytes = await store.get(key)
    if (bytes !== undefined) records.push(decodeRecord(bytes))
  }
  return records
}

const chainOf = (records: readonly LineageRecord[]): Chain | undefined => {
  const [genesis, ...rest] = records
  if (genesis === undefined || genesis.body.kind !== 'genesis') return undefined
  // Written by this store itself after verification: hashes and links are checked, signatures not again.
  return rest.reduce((chain, record) => extendChain(chain, record, { gap: true, trusted: true }), startChain(genesis))
}

/**
 * Loads what the store holds of an agent. What cannot be read, or does not reach the highest slot
 * that the authority row names, halts: a lower head may be a second history.
 */
export const loadLedger = async (context: Context, agent: string): Promise<Loaded | undefined> => {
  const { store } = context
  const bytes = await store.get(keys.authority(agent))
  if (bytes === undefined) return undefined
  const row = decodeRow(bytes)
  let chain: Chain | undefined
  let records: LineageRecord[] = []
  let current: Current | undefined
  let broken: string | undefined
  try {
    records = await readRecords(store, agent)
    chain = chainOf(records)
    if (chain !== undefined && row.state !== 'retired') {
      if (!chain.head.id.equals(row.slot.id)) {
        broken = `the store ends at record ${chain.head.body.seq}, but ${row.slot.seq} was written`
      } else if (chain.state?.body.state != null) {
        current = await readCurrent(store, agent, chain.state.body.state)
        // A missing chunk is found now and not in the middle of a move; its content is checked when it is read.
        const present = new Set(await store.list(keys.blocks(agent)))
        for (const digest of chunkDigests(current.block)) {
          if (!present.has(keys.block(agent, digest))) throw new IgorError('STORE_DAMAGED', 'a chunk of its memory is missing')
        }
      }
    }
  } catch (error) {
    broken = error instanceof Error ? error.message : String(error)
  }
  if (chain === undefined) return { row, ledger: undefined }
  const ledger = openLedger(context, { chain, row, records, current })
  if (broken !== undefined && row.state !== 'retired') await ledger.halt(`its stored history is damaged: ${broken}`)
  await sweepBlocks(store, ledger)
  return { row: ledger.row, ledger }
}

/** Removes what a crash left behind: blocks that nothing names. A halted agent keeps everything. */
const sweepBlocks = async (store: Store, ledger: Ledger): Promise<void> => {
  if (ledger.row.state === 'recovery-required') return
  const prefix = keys.blocks(ledger.agent)
  const remove = (await store.list(prefix)).filter((key) => !ledger.refs.has(key.slice(prefix.length)))
  if (remove.length > 0) await store.commit({ remove, durable: false })
}

/** Conditions under which an agent may be taken in: nobody wrote meanwhile. */
export const expectUnchanged = async (store: Store, agent: string): Promise<Expectation[]> => [
  [keys.authority(agent), await store.get(keys.authority(agent))],
  [keys.owner(agent), await store.get(keys.owner(agent))],
]

/** Modules that any agent in this store names, those of other tabs included. */
export const modulesInUse = async (store: Store): Promise<Set<string>> => {
  const used = new Set<string>()
  for (const key of await store.list(keys.authorities)) {
    const agent = key.slice(keys.authorities.length)
    const [first] = await store.list(keys.records(agent))
    const bytes = first === undefined ? undefined : await store.get(first)
    const body = bytes === undefined ? undefined : decodeRecord(bytes).body
    if (body?.kind === 'genesis') used.add(body.module.toString())
  }
  return used
}
