/**
 * The journal: what the ticks since a state observed, so that state + journal = the exact present
 * (docs/design.md, section 3; docs/formats.md).
 *
 * An entry is encoded against the header before it: what that one says already is left out. Nothing but
 * what cannot be derived is written: no seed, no result of a tick beside the fuel that it took.
 *
 * @module
 */
import { decodeOptions, encode } from '@ipld/dag-cbor'
import { decodeFirst } from 'cborg'
import { type Block, cborCid } from './blocks.ts'
import { equalBytes, plainBytes } from './bytes.ts'
import { LineageError } from './errors.ts'
import { bytes, decodeAs, encodeAs, int64, integer, list, literal, natural, nullable, object, type Read, text } from './schema.ts'
import { MAX_BLOCK_BYTES } from './types.ts'

/** Ticks of one entry, and messages that they take: a batch, with room. */
export const MAX_RUN_TICKS = 65_536
/** Bytes of a message. */
export const MAX_JOURNAL_MESSAGE = 64 * 1024
/** Of an id by which a message is let in once. */
const MESSAGE_ID_BYTES = 16
/** Code points of the reason why a tick failed. */
export const MAX_FAILURE = 256
/** Receipts that an agent can look back on. */
export const MAX_RECEIPTS = 16
/** tick, time (ms), fuel, cost, each 8 bytes little-endian, then the record's SHA-256. */
export const RECEIPT_BYTES = 64
/** Entries of one segment: each has at least five bytes. */
const MAX_ENTRIES = Math.floor(MAX_BLOCK_BYTES / 5)

/** What an attempt at a tick is told beside the messages. All that `clock`, `wallet` and `pricing` answer comes from it. */
export interface Header {
  readonly tick: number
  /** Attempts at this tick that failed before, in a row. */
  readonly attempt: number
  readonly epoch: number
  /** Unix ns, fixed during the tick. */
  readonly time: bigint
  /** Fuel that the tick may use; what it is billed if it fails. */
  readonly limit: bigint
  /** Microcents per nominal second. */
  readonly price: bigint
  /** Microcents that were left. */
  readonly balance: bigint
  /** Latest last, of `RECEIPT_BYTES` each; none for an agent that may not see them. */
  readonly receipts: readonly Uint8Array[]
}

/** A message that was let into the inbox. */
export interface MessageEntry {
  readonly kind: 'message'
  readonly id: Uint8Array
  readonly message: Uint8Array
}

/** Start function and `agent_init`: tick 0. */
export interface StartEntry {
  readonly kind: 'start'
  readonly header: Header
  readonly fuel: bigint
}

/** Ticks one after the other under one header (its `tick` is the first one's). */
export interface RunEntry {
  readonly kind: 'run'
  readonly header: Header
  /** Ticks that completed. */
  readonly ticks: number
  /** Fuel that they used, together. */
  readonly fuel: bigint
  /** Messages that they took from the inbox. */
  readonly taken: number
  /** Why the tick after them failed, for people; that one is billed its limit. null: it was not tried. */
  readonly failed: string | null
}

/** The upgrade that the record of this segment applies; the last entry of its segment. */
export interface UpgradeEntry {
  readonly kind: 'upgrade'
  readonly header: Header
  readonly fuel: bigint
  /** Why the old module stays; it is billed its limit then. */
  readonly failed: string | null
}

export type JournalEntry = MessageEntry | StartEntry | RunEntry | UpgradeEntry

const readHeader: { readonly [K in keyof Header]-?: Read<Header[K]> } = {
  tick: natural,
  attempt: integer(0, 0xffff_ffff),
  epoch: natural,
  time: int64,
  limit: int64,
  price: int64,
  balance: int64,
  receipts: list(bytes(RECEIPT_BYTES), MAX_RECEIPTS),
}
const FIELDS = Object.keys(readHeader) as (keyof Header)[]
const readId = bytes(MESSAGE_ID_BYTES)
const readMessage = bytes(0, MAX_JOURNAL_MESSAGE)
const readTicks = integer(0, MAX_RUN_TICKS)
const readFailed = nullable(text(1, MAX_FAILURE))
const readKind = integer(0, 3)

const sameList = (a: readonly Uint8Array[], b: readonly Uint8Array[]): boolean =>
  a.length === b.length && a.every((one, i) => equalBytes(one, b[i] ?? new Uint8Array()))

const same = (field: keyof Header, a: Header, b: Header): boolean =>
  field === 'receipts' ? sameList(a.receipts, b.receipts) : a[field] === b[field]

/** The header that the next entry is measured against: what would be if nothing changed but the tick. */
export function headerAfter(entry: JournalEntry, before: Header | undefined): Header | undefined {
  if (entry.kind === 'message') return before
  const { header } = entry
  const failed = entry.kind === 'run' ? entry.failed : null
  const ticks = entry.kind === 'run' ? entry.ticks : entry.kind === 'start' ? 1 : 0
  const attempt = failed === null ? 0 : ticks === 0 ? header.attempt + 1 : 1
  return { ...header, tick: header.tick + ticks, attempt }
}

function changesOf(header: Header, before: Header | undefined): Partial<Header> {
  const changes: Partial<Record<keyof Header, unknown>> = {}
  for (const field of FIELDS) if (before === undefined || !same(field, header, before)) changes[field] = header[field]
  return changes as Partial<Header>
}

