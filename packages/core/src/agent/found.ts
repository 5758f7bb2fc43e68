/**
 * How an agent's ledger comes to be: born here, loaded from the store, or taken from a verified
 * history (handoff, file, recovery).
 *
 * @module
 */
import {
  type Body,
  buildMemory,
  type Chain,
  cborCid,
  chunkEntries,
  costOf,
  decodeRecord,
  decodeState,
  encodeEntry,
  encodeSegment,
  encodeState,
  extendChain,
  type Genesis,
  type JournalEntry,
  type LineageRecord,
  rawCid,
  type Sign,
  type StartEntry,
  type StateBlock,
  signRecord,
  startChain,
} from '@igor/lineage'
import { CURRENT } from '@igor/sandbox'
import type { CID } from 'multiformats/cid'
import { decodeRow, doubt, encodeRow, type Row, take } from '../authority/row.ts'
import { IgorError } from '../errors.ts'
import { keys } from '../keys.ts'
import type { Expectation, Store } from '../platform.ts'
import { messageOf } from '../thrown.ts'
import type { Delta } from '../worker/protocol.ts'
import { advanceAll } from './advance.ts'
import { hexOf } from './blocks.ts'
import { type Context, nowMs } from './context.ts'
import { slotOf } from './history.ts'
import { decodeHostPart, encodeHostPart, type HostPart } from './host-part.ts'
import { emptyJournal, type Journal } from './journal.ts'
import { type Ledger, openLedger } from './ledger.ts'
import { useOfModule } from './modules.ts'
import { readJournal, readRetained, readSealed } from './reload.ts'
import { createRescue, type Rescue } from './rescue.ts'
import { createRetention, DEFAULT_KEEP } from './retention.ts'
import { type Current, countRefs, nameOf } from './state.ts'

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

const blockReader =
  ({ crypto }: Context, rescue: Rescue, agent: string) =>
  async (digest: Uint8Array): Promise<Uint8Array> => {
    const bytes = await rescue.get(keys.block(agent, hexOf(digest)))
    const [found] = bytes === undefined ? [] : await crypto.sha256([bytes])
    if (bytes === undefined || found === undefined || hexOf(found) !== hexOf(digest))
      throw new IgorError('STORE_DAMAGED', `block ${hexOf(digest).slice(0, 12)} of its state is missing or damaged`)
    return bytes
  }

/** Reads the current state, and checks that all of it is there. @throws IgorError STORE_DAMAGED */
const readCurrent = async (
  { store }: Context,
  read: (digest: Uint8Array) => Promise<Uint8Array>,
  { agent, genesis }: Chain,
  cid: CID,
): Promise<Current> => {
  const block = decodeState(await read(cid.multihash.digest))
  const host = decodeHostPart(await read(block.host.multihash.digest))
  await read(genesis.body.manifest.multihash.digest)
  if (genesis.body.init !== null) await read(genesis.body.init.multihash.digest)
  // A missing chunk is found now and not in the middle of a move; the content of a sound store's is checked when it is read.
  const present = new Set(await store.list(keys.blocks(agent)))
  for (const [, digest] of chunkEntries(block)) {
    if (store.damaged || !present.has(keys.block(agent, hexOf(digest)))) await read(digest)
  }
  return { block, cid, host }
}

export interface Loaded {
  readonly row: Row
  /** Undefined where this store only ever declined the agent, or lost its whole history. */
  readonly ledger: Ledger | undefined
}

/** The slot order of the keys is the order of the records. What cannot be read is left out. */
const readRecords = async (rescue: Rescue, store: Store, agent: string): Promise<LineageRecord[]> => {
  const records: LineageRecord[] = []
  for (const key of await store.list(keys.records(agent))) {
    const bytes = await rescue.get(key)
    try {
      if (bytes !== undefined) records.push(decodeRecord(bytes))
    } catch {
      // The chain tells whether it can do without.
    }
  }
  return records
}

/** The history as far as it can be followed. */
const follow = (records: readonly LineageRecord[]): { chain: Chain; records: LineageRecord[]; broken?: string } | undefined => {
  const [genesis, ...rest] = records
  if (genesis?.body.kind !== 'genesis') return undefined
  let chain = startChain(genesis)
  const followed = [genesis]
  for (const record of rest) {
    try {
      // Written by this store itself after verification: hashes and links are checked, signatures not again.
      chain = extendChain(chain, record, { gap: true, trusted: true })
      followed.push(record)
    } catch (error) {
      return { chain, records: followed, broken: messageOf(error) }
    }
  }
  return { chain, records: followed }
}

/** Whether a slot of this store is the one that may write the agent; undefined: the store does not know any more. */
export const isOwnedBy = async (store: Store, agent: string, fence: Uint8Array): Promise<boolean | undefined> => {
  const rescue = createRescue(store)
  const owner = await rescue.get(keys.owner(agent))
  if (owner === undefined) return rescue.lossy ? undefined : true
  return hexOf(owner) === hexOf(fence)
}

