/**
 * The heads that a witness keeps, by agent: one task at a time on each, against the row as it stands, and the leases
 * that their rows tell of.
 *
 * @module
 */
import { createKeyedSerial } from '../agent/serial.ts'
import { ConflictError } from '../errors.ts'
import type { Clock, Crypto, Store } from '../platform.ts'
import { type Entry, encodeHeadRow, type HeadRow, type LeaseRow, loadEntry, sameBytes } from './entry.ts'
import { witnessKeys } from './keys.ts'

/** What is left of a lease when its holder says that it goes: a tab that reloads is back in less. */
export const RELEASE_MS = 1500
/** Times that a row may have changed under one commit: another relay is at work. */
const MAX_SWAPS = 5

export interface HeadsOptions {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly store: Store
  readonly incarnation: Uint8Array
  readonly leaseMs: number
  /** Other relays keep the same heads. */
  readonly shared: boolean
}

export interface Heads {
  /** Runs against an agent's entry; repeats what lost against another relay, from the row as it is then. */
  swapping<T>(agent: string, task: (entry: Entry | undefined) => Promise<T>): Promise<T>
  /** As this process knows it. */
  known(agent: string): Entry | undefined
  /** What stands in the store now, or is only to be remembered. */
  set(agent: string, entry: Entry): void
  writeRow(agent: string, entry: Entry, row: HeadRow): Promise<Entry>
  /**
   * Before blocks are counted on: another relay may be about to remove some that its head did without. It does so only
   * while the row is as it left it.
   */
  claim(agent: string, entry: Entry): Promise<Entry>
  /** Grants, and remembers that the holder itself was heard: whose word a new incarnation needs. */
  grant(agent: string, entry: Entry, holder: string): Promise<Entry>
  nextLease(row: HeadRow | undefined, holder: string): LeaseRow
  /** Milliseconds until its lease is over for sure. */
  leaseOver(entry: Entry): number
}

export const createHeads = ({ clock, crypto, store, incarnation, leaseMs, shared }: HeadsOptions): Heads => {
  const started = clock.elapsed()
  const entries = new Map<string, Entry>()
  const serialOf = createKeyedSerial()

  const load = async (agent: string): Promise<Entry | undefined> => {
    const known = entries.get(agent)
    if (known !== undefined && !shared) return known
    const bytes = known === undefined ? undefined : await store.get(witnessKeys.head(agent))
    if (known !== undefined && sameBytes(bytes, known.rowBytes)) return known
    // Alone, no lease can have been granted since the start without being known here.
    const loaded = await loadEntry(store, agent, shared ? clock.elapsed() : started)
    if (loaded !== undefined) entries.set(agent, loaded)
    return loaded
  }

  const swapping = <T>(agent: string, task: (entry: Entry | undefined) => Promise<T>): Promise<T> =>
    serialOf(agent)(async () => {
      for (let swaps = 0; ; swaps++) {
        try {
          return await task(await load(agent))
        } catch (error) {
          if (!(error instanceof ConflictError) || swaps >= MAX_SWAPS) throw error
          entries.delete(agent)
        }
      }
    })

  const leaseOver = ({ row, seen }: Entry): number => {
    const { lease } = row
    const ms = lease?.released === true ? RELEASE_MS : Math.max(leaseMs, lease?.ms ?? 0)
    return Math.max(0, seen + ms - clock.elapsed())
  }

  const nextLease = (row: HeadRow | undefined, holder: string): LeaseRow => {
    const before = row?.lease
    const goesOn = before?.holder === holder && !before.released
    return {
      id: goesOn ? before.id : crypto.random(16),
      holder,
      n: (before?.n ?? 0) + 1,
      ms: leaseMs,
      released: false,
    }
  }

  const writeRow = async (agent: string, entry: Entry, row: HeadRow): Promise<Entry> => {
    const rowBytes = encodeHeadRow(row)
    await store.commit({ put: [[witnessKeys.head(agent), rowBytes]], expect: [[witnessKeys.head(agent), entry.rowBytes]] })
    const next = { ...entry, row, rowBytes, head: { ...entry.head, frozen: row.frozen }, seen: clock.elapsed() }
    entries.set(agent, next)
    return next
  }

  const claim = async (agent: string, entry: Entry): Promise<Entry> => {
    const touched = await writeRow(agent, entry, { ...entry.row, claim: crypto.random(16) })
    const prefix = witnessKeys.blocks(agent)
    const held = new Set((await store.list(prefix)).map((key) => key.slice(prefix.length)))
    const next = { ...touched, held }
    entries.set(agent, next)
    return next
  }

  const grant = async (agent: string, entry: Entry, holder: string): Promise<Entry> => {
    const lease = nextLease(entry.row, holder)
    const confirms = !sameBytes(entry.row.incarnation, incarnation)
    // Alone, what is in memory is enough: after a start nothing is taken over for a whole lease.
    if (shared || confirms) return writeRow(agent, entry, { ...entry.row, incarnation, lease })
    const next = { ...entry, row: { ...entry.row, lease }, seen: clock.elapsed() }
    entries.set(agent, next)
    return next
  }

  return {
    swapping,
    known: (agent) => entries.get(agent),
    set: (agent, entry) => void entries.set(agent, entry),
    writeRow,
    claim,
    grant,
    nextLease,
    leaseOver,
  }
}