function readChanges(value: unknown, before: Header | undefined, where: string): Header {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new LineageError('BAD_FIELD', `${where} must be an object`)
  const header: Partial<Record<keyof Header, unknown>> = { ...before }
  for (const [key, one] of Object.entries(value)) {
    if (!Object.hasOwn(readHeader, key)) throw new LineageError('BAD_FIELD', `${where} has the unknown field ${key.slice(0, 64)}`)
    header[key as keyof Header] = readHeader[key as keyof Header](one, `${where}.${key}`)
  }
  for (const field of FIELDS) {
    if (header[field] === undefined) throw new LineageError('BAD_FIELD', `${where}.${field} is not known yet`)
    if (before !== undefined && Object.hasOwn(value, field) && same(field, header as unknown as Header, before))
      throw new LineageError('BAD_ENCODING', `${where}.${field} repeats what is known`)
  }
  return header as unknown as Header
}

const plainEntry = (entry: JournalEntry, before: Header | undefined): unknown[] => {
  switch (entry.kind) {
    case 'message':
      return [0, entry.id, entry.message]
    case 'run':
      return [1, entry.ticks, entry.fuel, entry.taken, entry.failed, changesOf(entry.header, before)]
    case 'start':
      return [2, entry.fuel, changesOf(entry.header, before)]
    case 'upgrade':
      return [3, entry.fuel, entry.failed, changesOf(entry.header, before)]
  }
}

function readEntry(value: unknown, before: Header | undefined, where: string): JournalEntry {
  if (!Array.isArray(value)) throw new LineageError('BAD_FIELD', `${where} must be a list`)
  const kind = readKind(value[0], `${where}.kind`)
  const sized = (length: number): void => {
    if (value.length !== length) throw new LineageError('BAD_FIELD', `${where} must have ${length} parts`)
  }
  switch (kind) {
    case 0:
      sized(3)
      return { kind: 'message', id: readId(value[1], `${where}.id`), message: readMessage(value[2], `${where}.message`) }
    case 1: {
      sized(6)
      const ticks = readTicks(value[1], `${where}.ticks`)
      const taken = readTicks(value[3], `${where}.taken`)
      const failed = readFailed(value[4], `${where}.failed`)
      if (ticks === 0 && failed === null) throw new LineageError('BAD_FIELD', `${where} says that nothing happened`)
      const header = readChanges(value[5], before, `${where}.header`)
      return { kind: 'run', ticks, fuel: int64(value[2], `${where}.fuel`), taken, failed, header }
    }
    case 2:
      sized(3)
      return { kind: 'start', fuel: int64(value[1], `${where}.fuel`), header: readChanges(value[2], before, `${where}.header`) }
    default: {
      sized(4)
      const failed = readFailed(value[2], `${where}.failed`)
      return {
        kind: 'upgrade',
        fuel: int64(value[1], `${where}.fuel`),
        failed,
        header: readChanges(value[3], before, `${where}.header`),
      }
    }
  }
}

/**
 * An entry as it is appended.
 *
 * @param before what `headerAfter` gave for the entry before; undefined for the first of a segment
 * @throws LineageError BAD_FIELD
 */
export function encodeEntry(entry: JournalEntry, before: Header | undefined): Uint8Array {
  const plain = plainEntry(entry, before)
  readEntry(plain, before, entry.kind)
  // A copy: in Node.js the codec answers with a piece of a shared pool.
  return new Uint8Array(encode(plain))
}

/**
 * Entries end to end, as `encodeEntry` gave them from the first of a segment on.
 *
 * @throws LineageError BAD_ENCODING | BAD_FIELD | TOO_LARGE
 */
export function decodeEntries(encoded: Uint8Array): JournalEntry[] {
  if (encoded.length > MAX_BLOCK_BYTES)
    throw new LineageError('TOO_LARGE', `a segment has at most ${MAX_BLOCK_BYTES} bytes, this one ${encoded.length}`)
  const entries: JournalEntry[] = []
  let before: Header | undefined
  let rest = plainBytes(encoded)
  while (rest.length > 0) {
    const where = `entry ${entries.length}`
    if (entries.length >= MAX_ENTRIES) throw new LineageError('TOO_LARGE', 'a segment has too many entries')
    let next: [unknown, Uint8Array]
    try {
      next = decodeFirst(rest, decodeOptions)
    } catch (cause) {
      throw new LineageError('BAD_ENCODING', `${where} is not DAG-CBOR`, { cause })
    }
    const [value, left] = next
    const entry = readEntry(value, before, where)
    const used = rest.subarray(0, rest.length - left.length)
    if (!equalBytes(encode(plainEntry(entry, before)), used))
      throw new LineageError('BAD_ENCODING', `${where} is not canonical DAG-CBOR`)
    entries.push(entry)
    before = headerAfter(entry, before)
    rest = left
  }
  return entries
}

interface Segment {
  readonly version: 1
  readonly entries: Uint8Array
}

const readSegment = object<Segment>({ version: literal(1), entries: bytes(1, MAX_BLOCK_BYTES) })

/**
 * The block that a record names as its `journal`.
 *
 * @param entries at least one, end to end
 * @throws LineageError BAD_FIELD | TOO_LARGE
 */
export function encodeSegment(entries: Uint8Array): Block {
  const encoded = encodeAs(readSegment, { version: 1, entries }, 'journal', MAX_BLOCK_BYTES)
  return { cid: cborCid(encoded), bytes: encoded }
}

/** @throws LineageError TOO_LARGE | BAD_ENCODING | BAD_FIELD */
export function decodeSegment(encoded: Uint8Array): JournalEntry[] {
  return decodeEntries(decodeAs(readSegment, encoded, 'journal', MAX_BLOCK_BYTES).entries)
}

/** What an entry adds to the fuel that is billed: what completed, and the whole limit of an attempt that failed. */
export function billedFuel(entry: JournalEntry): bigint {
  if (entry.kind === 'message') return 0n
  const failed = entry.kind !== 'start' && entry.failed !== null
  if (entry.kind === 'upgrade') return failed ? entry.header.limit : entry.fuel
  return failed ? entry.fuel + entry.header.limit : entry.fuel
}
