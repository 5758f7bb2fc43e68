/**
 * The open segment of an agent's journal: entries since the record that stands in its slot, as rows of the
 * store and in memory. A record takes them over as one block.
 *
 * @module
 */
import {
  type Block,
  billedFuel,
  type Chain,
  decodeEntries,
  encodeEntry,
  encodeSegment,
  type Header,
  headerAfter,
  type JournalEntry,
  LineageError,
  type LineageRecord,
} from '@igor/lineage'
import type { Version } from '@igor/sandbox'
import type { Slot } from '../authority/row.ts'
import { keys } from '../keys.ts'

/**
 * A row takes entries until it has so many bytes: each commit writes the last row whole, and each row costs
 * the store some hundred bytes of memory.
 */
const ROW_BYTES = 1024

/** Of the record that a segment follows on. */
export type Place = Omit<Slot, 'id'>

type Put = readonly (readonly [string, Uint8Array])[]

/** Rows to write; `keep` when they were written. */
export interface Staged {
  readonly put: Put
  keep(): void
}

/** A segment to write, and the rows that begin the next one. */
export interface Sealed {
  readonly block: Block | null
  readonly put: Put
  readonly remove: readonly string[]
  keep(): void
}

export interface Journal {
  /** By which its ticks ran; undefined: the rows are older than that, or there are none. */
  readonly version: Version | undefined
  /** Bytes of entries since the last record. */
  readonly bytes: number
  /** Fuel to be billed for them. */
  readonly fuel: bigint
  entries(): readonly JournalEntry[]
  append(entries: readonly JournalEntry[]): Staged
  /**
   * @param entries that are not in it yet
   * @param slot of the record that names the segment
   * @param version by which what follows will run
   */
  seal(entries: readonly JournalEntry[], slot: Place, version: Version): Sealed
  /** Says by which version what will be appended runs; nothing was yet. */
  runBy(version: Version): void
  /** Begins anew: another record came that names no segment. */
  restart(slot: Place, version: Version): void
}

const join = (parts: readonly Uint8Array[]): Uint8Array => {
  const out = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

const rowKey = (agent: string, { epoch, seq }: Place, row: number): string => keys.journalRow(agent, epoch, seq, row)

/** What no entry begins with: each is a CBOR list. */
const MARK = 0xff
/** The mark, instrumentation and cost table: 4 bytes each, little-endian. */
const PREFIX_BYTES = 9

const prefixOf = ({ instrument, costTable }: Version): Uint8Array => {
  const bytes = new Uint8Array(PREFIX_BYTES)
  bytes[0] = MARK
  const view = new DataView(bytes.buffer)
  view.setUint32(1, instrument, true)
  view.setUint32(5, costTable, true)
  return bytes
}

/** The first row begins with the version that its ticks ran by: no record says it yet. */
const splitRow = (row: Uint8Array): { readonly version: Version | undefined; readonly rest: Uint8Array } => {
  if (row[0] !== MARK) return { version: undefined, rest: row }
  if (row.length < PREFIX_BYTES) throw new LineageError('BAD_ENCODING', 'the journal ends within the version that it begins with')
  const view = new DataView(row.buffer, row.byteOffset)
  return {
    version: { instrument: view.getUint32(1, true), costTable: view.getUint32(5, true) },
    rest: row.subarray(PREFIX_BYTES),
  }
}

/**
 * By which the ticks since the last state ran, as far as records say: one version from a state to the next.
 *
 * @returns undefined: there is no record since
 */
export const versionSince = (chain: Chain, records: readonly LineageRecord[]): Version | undefined => {
  const from = chain.state?.body.seq ?? 0
  const body = records.findLast((record) => record.body.seq > from && 'journal' in record.body)?.body
  return body !== undefined && 'instrument' in body ? { instrument: body.instrument, costTable: body.costTable } : undefined
}

/** The row that says that there is a journal, and nothing in it: it is written with the record. */
export const emptyJournal = (agent: string, slot: Place): readonly [string, Uint8Array] => [
  rowKey(agent, slot, 0),
  new Uint8Array(),
]

export const fuelOf = (entries: readonly JournalEntry[]): bigint => entries.reduce((sum, entry) => sum + billedFuel(entry), 0n)

/**
 * @param rows as they stand in the store under that slot, in order
 * @throws LineageError when they are not what was written
 */
export const openJournal = (agent: string, at: Place, rows: readonly Uint8Array[] = []): Journal => {
  let slot: Place = at
  const { version: named, rest } = splitRow(rows[0] ?? new Uint8Array())
  let version = named
  let parts = [rest, ...rows.slice(1)]
  const found = decodeEntries(join(parts))
  let before = found.reduce<Header | undefined>((header, entry) => headerAfter(entry, header), undefined)
  let fuel = fuelOf(found)
  let bytes = parts.reduce((sum, { length }) => sum + length, 0)

  const encode = (entries: readonly JournalEntry[]): { encoded: Uint8Array; last: Header | undefined } => {
    let last = before
    const pieces = entries.map((entry) => {
      const piece = encodeEntry(entry, last)
      last = headerAfter(entry, last)
      return piece
    })
    return { encoded: join(pieces), last }
  }

  const reset = (next: Place, by: Version): void => {
    slot = next
    version = by
    parts = [new Uint8Array()]
    before = undefined
    fuel = 0n
    bytes = 0
  }

  /** As it stands in the store. */
  const rowOf = (row: number, part: Uint8Array): Uint8Array =>
    row === 0 && version !== undefined ? join([prefixOf(version), part]) : part

  return {
    get version() {
      return version
    },
    get bytes() {
      return bytes
    },
    get fuel() {
      return fuel
    },
    entries: () => decodeEntries(join(parts)),
    append: (entries) => {
      const { encoded, last } = encode(entries)
      const tail = parts.at(-1) ?? new Uint8Array()
      const opens = tail.length >= ROW_BYTES
      const row = opens ? parts.length : parts.length - 1
      const value = opens ? encoded : join([tail, encoded])
      return {
        put: [[rowKey(agent, slot, row), rowOf(row, value)]],
        keep: () => {
          parts[row] = value
          before = last
          fuel += fuelOf(entries)
          bytes += encoded.length
        },
      }
    },
    seal: (entries, next, by) => {
      const all = join([...parts, encode(entries).encoded])
      return {
        block: all.length === 0 ? null : encodeSegment(all),
        put: [emptyJournal(agent, next)],
        remove: parts.map((_, row) => rowKey(agent, slot, row)),
        keep: () => reset(next, by),
      }
    },
    runBy: (by) => {
      version = by
    },
    restart: reset,
  }
}
