/**
 * An agent as a file: one CARv1 whose root is the head, and which holds all that is needed to go on
 * elsewhere, of what its records name as much as was kept to replay it, and nothing else.
 *
 * @module
 */
import { sha256 } from '@noble/hashes/sha2.js'
import type { CID } from 'multiformats/cid'
import { type Block, cborCid, moduleParts } from './blocks.ts'
import { equalBytes, plainBytes } from './bytes.ts'
import { type CarLimits, readSections, writeSections } from './car.ts'
import { verifyChain } from './chain.ts'
import { LineageError } from './errors.ts'
import { decodeRecord, isRecordEnvelope } from './records.ts'
import { DAG_CBOR } from './schema.ts'
import { changedChunks, chunkCid, chunkEntries, decodeState } from './state.ts'
import { CHUNK_BYTES, type Chain, type LineageRecord, type StateBlock } from './types.ts'

/** Twice the longest anchor chain that a node takes; each costs about a millisecond to verify. */
export const MAX_FILE_RECORDS = 20_000

export interface AgentFile {
  readonly chain: Chain
  /** Oldest first. */
  readonly records: readonly LineageRecord[]
  readonly head: LineageRecord
  /** By CID; all that the agent needs to go on, and what was kept of earlier states and journals; without the records. Views into the file. */
  readonly blocks: ReadonlyMap<string, Uint8Array>
}

export interface ReadCarOptions extends CarLimits {
  readonly maxRecords?: number
  /** SHA-256 of each input, in order; a platform's is faster than the built-in one and need not block. */
  readonly sha256?: (inputs: readonly Uint8Array[]) => Promise<Uint8Array[]>
}

/**
 * @param file records oldest first (plain checkpoints may be missing as `pruneRecords` drops them), the
 *   blocks that `neededBlocks` names, and any that `retainedBlocks` does; nothing is verified here
 * @throws LineageError TOO_LARGE | NOT_GENESIS when there is no record
 */
export function writeCar(file: { readonly records: readonly LineageRecord[]; readonly blocks: Iterable<Block> }): Uint8Array {
  const envelopes = file.records.map((record) => ({ cid: cborCid(record.bytes), bytes: record.bytes }))
  const head = envelopes.at(-1)
  if (head === undefined) throw new LineageError('NOT_GENESIS', 'a lineage has at least a genesis')
  return writeSections(head.cid, [...envelopes, ...file.blocks])
}

/**
 * Reads and verifies a file: every block against its CID, every record, the chain from genesis to the
 * root, and that every block is there that the head needs. A block that no record leads to is refused too:
 * the file has no byte that could be changed or added without notice.
 *
 * @throws LineageError
 */
export async function readCar(bytes: Uint8Array, options: ReadCarOptions = {}): Promise<AgentFile> {
  const { root, blocks, error } = await readSections(plainBytes(bytes), options)
  if (error !== undefined) throw error
  if (root === undefined) throw new LineageError('BAD_CAR', 'the file has no root')
  const inputs = blocks.map((block) => block.bytes)
  const digests = options.sha256 === undefined ? inputs.map((input) => sha256(input)) : await options.sha256(inputs)
  return assemble(root, blocks, digests, options.maxRecords)
}

/** The same, from sections and the digests of their blocks. */
export function assemble(
  root: CID,
  sections: readonly Block[],
  digests: readonly Uint8Array[],
  maxRecords = MAX_FILE_RECORDS,
): AgentFile {
  const blocks = new Map<string, Uint8Array>()
  sections.forEach(({ cid, bytes }, index) => {
    const digest = digests[index]
    if (digest === undefined || !equalBytes(cid.multihash.digest, digest)) {
      throw new LineageError('BAD_BLOCK', `the block ${cid} is not what its name says: the file is damaged`)
    }
    const name = cid.toString()
    if (blocks.has(name)) throw new LineageError('BAD_CAR', `the block ${cid} is there twice`)
    blocks.set(name, bytes)
  })
  const records = sections.filter(isEnvelope).map(({ cid, bytes }) => {
    blocks.delete(cid.toString())
    return { cid, record: decodeRecord(bytes) }
  })
  if (records.length > maxRecords) throw new LineageError('TOO_LARGE', `the file has more than ${maxRecords} records`)
  records.sort((a, b) => a.record.body.seq - b.record.body.seq)
  const last = records.at(-1)
  if (last === undefined || !last.cid.equals(root)) {
    throw new LineageError('WRONG_ROOT', `the file's root ${root} is not the envelope of its last record`)
  }
  const ordered = records.map(({ record }) => record)
  const chain = verifyChain(ordered)
  checkBlocks(chain, ordered, blocks)
  return { chain, records: ordered, head: last.record, blocks }
}

