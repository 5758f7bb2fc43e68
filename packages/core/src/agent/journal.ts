/**
 * The open segment of an agent's journal: entries since the record that stands in its slot. They are in memory; on the
 * disk in rows of turns (`turns.ts`) first, and in rows of the agent's own when they are many. A record takes them over as
 * one block.
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
import { joinBytes } from '../store/bytes.ts'

/**
 * A row takes entries until it has so many bytes: each costs the store some hundred bytes of memory. So much of a journal
 * stands in rows of turns before it is put into one of the agent's own.
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

/** Entries to be added, with all before them that is not durable yet. */
export interface Tail {
  /** Where `bytes` begin in the segment. */
  readonly from: number
  readonly bytes: Uint8Array
  /** It is time for a row of the agent's own. */
  readonly folds: boolean
  /** The entries count. @param durable all of `bytes` is */
  keep(durable: boolean): void
}

/** A segment to write, and the rows that begin the next one. */
export interface Sealed {
  readonly block: Block | null
  readonly put: Put
  readonly remove: readonly string[]
  keep(): void
}

export interface Journal {
  /** Of the record that the segment follows on. */
  readonly place: Place
  /** By which its ticks ran; undefined: the rows are older than that, or there are none. */
  readonly version: Version | undefined
  /** There are entries that are not durable. */
  readonly pending: boolean
  /** Bytes of entries since the last record. */
  readonly bytes: number
  /** Fuel to be billed for them. */
  readonly fuel: bigint
  entries(): readonly JournalEntry[]
  append(entries: readonly JournalEntry[]): Tail
  /** Rows that hold everything up to here, `tail` included. */
  fold(tail?: Tail): Staged
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

/** The version that its ticks ran by, with which it begins: no record says it yet. */
const versionIn = (bytes: Uint8Array): Version | undefined => {
  if (bytes[0] !== MARK) return undefined
  if (bytes.length < PREFIX_BYTES)
    throw new LineageError('BAD_ENCODING', 'the journal ends within the version that it begins with')
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  return { instrument: view.getUint32(1, true), costTable: view.getUint32(5, true) }
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

/** Bytes that entries take in a segment of their own. */
export const sizeOf = (entries: readonly JournalEntry[]): number => {
  let header: Header | undefined
  let bytes = 0
  for (const entry of entries) {
    bytes += encodeEntry(entry, header).length
    header = headerAfter(entry, header)
  }
  return bytes
}

/** Bytes that grow at their end. */
const createPile = () => {
  let bytes = new Uint8Array(0)
  let length = 0
  return {
    get length() {
      return length
    },
    view: (from = 0): Uint8Array => bytes.subarray(from, length),
    add: (more: Uint8Array): void => {
      if (length + more.length > bytes.length) {
        const larger = new Uint8Array(Math.ceil((length + more.length + ROW_BYTES) / ROW_BYTES) * ROW_BYTES)
        larger.set(bytes.subarray(0, length))
        bytes = larger
      }
      bytes.set(more, length)
      length += more.length
    },
    clear: (): void => {
      bytes = new Uint8Array(0)
      length = 0
    },
  }
}

/**
 * @param rows as they stand in the store under that slot, in order
 * @param added what rows of turns add to them
 * @throws LineageError when they are not what was written
 */
export const openJournal = (
  agent: string,
  at: Place,
  rows: readonly Uint8Array[] = [],
  added: Uint8Array = new Uint8Array(),
): Journal => {
  let slot: Place = at
  const parts = [...rows, added]
  const stored = joinBytes(parts)
  let version = versionIn(stored)
  /** Where its entries begin: behind the version, if it says one. */
  let head = version === undefined ? 0 : PREFIX_BYTES
  const found = decodeEntries(stored.subarray(head))
  let before = found.reduce<Header | undefined>((header, entry) => headerAfter(entry, header), undefined)
  let fuel = fuelOf(found)
  const pile = createPile()
  for (const part of parts) pile.add(part)
  /** Where the rows of its own begin that take no more, and where the last one, which may, does. */
  let closed = rows.slice(0, -1).map(({ length }) => length)
  let last = closed.reduce((sum, length) => sum + length, 0)
  /** How much is in rows of its own, and how much is durable at all. */
  let folded = pile.length - added.length
  let durable = pile.length

  const encode = (entries: readonly JournalEntry[]): { encoded: Uint8Array; last: Header | undefined } => {
    let header = before
    const pieces = entries.map((entry) => {
      const piece = encodeEntry(entry, header)
      header = headerAfter(entry, header)
      return piece
    })
    return { encoded: pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : joinBytes(pieces), last: header }
  }

  const reset = (next: Place, by: Version): void => {
    slot = next
    version = by
    head = 0
    pile.clear()
    closed = []
    last = 0
    folded = 0
    durable = 0
    before = undefined
    fuel = 0n
  }

  return {
    get place() {
      return slot
    },
    get version() {
      return version
    },
    get pending() {
      return durable < pile.length
    },
    get bytes() {
      return pile.length - head
    },
    get fuel() {
      return fuel
    },
    entries: () => decodeEntries(pile.view(head)),
    append: (entries) => {
      const { encoded, last: header } = encode(entries)
      const begins = pile.length === 0 && entries.length > 0 && version !== undefined
      const more = begins ? joinBytes([prefixOf(version as Version), encoded]) : encoded
      const from = durable
      const bytes = joinBytes([pile.view(from), more])
      return {
        from,
        bytes,
        folds: from + bytes.length - folded >= ROW_BYTES,
        keep: (isDurable) => {
          pile.add(more)
          if (begins) head = PREFIX_BYTES
          before = header
          fuel += fuelOf(entries)
          if (isDurable) durable = from + bytes.length
        },
      }
    },
    fold: (tail) => {
      const { length } = closed
      const place = slot
      const end = tail === undefined ? pile.length : tail.from + tail.bytes.length
      const value = joinBytes([
        pile.view(last).subarray(0, tail === undefined ? undefined : tail.from - last),
        tail?.bytes ?? new Uint8Array(),
      ])
      return {
        put: [[rowKey(agent, place, length), value]],
        keep: () => {
          if (slot !== place) return
          folded = Math.max(folded, end)
          durable = Math.max(durable, end)
          if (value.length < ROW_BYTES) return
          closed.push(value.length)
          last = end
        },
      }
    },
    seal: (entries, next, by) => {
      const all = joinBytes([pile.view(head), encode(entries).encoded])
      return {
        block: all.length === 0 ? null : encodeSegment(all),
        put: [emptyJournal(agent, next)],
        remove: Array.from({ length: closed.length + 1 }, (_, row) => rowKey(agent, slot, row)),
        keep: () => reset(next, by),
      }
    },
    runBy: (by) => {
      version = by
    },
    restart: reset,
  }
}
