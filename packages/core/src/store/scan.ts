import { crc32 } from './crc.ts'
import { decodeHead, decodeTable, entryLength, HEAD, type Head, type Item, MAGIC_BYTE, type Stamp } from './entry.ts'
import { FILE_HEADER } from './file-header.ts'
import type { Place } from './key-index.ts'
import type { FileWindow } from './window.ts'

/** Bytes looked through at a time when an entry is searched behind a damaged place. */
const STEP = 64 * 1024

/** An entry whose keys are known; its values may yet be damaged. */
export interface Found extends Stamp {
  readonly end: number
  readonly items: readonly Item[]
}

/** What stands in a log, up to where it may be trusted. */
export interface Scan {
  readonly entries: readonly Found[]
  /** Where the next entry goes; what is behind is a torn tail, to be cut. */
  readonly end: number
  /** Index of the next entry. Leaves a gap where entries were lost at the end. */
  readonly nextIndex: number
  /** Entries were lost somewhere before this offset: what stood before them may be out of date. 0: none were. */
  readonly suspectBelow: number
  /** The last durable entries were lost. */
  readonly lostAtEnd: boolean
}

/**
 * Goes through a log. What is not intact below `noted` was durable once, so it is lost; from there
 * on it is the torn tail of a crash, which ends the log.
 *
 * @param noted length of this log that was durable for certain, from elsewhere; the log's own entries say it too
 */
export async function scanLog(view: FileWindow, salt: number, noted: number): Promise<Scan> {
  const found = await findEntries(view, salt)
  const durable = found.reduce((most, entry) => Math.max(most, entry.synced), Math.max(noted, FILE_HEADER))
  const entries: Found[] = []
  let end = FILE_HEADER
  let nextIndex = 0
  let suspectBelow = 0
  for (const entry of found) {
    const gap = entry.offset !== end || entry.index !== nextIndex
    if (gap) {
      if (entry.offset > durable) break
      suspectBelow = entry.offset
    }
    if (entry.offset >= durable && !(await valuesIntact(view, entry, salt))) break
    entries.push(entry)
    end = entry.end
    nextIndex = entry.index + 1
  }
  const lostAtEnd = end < durable
  if (lostAtEnd) {
    // What was durable is gone from here on. A gap in the count keeps that known.
    suspectBelow = end
    nextIndex++
  }
  return { entries, end, nextIndex, suspectBelow, lostAtEnd }
}

/** True when a value is what was written. */
export async function valueIntact(
  view: FileWindow,
  { offset, length, crc }: Pick<Place, 'offset' | 'length' | 'crc'>,
  salt: number,
): Promise<boolean> {
  const bytes = view.peek(offset, length) ?? (await view.read(offset, length))
  return bytes.length === length && crc32(bytes, salt) === crc
}

async function valuesIntact(view: FileWindow, entry: Found, salt: number): Promise<boolean> {
  for (const { value } of entry.items) {
    if (value !== undefined && !(await valueIntact(view, { ...value, offset: entry.offset + value.at }, salt))) return false
  }
  return true
}

/** All entries of which a head and a table are intact, wherever they are. */
async function findEntries(view: FileWindow, salt: number): Promise<Found[]> {
  const found: Found[] = []
  let offset = FILE_HEADER
  while (offset < view.size) {
    const head = await headAt(view, offset, salt)
    const next = head !== undefined && !head.behind && head.offset === offset ? head : await search(view, offset, salt)
    if (next === undefined) break
    const end = next.offset + entryLength(next)
    if (end > view.size) break
    const items = await tableOf(view, next, salt)
    if (items !== undefined) found.push({ ...next, end, items })
    offset = end
  }
  return found
}

async function headAt(view: FileWindow, offset: number, salt: number): Promise<Head | undefined> {
  return decodeHead(view.peek(offset, HEAD) ?? (await view.read(offset, HEAD)), salt)
}

/** The table in front of the values, else the one behind. */
async function tableOf(view: FileWindow, head: Head, salt: number): Promise<Item[] | undefined> {
  for (const start of [head.offset + HEAD, head.offset + 2 * HEAD + head.table + head.values]) {
    const items = decodeTable(view.peek(start, head.table) ?? (await view.read(start, head.table)), head, salt)
    if (items !== undefined) return items
  }
  return undefined
}

/** The first entry from `from` on of which one head is intact. */
async function search(view: FileWindow, from: number, salt: number): Promise<Head | undefined> {
  for (let base = from; base < view.size; base += STEP) {
    // Reads a head's length more, so that none is cut in two by the step.
    const bytes = (await view.read(base, STEP + HEAD - 1)).slice()
    for (let i = bytes.indexOf(MAGIC_BYTE); i >= 0 && i < STEP; i = bytes.indexOf(MAGIC_BYTE, i + 1)) {
      const head = decodeHead(bytes.subarray(i, i + HEAD), salt)
      if (head === undefined || head.offset < from) continue
      const place = head.behind ? head.offset + HEAD + head.table + head.values : head.offset
      if (place === base + i) return head
    }
  }
  return undefined
}
