/**
 * State blocks: the index of an agent's memory (docs/design.md, section 4).
 *
 * @module
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { type Block, cborCid, cidOfDigest, DIGEST_BYTES } from './blocks.ts'
import { equalBytes } from './bytes.ts'
import { LineageError } from './errors.ts'
import { bytes, cid, DAG_CBOR, decodeAs, encodeAs, integer, list, literal, object, RAW, type Read } from './schema.ts'
import { CHUNK_BYTES, MAX_BLOCK_BYTES, type StateBlock } from './types.ts'

export type MemoryIndex = StateBlock['memory']

/** Ceiling of an agent's linear memory. */
export const MAX_MEMORY_BYTES = 64 * 1024 * 1024
/** A WebAssembly page. */
const PAGE_BYTES = 64 * 1024
const MAX_CHUNKS = MAX_MEMORY_BYTES / CHUNK_BYTES
/** Together with a full memory's digests still far below one block. */
export const MAX_GLOBALS = 4096

/** Digest of a chunk of zeros: such a chunk is left out. */
const ZERO_CHUNK = sha256(new Uint8Array(CHUNK_BYTES))

const readMemory = object<MemoryIndex>({
  bytes: integer(0, MAX_MEMORY_BYTES),
  // At most every second chunk starts a run.
  runs: list(readRun, MAX_CHUNKS / 2),
})

const readState = object<StateBlock>({
  version: literal(1),
  memory: canonicalMemory,
  globals: list(readGlobal, MAX_GLOBALS),
  host: cid(DAG_CBOR),
})

const readFirst = integer(0, MAX_CHUNKS - 1)
const readDigests = bytes(DIGEST_BYTES, MAX_CHUNKS * DIGEST_BYTES)

function readRun(value: unknown, where: string): readonly [number, Uint8Array] {
  if (!Array.isArray(value) || value.length !== 2) throw new LineageError('BAD_FIELD', `${where} must be [first, digests]`)
  return [readFirst(value[0], `${where}.first`), readDigests(value[1], `${where}.digests`)]
}

function readGlobal(value: unknown, where: string): Uint8Array {
  const global = bytes(4, 16)(value, where)
  if (global.length !== 4 && global.length !== 8 && global.length !== 16)
    throw new LineageError('BAD_FIELD', `${where} must be 4, 8 or 16 bytes`)
  return global
}

/** One memory has one index: ascending, maximal runs, no chunk of zeros, nothing beyond the end. */
function canonicalMemory(value: unknown, where: string): MemoryIndex {
  const memory = readMemory(value, where)
  const refused = (why: string) => new LineageError('BAD_FIELD', `${where} ${why}`)
  if (memory.bytes % PAGE_BYTES !== 0) throw refused('must be whole pages of 64 KiB')
  let free = -1
  for (const [first, digests] of memory.runs) {
    // A run that starts where the one before ended should have been one with it.
    if (first <= free) throw refused('must have ascending runs, as long as can be')
    if (digests.length % DIGEST_BYTES !== 0) throw refused('has a digest that is cut off')
    free = first + digests.length / DIGEST_BYTES
    if (free * CHUNK_BYTES > memory.bytes) throw refused('has chunks beyond its end')
    for (let at = 0; at < digests.length; at += DIGEST_BYTES) {
      if (isZero(digests, at)) throw refused('lists a chunk of zeros')
    }
  }
  return memory
}

function isZero(digests: Uint8Array, at: number): boolean {
  return digests[at] === ZERO_CHUNK[0] && equalBytes(digests.subarray(at, at + DIGEST_BYTES), ZERO_CHUNK)
}

/** @throws LineageError BAD_FIELD */
export function encodeState(state: StateBlock): Block {
  const encoded = encodeStateBytes(state)
  return { cid: cborCid(encoded), bytes: encoded }
}

/**
 * For whoever hashes faster than JavaScript can: a full memory's index has half a megabyte.
 *
 * @throws LineageError BAD_FIELD
 */
export function encodeStateBytes(state: StateBlock): Uint8Array {
  return encodeAs(readState as Read<StateBlock>, state, 'state', MAX_BLOCK_BYTES)
}

/** The CID of a state, from the SHA-256 of its bytes. */
export const stateCid = (digest: Uint8Array) => cidOfDigest(DAG_CBOR, digest)

/** @throws LineageError TOO_LARGE | BAD_ENCODING | BAD_FIELD */
export function decodeState(encoded: Uint8Array): StateBlock {
  return decodeAs(readState, encoded, 'state', MAX_BLOCK_BYTES)
}

/** A changed chunk: its index and the SHA-256 of its 4 KiB, or null if it is zero now. */
export type ChunkChange = readonly [index: number, digest: Uint8Array | null]

/**
 * The index of a memory from its non-zero chunks.
 *
 * @param memoryBytes a multiple of 64 KiB, at most 64 MiB
 * @throws LineageError BAD_FIELD
 */
