/**
 * CARv1, the subset that Igor writes: a header `{roots: [one CID], version: 1}`, then sections of
 * `varint length, CID, block` (https://ipld.io/specs/transport/car/carv1/). Read here rather than by
 * a library because what is not the one canonical spelling must be refused (an exported agent has no
 * byte that means nothing), and because a damaged file should still be legible up to its damage.
 * The tests hold it against @ipld/car in both directions.
 *
 * @module
 */
import { CID } from 'multiformats/cid'
import type { Block } from './blocks.ts'
import { LineageError } from './errors.ts'
import { cid, DAG_CBOR, decodeAs, encodeAs, list, literal, object, RAW } from './schema.ts'
import { MAX_BLOCK_BYTES } from './types.ts'

/** A whole memory of 64 MiB, a module as large, and as much again. Check a file's size before reading it. */
export const MAX_CAR_BYTES = 256 * 1024 * 1024
/** A full memory's chunks and 20,000 records fit; a file of tiny blocks cannot exhaust memory. */
export const MAX_CAR_BLOCKS = 50_000

/** All CIDs here: CIDv1, one-byte codec, sha2-256. */
const CID_BYTES = 36
const MAX_HEADER_BYTES = 128
/** Enough for 2^28, more than a section may have. */
const MAX_VARINT_BYTES = 4

interface Header {
  readonly roots: readonly CID[]
  readonly version: 1
}

const readHeader = object<Header>({ roots: list(cid(DAG_CBOR), 1), version: literal(1) })
const readCid = cid(RAW, DAG_CBOR)

export interface CarLimits {
  readonly maxBytes?: number
  readonly maxBlocks?: number
}

/** What could be read; `error` is where it ended, if that was not the end of the file. */
export interface Sections {
  readonly root?: CID
  /** In the file's order; views into it. Not hashed yet. */
  readonly blocks: readonly Block[]
  readonly error?: LineageError
}

const bad = (message: string): LineageError => new LineageError('BAD_CAR', message)

/** An unsigned LEB128 in its shortest form. */
function readVarint(bytes: Uint8Array, offset: number): { readonly value: number; readonly next: number } {
  let value = 0
  for (let i = 0; i < MAX_VARINT_BYTES; i++) {
    const byte = bytes[offset + i]
    if (byte === undefined) throw bad(`the file ends within a length, at byte ${offset + i}`)
    value += (byte & 0x7f) * 2 ** (7 * i)
    if (byte < 0x80) {
      if (byte === 0 && i > 0) throw bad(`the length at byte ${offset} is not in its shortest form`)
      return { value, next: offset + i + 1 }
    }
  }
  throw bad(`the length at byte ${offset} is too large`)
}

function varint(value: number): number[] {
  const out: number[] = []
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...out, rest]
    out.push((rest % 128) + 128)
  }
}

/**
 * Reads as far as the file is whole. Never throws for what is in the file.
 */
export function readSections(bytes: Uint8Array, limits: CarLimits = {}): Sections {
  const { maxBytes = MAX_CAR_BYTES, maxBlocks = MAX_CAR_BLOCKS } = limits
  const blocks: Block[] = []
  let root: CID | undefined
  try {
    if (bytes.length > maxBytes)
      throw new LineageError('TOO_LARGE', `the file has ${bytes.length} bytes, at most ${maxBytes} are read`)
    const header = take(bytes, 0, MAX_HEADER_BYTES, 'header')
    ;[root] = decodeAs(readHeader, header.bytes, 'header', MAX_HEADER_BYTES).roots
    if (root === undefined) throw bad('the file has no root')
    for (let offset = header.next; offset < bytes.length; ) {
      if (blocks.length >= maxBlocks) throw new LineageError('TOO_LARGE', `the file has more than ${maxBlocks} blocks`)
      const section = take(bytes, offset, CID_BYTES + MAX_BLOCK_BYTES, 'block')
      if (section.bytes.length < CID_BYTES) throw bad(`the block at byte ${offset} has no CID`)
      blocks.push({ cid: cidAt(section.bytes, offset), bytes: section.bytes.subarray(CID_BYTES) })
      offset = section.next
    }
    return { root, blocks }
  } catch (cause) {
    const error = cause instanceof LineageError ? cause : new LineageError('BAD_CAR', 'the file cannot be read', { cause })
    return { ...(root === undefined ? {} : { root }), blocks, error }
  }
}

function take(
  bytes: Uint8Array,
  offset: number,
  max: number,
  what: string,
): { readonly bytes: Uint8Array; readonly next: number } {
  const { value, next } = readVarint(bytes, offset)
  if (value > max)
    throw bad(`the ${what} at byte ${offset} has ${value} bytes, at most ${max} are allowed: not a .car file, or damaged`)
  if (next + value > bytes.length) throw bad(`the file ends within the ${what} at byte ${offset}: it is cut off or damaged`)
  return { bytes: bytes.subarray(next, next + value), next: next + value }
}

function cidAt(section: Uint8Array, offset: number): CID {
  try {
    // A copy: a CID must not keep a whole file alive.
    return readCid(CID.decode(section.slice(0, CID_BYTES)), 'cid')
  } catch (cause) {
    throw new LineageError('BAD_CAR', `the block at byte ${offset} has a CID that is not used here`, { cause })
  }
}

/**
 * @param blocks written in this order, duplicates once
 * @throws LineageError TOO_LARGE
 */
export function writeSections(root: CID, blocks: Iterable<Block>): Uint8Array {
  const header = encodeAs(readHeader, { roots: [root], version: 1 }, 'header', MAX_HEADER_BYTES)
  const parts: (Uint8Array | readonly number[])[] = [varint(header.length), header]
  const seen = new Set<string>()
  for (const { cid, bytes } of blocks) {
    const name = cid.toString()
    if (seen.has(name)) continue
    seen.add(name)
    if (bytes.length > MAX_BLOCK_BYTES)
      throw new LineageError('TOO_LARGE', `the block ${name} has more than ${MAX_BLOCK_BYTES} bytes`)
    parts.push(varint(CID_BYTES + bytes.length), cid.bytes, bytes)
  }
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  if (length > MAX_CAR_BYTES || seen.size > MAX_CAR_BLOCKS) {
    throw new LineageError('TOO_LARGE', `the file would have ${length} bytes in ${seen.size} blocks, more than is read again`)
  }
  const out = new Uint8Array(length)
  let offset = 0
  for (const part of parts) {
    out.set(part, offset)
    offset += part.length
  }
  return out
}