/** True if it has the form of a signed body: no other block of an agent has. */
export function isEnvelope({ cid, bytes }: Block): boolean {
  return cid.code === DAG_CBOR && isRecordEnvelope(bytes)
}

function checkBlocks(chain: Chain, records: readonly LineageRecord[], blocks: ReadonlyMap<string, Uint8Array>): void {
  const needed = new Set<string>()
  for (const cid of neededBlocks(chain, records, (wanted) => blocks.get(wanted.toString()))) {
    if (!blocks.has(cid.toString())) throw missing(cid)
    needed.add(cid.toString())
  }
  if (needed.size === blocks.size) return
  for (const cid of retainedBlocks(records, (wanted) => blocks.get(wanted.toString()))) needed.add(cid.toString())
  for (const name of blocks.keys()) {
    if (!needed.has(name)) throw new LineageError('UNREACHABLE_BLOCK', `nothing in the file needs its block ${name}`)
  }
}

/**
 * Names what earlier records lead to, beyond `neededBlocks`: modules, journals, and states as far as their blocks are
 * there, newest first. Of a state it names what the next one that is there does without.
 *
 * @param get gives the states
 * @throws LineageError when a state is malformed
 */
export function* retainedBlocks(records: readonly LineageRecord[], get: (cid: CID) => Uint8Array | undefined): Generator<CID> {
  let newer: StateBlock = { version: 1, memory: { bytes: 0, runs: [] }, globals: [], host: cborCid(new Uint8Array()) }
  for (const { body } of records.toReversed()) {
    // What it ran before an upgrade.
    if (body.kind === 'genesis' || body.kind === 'checkpoint') {
      const root = get(body.module)
      yield body.module
      if (root !== undefined) yield* moduleParts(body.module, root)
    }
    if (body.kind !== 'checkpoint' && body.kind !== 'handoff') continue
    if (body.journal !== null) yield body.journal
    const bytes = body.state === null ? undefined : get(body.state)
    if (body.state === null || bytes === undefined) continue
    const state = decodeState(bytes)
    yield body.state
    yield state.host
    for (const [, digest] of changedChunks(newer, state)) if (digest !== null) yield sizedChunk(digest, get)
    newer = state
  }
}

function sizedChunk(digest: Uint8Array, get: (cid: CID) => Uint8Array | undefined): CID {
  const cid = chunkCid(digest)
  const chunk = get(cid)
  if (chunk !== undefined && chunk.length !== CHUNK_BYTES)
    throw new LineageError('BAD_BLOCK', `the chunk ${cid} has ${chunk.length} bytes instead of ${CHUNK_BYTES}`)
  return cid
}

const missing = (cid: CID): LineageError => new LineageError('MISSING_BLOCK', `the block ${cid} is missing`)

/**
 * Names every block that is needed to go on from the head: module, manifest, init, the newest state
 * with its host part and chunks, and the journal after it.
 *
 * @param records at least those after the newest state
 * @param get gives the blocks that name others: a module's list, the state
 * @throws LineageError MISSING_BLOCK when `get` has not what it must, or what it has is malformed
 */
export function* neededBlocks(
  chain: Chain,
  records: readonly LineageRecord[],
  get: (cid: CID) => Uint8Array | undefined,
): Generator<CID> {
  const { module } = chain
  const { manifest, init } = chain.genesis.body
  yield module
  if (module.code === DAG_CBOR) yield* moduleParts(module, found(module, get))
  yield manifest
  if (init !== null) yield init
  const from = chain.state
  if (from?.body.state == null) return
  yield from.body.state
  const state = decodeState(found(from.body.state, get))
  yield state.host
  for (const [, digest] of chunkEntries(state)) yield sizedChunk(digest, get)
  for (const { body } of records) {
    if ((body.kind === 'checkpoint' || body.kind === 'handoff') && body.seq > from.body.seq && body.journal !== null)
      yield body.journal
  }
}

function found(cid: CID, get: (cid: CID) => Uint8Array | undefined): Uint8Array {
  const bytes = get(cid)
  if (bytes === undefined) throw missing(cid)
  return bytes
}