export function buildMemory(memoryBytes: number, chunks: Iterable<ChunkChange>): MemoryIndex {
  return applyDigests({ bytes: 0, runs: [] }, memoryBytes, chunks)
}

/**
 * The index after some chunks changed. Chunks beyond a memory that shrank are dropped. Costs a copy of
 * the digests (32 bytes a chunk), whatever changed.
 *
 * @param memoryBytes a multiple of 64 KiB, at most 64 MiB
 * @throws LineageError BAD_FIELD
 */
export function applyDigests(memory: MemoryIndex, memoryBytes: number, changes: Iterable<ChunkChange>): MemoryIndex {
  if (!Number.isInteger(memoryBytes) || memoryBytes < 0 || memoryBytes > MAX_MEMORY_BYTES || memoryBytes % PAGE_BYTES !== 0) {
    throw new LineageError('BAD_FIELD', `a memory has whole pages, at most ${MAX_MEMORY_BYTES} bytes, not ${memoryBytes}`)
  }
  const chunks = memoryBytes / CHUNK_BYTES
  const digests = new Uint8Array(chunks * DIGEST_BYTES)
  const present = new Uint8Array(chunks)
  for (const [first, run] of memory.runs) {
    const count = Math.min(run.length / DIGEST_BYTES, chunks - first)
    if (count <= 0) break
    digests.set(run.subarray(0, count * DIGEST_BYTES), first * DIGEST_BYTES)
    present.fill(1, first, first + count)
  }
  for (const [index, digest] of changes) {
    if (!Number.isInteger(index) || index < 0 || index >= chunks)
      throw new LineageError('BAD_FIELD', `chunk ${index} lies outside the memory`)
    if (digest !== null && digest.length !== DIGEST_BYTES)
      throw new LineageError('BAD_FIELD', `the digest of chunk ${index} must have 32 bytes`)
    present[index] = digest === null || isZero(digest, 0) ? 0 : 1
    if (digest !== null) digests.set(digest, index * DIGEST_BYTES)
  }
  const runs: (readonly [number, Uint8Array])[] = []
  for (let first = present.indexOf(1); first !== -1; ) {
    const end = present.indexOf(0, first)
    const stop = end === -1 ? chunks : end
    runs.push([first, digests.slice(first * DIGEST_BYTES, stop * DIGEST_BYTES)])
    first = end === -1 ? -1 : present.indexOf(1, stop)
  }
  return { bytes: memoryBytes, runs }
}

/** The non-zero chunks of a memory, ascending; a digest is a view into the index. */
export function* chunkEntries(state: Pick<StateBlock, 'memory'>): Generator<readonly [index: number, digest: Uint8Array]> {
  for (const [first, digests] of state.memory.runs) {
    for (let at = 0; at < digests.length; at += DIGEST_BYTES) {
      yield [first + at / DIGEST_BYTES, digests.subarray(at, at + DIGEST_BYTES)]
    }
  }
}

/**
 * What must be fetched to go from one memory to another.
 *
 * @returns chunks of `to` that `from` does not have at that index, and null for those that became zero
 */
export function changedChunks(from: Pick<StateBlock, 'memory'>, to: Pick<StateBlock, 'memory'>): ChunkChange[] {
  const changes: ChunkChange[] = []
  const end = to.memory.bytes / CHUNK_BYTES
  const before = walk(from.memory)
  const after = walk(to.memory)
  // A step is a stretch in which neither memory's run begins or ends.
  for (let at = 0; at < end; ) {
    const old = before(at)
    const now = after(at)
    const stop = Math.min(old.stop, now.stop, end)
    for (let index = at; index < stop; index++) {
      if (now.digests === undefined) {
        if (old.digests !== undefined) changes.push([index, null])
        continue
      }
      const place = (index - now.first) * DIGEST_BYTES
      const same = old.digests !== undefined && sameDigest(old.digests, (index - old.first) * DIGEST_BYTES, now.digests, place)
      if (!same) changes.push([index, now.digests.subarray(place, place + DIGEST_BYTES)])
    }
    at = stop
  }
  return changes
}

/** Chunks that are listed, or zero, up to `stop`. */
interface Stretch {
  readonly first: number
  readonly stop: number
  readonly digests?: Uint8Array
}

/** Finds the stretch of a chunk; asked for ascending chunks. */
function walk({ runs }: MemoryIndex): (index: number) => Stretch {
  let next = 0
  return (index) => {
    for (;;) {
      const run = runs[next]
      if (run === undefined) return { first: index, stop: MAX_CHUNKS }
      const [first, digests] = run
      const stop = first + digests.length / DIGEST_BYTES
      if (index < first) return { first: index, stop: first }
      if (index < stop) return { first, stop, digests }
      next++
    }
  }
}

function sameDigest(a: Uint8Array, atA: number, b: Uint8Array, atB: number): boolean {
  for (let i = 0; i < DIGEST_BYTES; i++) if (a[atA + i] !== b[atB + i]) return false
  return true
}

/** The CID of a chunk, from its digest. */
export const chunkCid = (digest: Uint8Array) => cidOfDigest(RAW, digest)
