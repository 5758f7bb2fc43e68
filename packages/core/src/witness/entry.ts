/**
 * What a witness keeps of one agent: its head row, the records along it, the blocks that the head needs.
 *
 * @module
 */
import {
  type Chain,
  chunkCid,
  decodeRecord,
  decodeState,
  extendChain,
  type LineageRecord,
  MAX_BLOCK_BYTES,
  moduleParts,
  RAW,
  type StateBlock,
  verifyChain,
  witnessOrdered,
} from '@igor/lineage'
import { decode, encode } from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import { chunkDigests, hexOf } from '../agent/blocks.ts'
import { IgorError } from '../errors.ts'
import type { Store } from '../platform.ts'
import type { Head } from './head.ts'
import { witnessKeys } from './keys.ts'

/** The lease that a row tells of. With several relays every grant writes the row, so that the others see it. */
export interface LeaseRow {
  readonly id: Uint8Array
  readonly holder: string
  /** Grants so far. */
  readonly n: number
  readonly ms: number
  /** The holder said that it goes: what is left is `RELEASE_MS`. */
  readonly released: boolean
}

export interface HeadRow {
  readonly epoch: number
  readonly seq: number
  readonly id: CID
  /** The witness's store that last heard from the holder itself; another one takes nothing over. */
  readonly incarnation: Uint8Array
  readonly frozen: string | null
  readonly lease: LeaseRow | null
  /** Of several relays, the one that wrote it is about to put the next head. */
  readonly claim?: Uint8Array
}

export interface Entry {
  readonly head: Head
  readonly row: HeadRow
  readonly rowBytes: Uint8Array
  /** Digests (hex) of the blocks in the store. */
  readonly held: Set<string>
  readonly state: StateBlock | undefined
  /** `elapsed` when this process saw the row change last: nothing is taken over for a lease from there. */
  readonly seen: number
}

export const encodeHeadRow = (row: HeadRow): Uint8Array => encode({ v: 1, ...row })

export const decodeHeadRow = (bytes: Uint8Array): HeadRow => {
  const { v, ...row } = decode<HeadRow & { readonly v: number }>(bytes)
  const id = CID.asCID(row.id)
  if (v !== 1 || id === null) throw new IgorError('STORE_VERSION', "this witness's store was written by a newer version of Igor")
  return { ...row, id }
}

export const sameBytes = (a: Uint8Array | undefined, b: Uint8Array | undefined): boolean =>
  a === b || (a !== undefined && b?.length === a.length && a.every((byte, i) => byte === b[i]))

export const digestOf = (cid: CID): string => hexOf(cid.multihash.digest)

/** @throws IgorError STORE_DAMAGED when what stands there is not whole */
export const loadEntry = async (store: Store, agent: string, now: number): Promise<Entry | undefined> => {
  const rowBytes = await store.get(witnessKeys.head(agent))
  if (rowBytes === undefined) return undefined
  const row = decodeHeadRow(rowBytes)
  const records: LineageRecord[] = []
  for (const key of await store.list(witnessKeys.records(agent))) {
    const bytes = await store.get(key)
    if (bytes !== undefined) records.push(decodeRecord(bytes))
  }
  const chain = verifyKept(records)
  if (!chain.head.id.equals(row.id))
    throw new IgorError('STORE_DAMAGED', `this witness's records of ${agent} do not reach the head that it cosigned`)
  const prefix = witnessKeys.blocks(agent)
  const held = new Set((await store.list(prefix)).map((key) => key.slice(prefix.length)))
  const cid = chain.state?.body.state
  const bytes = cid == null ? undefined : await store.get(witnessKeys.block(agent, digestOf(cid)))
  const state = bytes === undefined ? undefined : decodeState(bytes)
  return { head: { chain, records, frozen: row.frozen }, row, rowBytes, held, state, seen: now }
}

/** All of it counts, but for a change to this witness at its end: that may still lack the other one's cosignature. */
const verifyKept = (records: readonly LineageRecord[]): Chain => {
  const last = records.at(-1)
  if (last === undefined || witnessOrdered(last) === undefined) return verifyChain(records)
  return extendChain(verifyChain(records.slice(0, -1)), last, { gap: true, proposed: true })
}

/** Blocks that come or are there already, by digest (hex). */
export interface Available {
  has(digest: string): boolean
  get(digest: string): Promise<Uint8Array | undefined>
}

export interface Needs {
  /** Everything that the head needs, as far as it can be told. */
  readonly all: ReadonlySet<string>
  readonly missing: readonly CID[]
  readonly state: StateBlock | undefined
}

/**
 * Names every block that is needed to go on from a head: module, manifest, init, the newest state with its
 * host part and chunks, and the journal after it.
 */
export const needsOf = async (
  { chain, records }: Pick<Head, 'chain' | 'records'>,
  available: Available,
  known: StateBlock | undefined,
  sameState: boolean,
): Promise<Needs> => {
  const all = new Set<string>()
  const missing: CID[] = []
  const want = (cid: CID): boolean => {
    const digest = digestOf(cid)
    if (all.has(digest)) return available.has(digest)
    all.add(digest)
    if (available.has(digest)) return true
    missing.push(cid)
    return false
  }
  const read = async (cid: CID): Promise<Uint8Array> => (await available.get(digestOf(cid))) ?? new Uint8Array()
  const { module } = chain
  const { manifest, init } = chain.genesis.body
  if (want(module) && module.code !== RAW) for (const part of moduleParts(module, await read(module))) want(part)
  want(manifest)
  if (init !== null) want(init)
  for (const { body } of records) {
    if ((body.kind !== 'checkpoint' && body.kind !== 'handoff') || body.journal === null) continue
    if (body.seq > (chain.state?.body.seq ?? -1)) want(body.journal)
  }
  const cid = chain.state?.body.state
  if (cid == null || !want(cid)) return { all, missing, state: undefined }
  const state = sameState && known !== undefined ? known : decodeState(await read(cid))
  want(state.host)
  for (const digest of chunkDigests(state)) {
    if (all.has(digest)) continue
    all.add(digest)
    if (!available.has(digest)) missing.push(rawOf(digest))
  }
  return { all, missing, state }
}

const rawOf = (digest: string): CID => chunkCid(Uint8Array.from(digest.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16)))

/** @throws IgorError PROTOCOL_VIOLATION */
export const checkBlockSize = (peer: string, bytes: Uint8Array): void => {
  if (bytes.length > MAX_BLOCK_BYTES)
    throw new IgorError('PROTOCOL_VIOLATION', `peer ${peer} sent a block of ${bytes.length} bytes`)
}
