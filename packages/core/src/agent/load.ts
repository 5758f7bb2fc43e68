/**
 * How an agent's ledger comes back: loaded from the store, as far as that is whole.
 *
 * @module
 */
import {
  type Chain,
  chunkEntries,
  decodeRecord,
  decodeState,
  extendChain,
  type JournalEntry,
  type LineageRecord,
  startChain,
} from '@igor/lineage'
import type { CID } from 'multiformats/cid'
import { decodeRow, doubt, encodeRow, type Row } from '../authority/row.ts'
import { IgorError, StoreFullError } from '../errors.ts'
import { keys } from '../keys.ts'
import type { Expectation, Store } from '../platform.ts'
import { messageOf } from '../thrown.ts'
import { advanceAll } from './advance.ts'
import { hexOf } from './blocks.ts'
import type { Context } from './context.ts'
import { decodeHostPart } from './host-part.ts'
import type { Journal } from './journal.ts'
import { type Ledger, openLedger } from './ledger.ts'
import { readJournal, readRetained, readSealed } from './reload.ts'
import { createRescue, type Rescue } from './rescue.ts'
import { DEFAULT_KEEP } from './retention.ts'
import type { Current } from './state.ts'

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
 *
 * @throws StoreFullError while there is no room to put in order what a crash left: nothing is lost, it is for later
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
        if (error instanceof StoreFullError) throw error
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
