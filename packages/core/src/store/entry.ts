/**
 * One entry of the main log: one batch.
 *
 *     head | table | values | head | table
 *
 * Head and table stand twice, before and behind the values, so that one damaged place never loses
 * which keys a batch changed; each value has a checksum of its own. The head:
 *
 *     0  magic (u32; another one behind)     28  sequence (u53)
 *     4  bytes of the table (u32)            36  synced (u53)
 *     8  bytes of the values (u32)           44  CRC-32 of the table (u32)
 *    12  offset of the entry (u53)           48  CRC-32 of bytes 0..47 (u32)
 *    20  index (u53)
 *
 * The table has for each key: kind (u8: 0 removed, 1 put), bytes of the key (u16), and for a put the
 * bytes of the value (u32) and its CRC-32 (u32), then the key. All checksums are seeded with the salt
 * of the file.
 *
 * @module
 */
import { getKey, getUint53, putKey, putUint53, viewOf } from './bytes.ts'
import { crc32 } from './crc.ts'
import { MAX_BATCH, MAX_BATCH_KEYS, MAX_KEY, MAX_VALUE } from './limits.ts'

export const HEAD = 52
const FRONT = 0x3c456749
const BEHIND = 0x3e456749
/** The first byte of both magics, to look for. */
export const MAGIC_BYTE = 0x49
/** Bytes of a put in the table, but for the key. */
export const PUT_ITEM = 11
const REMOVE_ITEM = 3
/** The longest table that a batch within the limits can have. */
const MAX_TABLE = 2 * MAX_BATCH_KEYS * (PUT_ITEM + MAX_KEY)

/** Where an entry stands among others. */
export interface Stamp {
  /** Of its first byte in the file. */
  readonly offset: number
  /** Counts the entries of the file without a gap: a gap means that some were lost. */
  readonly index: number
  /** Number of the batch, or of the last one before what was compacted; orders it against row copies. */
  readonly sequence: number
  /** Length of the file that was known to be durable when this was written. */
  readonly synced: number
}

export interface Item {
  readonly key: string
  /** Absent: removed. */
  readonly value?: ItemValue
}

export interface ItemValue {
  /** From the start of the entry. */
  readonly at: number
  readonly length: number
  readonly crc: number
}

/** An entry but for its stamp. */
export interface Encoded {
  readonly bytes: Uint8Array
  readonly table: number
  readonly items: readonly Item[]
}

export interface Head extends Stamp {
  readonly behind: boolean
  readonly table: number
  readonly values: number
  readonly tableCrc: number
}

/** Bytes of a whole entry. */
export function entryLength(head: Pick<Head, 'table' | 'values'>): number {
  return 2 * (HEAD + head.table) + head.values
}

/** @param puts later ones win over earlier ones and over removals */
export function encodeEntry(
  removes: readonly string[],
  puts: readonly (readonly [key: string, value: Uint8Array])[],
  salt: number,
): Encoded {
  let table = 0
  let values = 0
  for (const key of removes) table += REMOVE_ITEM + key.length
  for (const [key, value] of puts) {
    table += PUT_ITEM + key.length
    values += value.length
  }
  const bytes = new Uint8Array(entryLength({ table, values }))
  const view = viewOf(bytes)
  const items: Item[] = []
  let offset = HEAD
  let at = HEAD + table
  for (const key of removes) {
    view.setUint8(offset, 0)
    view.setUint16(offset + 1, key.length, true)
    putKey(bytes, offset + REMOVE_ITEM, key)
    offset += REMOVE_ITEM + key.length
    items.push({ key })
  }
  for (const [key, value] of puts) {
    bytes.set(value, at)
    const item = { at, length: value.length, crc: crc32(bytes.subarray(at, at + value.length), salt) }
    view.setUint8(offset, 1)
    view.setUint16(offset + 1, key.length, true)
    view.setUint32(offset + 3, item.length, true)
    view.setUint32(offset + 7, item.crc, true)
    putKey(bytes, offset + PUT_ITEM, key)
    offset += PUT_ITEM + key.length
    at += value.length
    items.push({ key, value: item })
  }
  bytes.copyWithin(at + HEAD, HEAD, HEAD + table)
  view.setUint32(4, table, true)
  view.setUint32(8, values, true)
  view.setUint32(44, crc32(bytes.subarray(HEAD, HEAD + table), salt), true)
  return { bytes, table, items }
}

/** Completes an entry with its place; may be done again when it did not get there. */
export function stampEntry({ bytes, table }: Encoded, stamp: Stamp, salt: number): void {
  const view = viewOf(bytes)
  putUint53(view, 12, stamp.offset)
  putUint53(view, 20, stamp.index)
  putUint53(view, 28, stamp.sequence)
  putUint53(view, 36, stamp.synced)
  const behind = bytes.length - HEAD - table
  view.setUint32(0, BEHIND, true)
  view.setUint32(48, crc32(bytes.subarray(0, 48), salt), true)
  bytes.copyWithin(behind, 0, HEAD)
  view.setUint32(0, FRONT, true)
  view.setUint32(48, crc32(bytes.subarray(0, 48), salt), true)
}

/** @returns undefined unless these bytes are an intact head */
export function decodeHead(bytes: Uint8Array, salt: number): Head | undefined {
  if (bytes.length < HEAD) return undefined
  const view = viewOf(bytes)
  const magic = view.getUint32(0, true)
  if (magic !== FRONT && magic !== BEHIND) return undefined
  if (view.getUint32(48, true) !== crc32(bytes.subarray(0, 48), salt)) return undefined
  const head: Head = {
    behind: magic === BEHIND,
    table: view.getUint32(4, true),
    values: view.getUint32(8, true),
    offset: getUint53(view, 12),
    index: getUint53(view, 20),
    sequence: getUint53(view, 28),
    synced: getUint53(view, 36),
    tableCrc: view.getUint32(44, true),
  }
  return head.table <= MAX_TABLE && head.values <= MAX_BATCH ? head : undefined
}

/** @returns undefined unless these bytes are the intact table of that head */
export function decodeTable(bytes: Uint8Array, head: Head, salt: number): Item[] | undefined {
  if (bytes.length !== head.table || crc32(bytes, salt) !== head.tableCrc) return undefined
  const view = viewOf(bytes)
  const items: Item[] = []
  const end = HEAD + head.table + head.values
  let at = HEAD + head.table
  for (let offset = 0; offset < bytes.length; ) {
    const put = view.getUint8(offset) === 1
    const start = offset + (put ? PUT_ITEM : REMOVE_ITEM)
    if (start > bytes.length) return undefined
    const keyLength = view.getUint16(offset + 1, true)
    if (keyLength > MAX_KEY || start + keyLength > bytes.length) return undefined
    const key = getKey(bytes, start, keyLength)
    if (put) {
      const length = view.getUint32(offset + 3, true)
      if (length > MAX_VALUE || at + length > end) return undefined
      items.push({ key, value: { at, length, crc: view.getUint32(offset + 7, true) } })
      at += length
    } else items.push({ key })
    offset = start + keyLength
  }
  return items
}
