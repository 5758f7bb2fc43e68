/**
 * The two copies of the vital keys (design section 6), apart from the main log. A copy is a file of
 * entries, each written whole:
 *
 *     0  magic (u32)                 28  generation of the main log (u53)
 *     4  offset of the entry (u53)   36  noted: length of that log that is durable (u53)
 *    12  counter (u53)               44  kind (u8: 0 removed, 1 put, 2 note alone)
 *    20  sequence (u53)              45  bytes of the key (u16), 47 zero (u8)
 *    48  bytes of the value (u32)    52  CRC-32 of 0..51, key and value, seeded with the salt (u32)
 *
 * then the key and the value. Counters go up by one, the same in both copies, and start with the
 * `first` of the file header; a file starts with all keys that were there when it was made.
 *
 * @module
 */
import { getKey, getUint53, putKey, putUint53, viewOf } from './bytes.ts'
import { crc32 } from './crc.ts'
import { decodeFileHeader, FILE_HEADER } from './file-header.ts'
import { MAX_KEY, MAX_VITAL } from './limits.ts'

const HEAD = 56
const MAGIC = 0x3d527767
const MAGIC_BYTE = 0x67

export interface Row {
  readonly counter: number
  /** Everything up to this batch is in the rows up to this one. */
  readonly sequence: number
  readonly generation: number
  readonly noted: number
  /** Absent: it only notes a length. */
  readonly change?: RowChange
}

export interface RowChange {
  readonly key: string
  /** Absent: removed. */
  readonly value?: Uint8Array
}

export function encodeRow(row: Row, offset: number, salt: number): Uint8Array {
  const key = row.change?.key ?? ''
  const value = row.change?.value
  const bytes = new Uint8Array(HEAD + key.length + (value?.length ?? 0))
  const view = viewOf(bytes)
  view.setUint32(0, MAGIC, true)
  putUint53(view, 4, offset)
  putUint53(view, 12, row.counter)
  putUint53(view, 20, row.sequence)
  putUint53(view, 28, row.generation)
  putUint53(view, 36, row.noted)
  view.setUint8(44, row.change === undefined ? 2 : value === undefined ? 0 : 1)
  view.setUint16(45, key.length, true)
  view.setUint32(48, value?.length ?? 0, true)
  putKey(bytes, HEAD, key)
  if (value !== undefined) bytes.set(value, HEAD + key.length)
  view.setUint32(52, checksum(bytes, salt), true)
  return bytes
}

function checksum(bytes: Uint8Array, salt: number): number {
  return crc32(bytes.subarray(HEAD), crc32(bytes.subarray(0, 52), salt))
}

/** One copy, as it was found. */
export interface RowCopy {
  readonly salt: number
  readonly first: number
  readonly rows: readonly Row[]
  /** Nothing but intact rows, from start to end. */
  readonly clean: boolean
}

/** @returns undefined when the file's header is gone @throws IgorError STORE_VERSION */
export function decodeCopy(name: string, bytes: Uint8Array): RowCopy | undefined {
  const header = decodeFileHeader('igorrow\n', name, bytes)
  if (header === undefined) return undefined
  const rows: Row[] = []
  let clean = true
  let offset = FILE_HEADER
  while (offset < bytes.length) {
    const found = decodeRow(bytes, offset, header.salt)
    if (found !== undefined) {
      rows.push(found.row)
      offset = found.end
      continue
    }
    clean = false
    do offset = bytes.indexOf(MAGIC_BYTE, offset + 1)
    while (offset > 0 && decodeRow(bytes, offset, header.salt) === undefined)
    if (offset < 0) break
  }
  return { ...header, rows, clean }
}

function decodeRow(file: Uint8Array, offset: number, salt: number): { row: Row; end: number } | undefined {
  if (offset + HEAD > file.length) return undefined
  const view = viewOf(file.subarray(offset, offset + HEAD))
  if (view.getUint32(0, true) !== MAGIC) return undefined
  const keyLength = view.getUint16(45, true)
  const valueLength = view.getUint32(48, true)
  const end = offset + HEAD + keyLength + valueLength
  if (keyLength > MAX_KEY || valueLength > MAX_VITAL || end > file.length) return undefined
  if (view.getUint32(52, true) !== checksum(file.subarray(offset, end), salt) || getUint53(view, 4) !== offset) return undefined
  const key = getKey(file, offset + HEAD, keyLength)
  const kind = view.getUint8(44)
  const change = kind === 1 ? { key, value: file.slice(offset + HEAD + keyLength, end) } : { key }
  const row = {
    counter: getUint53(view, 12),
    sequence: getUint53(view, 20),
    generation: getUint53(view, 28),
    noted: getUint53(view, 36),
    ...(kind === 2 ? {} : { change }),
  }
  return { row, end }
}

/** What both copies say together: the higher intact one wins. */
export interface Rows {
  /** Every change since the first is there in one copy or the other. */
  readonly complete: boolean
  /** Both copies are clean and the same. */
  readonly tidy: boolean
  readonly values: ReadonlyMap<string, { readonly sequence: number; readonly value: Uint8Array | undefined }>
  readonly nextCounter: number
  /** The highest batch up to which they know everything. */
  readonly sequence: number
  /** The main log that they know of, and how much of it was durable. 0: none. */
  readonly generation: number
  readonly noted: number
}

export function mergeCopies(copies: readonly (RowCopy | undefined)[]): Rows {
  const there = copies.filter((copy) => copy !== undefined)
  const first = Math.max(0, ...there.map((copy) => copy.first))
  const byCounter = new Map<number, Row>()
  for (const copy of there) for (const row of copy.rows) byCounter.set(row.counter, row)
  // What stands before `first` was said again from there on, in full.
  const rows = [...byCounter.values()].filter((row) => row.counter >= first).toSorted((a, b) => a.counter - b.counter)
  const last = rows.at(-1)?.counter ?? first - 1
  let complete = there.some((copy) => copy.clean)
  for (let counter = first; counter <= last; counter++) complete &&= byCounter.has(counter)
  const values = new Map<string, { sequence: number; value: Uint8Array | undefined }>()
  let sequence = 0
  let generation = 0
  let noted = 0
  for (const row of rows) {
    sequence = Math.max(sequence, row.sequence)
    // The last word counts: a log that was found shorter than noted is noted anew.
    generation = row.generation
    noted = row.noted
    if (row.change !== undefined) values.set(row.change.key, { sequence: row.sequence, value: row.change.value })
  }
  const tidy =
    there.length === copies.length &&
    there.every((copy) => copy.clean && copy.first === first && (copy.rows.at(-1)?.counter ?? first - 1) === last)
  return { complete, tidy, values, nextCounter: last + 1, sequence, generation, noted }
}