/**
 * Loads what the store holds of an agent. What cannot be read, or does not reach the highest slot
 * that the authority row names, halts: a lower head may be a second history.
 */
export const loadLedger = async (context: Context, agent: string): Promise<Loaded | undefined> => {
  const { store } = context
  const bytes = await store.get(keys.authority(agent))
  if (bytes === undefined) return undefined
  const rescue = createRescue(store)
  let row = decodeRow(bytes)
  const lives = row.state === 'active-owner' || row.state === 'handoff-pending'
  const found = follow(await readRecords(rescue, store, agent))
  let current: Current | undefined
  let journal: Journal | undefined
  let sealed: JournalEntry[] = []
  let broken = found === undefined ? 'it is gone' : found.broken
  if (found !== undefined && row.state !== 'retired') {
    const { chain } = found
    if (!chain.head.id.equals(row.slot.id)) {
      broken ??= `the store ends at record ${chain.head.body.seq}, but ${row.slot.seq} was written`
    } else if (chain.state?.body.state != null) {
      const read = blockReader(context, rescue, agent)
      try {
        current = await readCurrent(context, read, chain, chain.state.body.state)
        sealed = await readSealed(read, chain, found.records)
        if (row.state === 'active-owner') journal = await readJournal(context, rescue, agent, row.slot)
        advanceAll(current.host, [...sealed, ...(journal?.entries() ?? [])])
      } catch (error) {
        broken ??= messageOf(error)
      }
    }
  }
  if ((await isOwnedBy(store, agent, context.fence)) === undefined) broken ??= 'which node of this store it lives in is not known'
  const expect: Expectation[] = [[keys.authority(agent), bytes]]
  if (broken !== undefined && lives) {
    row = doubt(row, `its stored history is damaged: ${broken}`)
    await store.commit({ put: [[keys.authority(agent), encodeRow(row)]], expect })
  } else if (broken === undefined && rescue.doubtful.size > 0) {
    // All of it was checked against the row, which is kept apart: written again it is beyond doubt.
    await store.commit({ put: [...rescue.doubtful, [keys.owner(agent), context.fence]], expect })
  }
  if (found === undefined) return { row, ledger: undefined }
  const { refs, retention } = await readRetained(store, agent, found.chain, found.records, current, context.keep ?? DEFAULT_KEEP)
  const ledger = openLedger(context, {
    chain: found.chain,
    row,
    records: found.records,
    current,
    refs,
    retention,
    sealed,
    ...(journal === undefined ? {} : { journal }),
  })
  await sweepBlocks(store, ledger)
  return { row: ledger.row, ledger }
}

/** Removes what a crash left behind: blocks that nothing names. A halted agent keeps everything. */
const sweepBlocks = async (store: Store, ledger: Ledger): Promise<void> => {
  if (ledger.row.state === 'recovery-required') return
  const prefix = keys.blocks(ledger.agent)
  const { epoch, seq } = ledger.row.slot
  const rows = keys.journalRow(ledger.agent, epoch, seq, 0).slice(0, -4)
  const remove = [
    ...(await store.list(prefix)).filter((key) => !ledger.refs.has(key.slice(prefix.length))),
    ...(await store.list(keys.journal(ledger.agent))).filter((key) => !key.startsWith(rows)),
  ]
  if (remove.length > 0) await store.commit({ remove, durable: false })
}

const bodyIn = async (rescue: Rescue, key: string | undefined): Promise<Body | undefined> => {
  const bytes = key === undefined ? undefined : await rescue.get(key)
  return bytes === undefined ? undefined : decodeRecord(bytes).body
}

/** Modules that agents in this store run, or ran in what is kept of their past, those of other tabs included; undefined: some of them are not known any more. */
export const modulesInUse = async (store: Store): Promise<Set<string> | undefined> => {
  const used = new Set<string>()
  const rescue = createRescue(store)
  for (const key of await store.list(keys.authorities)) {
    const agent = key.slice(keys.authorities.length)
    try {
      const row = await rescue.get(key)
      if (row !== undefined && decodeRow(row).state === 'retired') continue
      const records = await store.list(keys.records(agent))
      // What it was born with serves to run its beginning again.
      const born = await bodyIn(rescue, records[0])
      if (born !== undefined && 'module' in born) used.add(born.module.toString())
      // What it runs is in the last record that names a module; what it ran is in those whose states and journals are kept.
      let isLast = true
      for (const key of records.reverse()) {
        const body = await bodyIn(rescue, key)
        if (body === undefined || !('state' in body)) continue
        if (!isLast && body.state !== null && (await store.get(keys.block(agent, nameOf(body.state)))) === undefined) break
        used.add(body.module.toString())
        isLast = false
      }
    } catch {
      return undefined
    }
  }
  return rescue.lossy || rescue.doubtful.size > 0 ? undefined : used
}
