/**
 * An agent's memory, globals and kv at a tick boundary, and what changed from one boundary to the next.
 *
 * @module
 */
import { CHUNK_BYTES, chunksChangedSince, isZero } from '@igor/sandbox'
import { emptyKv, type Kv, kvEntries, kvOf } from './kv.ts'
import type { Delta, Image, ImagePatch, JobResult } from './protocol.ts'
import type { Sha256 } from './seed.ts'

const WASM_PAGE = 64 * 1024
const DIGEST = 32

/** A memory by its chunks that are not zero: most of an agent's is. */
export interface Memory {
  readonly bytes: number
  readonly chunks: Map<number, Uint8Array>
}

/** The boundary as the worker keeps it. */
export interface Boundary {
  readonly memory: Memory
  readonly globals: readonly Uint8Array[]
  readonly kv: Kv
}

export const emptyBoundary = (): Boundary => ({ memory: { bytes: 0, chunks: new Map() }, globals: [], kv: emptyKv })

/** The image breaks its own rules: it was damaged, or made by another's broken host. */
export class ImageError extends Error {}

const sized = (memory: Memory, bytes: number): Memory => {
  if (!Number.isSafeInteger(bytes) || bytes < 0 || bytes % WASM_PAGE !== 0) throw new ImageError(`memory of ${bytes} bytes`)
  if (bytes < memory.bytes) throw new ImageError(`memory shrank from ${memory.bytes} to ${bytes} bytes`)
  return bytes === memory.bytes ? memory : { ...memory, bytes }
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
    const fits = Number.isSafeInteger(index) && index >= 0 && (index + 1) * CHUNK_BYTES <= memory.bytes
    if (!fits || (bytes !== null && bytes.length !== CHUNK_BYTES)) throw new ImageError(`chunk ${index} does not fit`)
    if (bytes === null || isZero(bytes)) memory.chunks.delete(index)
    else memory.chunks.set(index, bytes)
  }
  return { memory, globals: image.globals, kv }
}

/** A memory as the sandbox restores it: views, no copies. */
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
  const memory = sized(base.memory, now.length)
  const { chunks } = memory
  for (const index of chunksChangedSince(chunks, now)) {
    const chunk = now.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES)
    const before = chunks.get(index)
    dirty.add(index)
    if (isZero(chunk)) chunks.delete(index)
    else if (before === undefined) chunks.set(index, chunk.slice())
    else before.set(chunk)
  }
  return { memory, globals, kv }
}

/**
 * The chunks that may have changed since the state before, hashed. They share one buffer, their digests
 * another, so that sending them moves two buffers whatever their number.
 */
export const deltaOf = ({ memory, globals, kv }: Boundary, dirty: ReadonlySet<number>, kvBefore: Kv, sha256: Sha256): Delta => {
  const changed = [...dirty].sort((a, b) => a - b)
  const kept = changed.filter((index) => memory.chunks.has(index))
  const bytes = new Uint8Array(kept.length * CHUNK_BYTES)
  const digests = new Uint8Array(kept.length * DIGEST)
  let next = 0
  const chunks = changed.map((index): Delta['chunks'][number] => {
    const now = memory.chunks.get(index)
    if (now === undefined) return [index, null, null]
    const chunk = bytes.subarray(next * CHUNK_BYTES, (next + 1) * CHUNK_BYTES)
    chunk.set(now)
    const digest = digests.subarray(next * DIGEST, (next + 1) * DIGEST)
    digest.set(sha256(chunk))
    next++
    return [index, chunk, digest]
  })
  return { memoryBytes: memory.bytes, chunks, globals, ...(kv === kvBefore ? {} : { kv: kvEntries(kv) }) }
}

/** The large buffers of a result: given away when it is sent. */
export const buffersOf = ({ delta, view }: JobResult): ArrayBuffer[] => {
  const first = delta?.chunks.find(([, bytes]) => bytes !== null)
  const own = first?.[1] && first[2] ? [first[1].buffer as ArrayBuffer, first[2].buffer as ArrayBuffer] : []
  return view === undefined ? own : [...own, view.bytes.buffer as ArrayBuffer]
}
