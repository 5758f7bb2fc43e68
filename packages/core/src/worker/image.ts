/**
 * An agent's memory, globals and kv at a tick boundary, and what changed from one boundary to the next.
 *
 * @module
 */
import { CHUNK_BYTES, changedChunks, isZero } from '@igor/sandbox'
import { emptyKv, type Kv, kvEntries, kvOf } from './kv.ts'
import type { Delta, Image, ImagePatch, JobResult } from './protocol.ts'
import type { Sha256 } from './seed.ts'

const WASM_PAGE = 64 * 1024
const DIGEST = 32

/** The boundary as the worker keeps it: memory flat, so that comparing is one pass. */
export interface Boundary {
  readonly memory: Uint8Array
  readonly globals: readonly Uint8Array[]
  readonly kv: Kv
}

export const emptyBoundary: Boundary = { memory: new Uint8Array(0), globals: [], kv: emptyKv }

/** The image breaks its own rules: it was damaged, or made by another's broken host. */
export class ImageError extends Error {}

const sized = (memory: Uint8Array, bytes: number): Uint8Array => {
  if (!Number.isSafeInteger(bytes) || bytes < 0 || bytes % WASM_PAGE !== 0) throw new ImageError(`memory of ${bytes} bytes`)
  if (bytes === memory.length) return memory
  if (bytes < memory.length) throw new ImageError(`memory shrank from ${memory.length} to ${bytes} bytes`)
  const larger = new Uint8Array(bytes)
  larger.set(memory)
  return larger
}

/**
 * Takes an image in, or a patch onto a boundary (whose memory it may change in place).
 * @param maxMemoryBytes the module's cap
 * @throws ImageError
 */
export const applyImage = (base: Boundary, image: Image | ImagePatch, maxMemoryBytes: number): Boundary => {
  if (image.memoryBytes > maxMemoryBytes)
    throw new ImageError(`memory of ${image.memoryBytes} bytes is over the limit of ${maxMemoryBytes}`)
  const kv = kvOf(image.kv)
  if (kv === undefined) throw new ImageError('its kv breaks a limit or is out of order')
  const memory = sized(base.memory, image.memoryBytes)
  for (const [index, bytes] of image.chunks) {
    const at = index * CHUNK_BYTES
    const fits = Number.isSafeInteger(index) && index >= 0 && at + CHUNK_BYTES <= memory.length
    if (!fits || (bytes !== null && bytes.length !== CHUNK_BYTES)) throw new ImageError(`chunk ${index} does not fit`)
    if (bytes === null) memory.fill(0, at, at + CHUNK_BYTES)
    else memory.set(bytes, at)
  }
  return { memory, globals: image.globals, kv }
}

/** The boundary as the sandbox restores it: views, no copies. */
export const nonZeroChunks = (memory: Uint8Array): (readonly [index: number, bytes: Uint8Array])[] => {
  const chunks: (readonly [number, Uint8Array])[] = []
  for (let at = 0; at < memory.length; at += CHUNK_BYTES) {
    const bytes = memory.subarray(at, at + CHUNK_BYTES)
    if (!isZero(bytes)) chunks.push([at / CHUNK_BYTES, bytes])
  }
  return chunks
}

/**
 * Moves a boundary on to the present: its memory is updated in place, the chunks that differed are added to `dirty`.
 * @param now the live memory
 */
export const advance = (
  base: Boundary,
  now: Uint8Array,
  globals: readonly Uint8Array[],
  kv: Kv,
  dirty: Set<number>,
): Boundary => {
  const changed = changedChunks(base.memory, now)
  const memory = sized(base.memory, now.length)
  for (const index of changed) {
    const at = index * CHUNK_BYTES
    memory.set(now.subarray(at, at + CHUNK_BYTES), at)
    dirty.add(index)
  }
  return { memory, globals, kv }
}

/**
 * The chunks that may have changed since the state before, hashed. They share one buffer, their digests
 * another, so that sending them moves two buffers whatever their number.
 */
export const deltaOf = ({ memory, globals, kv }: Boundary, dirty: ReadonlySet<number>, kvBefore: Kv, sha256: Sha256): Delta => {
  const changed = [...dirty].sort((a, b) => a - b)
  const chunkAt = (index: number): Uint8Array => memory.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES)
  const kept = changed.filter((index) => !isZero(chunkAt(index)))
  const bytes = new Uint8Array(kept.length * CHUNK_BYTES)
  const digests = new Uint8Array(kept.length * DIGEST)
  let next = 0
  const chunks = changed.map((index): Delta['chunks'][number] => {
    if (kept[next] !== index) return [index, null, null]
    const chunk = bytes.subarray(next * CHUNK_BYTES, (next + 1) * CHUNK_BYTES)
    chunk.set(chunkAt(index))
    const digest = digests.subarray(next * DIGEST, (next + 1) * DIGEST)
    digest.set(sha256(chunk))
    next++
    return [index, chunk, digest]
  })
  return { memoryBytes: memory.length, chunks, globals, ...(kv === kvBefore ? {} : { kv: kvEntries(kv) }) }
}

/** The large buffers of a result: given away when it is sent. */
export const buffersOf = ({ delta, view }: JobResult): ArrayBuffer[] => {
  const first = delta?.chunks.find(([, bytes]) => bytes !== null)
  const own = first?.[1] && first[2] ? [first[1].buffer as ArrayBuffer, first[2].buffer as ArrayBuffer] : []
  return view === undefined ? own : [...own, view.bytes.buffer as ArrayBuffer]
}
