import { StoreDamagedError } from '../errors.ts'
import type { Files } from '../platform.ts'
import { crc32 } from './crc.ts'
import { encodeEntry, PUT_ITEM, stampEntry } from './entry.ts'
import type { KeyIndex, Place } from './key-index.ts'
import { fileName } from './names.ts'
import { makeNewFile, type NewFile } from './new-file.ts'
import type { Log } from './recover.ts'

/** Bytes and keys of values in one entry of the new log. */
const MAX_ENTRY = 1024 * 1024
const MAX_ENTRY_KEYS = 1000
/** So few keys that changed meanwhile are copied while commits wait. */
const FEW = 200
/** Rounds of copying what changed during the round before, at most. */
const ROUNDS = 5

/** Bytes that a value takes up in a log, but for its share of the entry's heads. */
export function footprint(key: string, length: number): number {
  return 2 * (PUT_ITEM + key.length) + length
}

/** True when a log is long and over half of it is out of date. */
export function isWorn(length: number, live: number, above: number): boolean {
  return length > above && length > 2 * live
}

export interface CompactOptions {
  readonly files: Files
  readonly index: KeyIndex
  readonly log: () => Log
  readonly signal: AbortSignal
  /** The keys that were changed since it was last called. */
  readonly takeChanged: () => ReadonlySet<string>
  /** Runs work while no batch is being written. Its failure ends the store. */
  readonly exclusively: (work: () => Promise<void>) => Promise<void>
  /** The new log is in place; from here on it is the one. */
  readonly handOver: (next: Log) => Promise<void>
}

/**
 * Writes the values in use to a new log while commits go on, then takes its place. Until the new file
 * has its name, the old one counts; from then on the new one does, and the old one may be gone or not.
 *
 * @throws when it could not be done; the old log is in use as before, unless `exclusively` failed
 */
export async function compact(options: CompactOptions): Promise<void> {
  const { files, index, signal } = options
  const { generation } = options.log()
  const name = fileName('log', generation + 1)
  // The same salt, as entries that wait to be written have checksums that start with it.
  const { salt } = options.log()
  const made = await makeNewFile(files, 'igorlog\n', name, { salt, first: 0 })
  const places = new Map<string, Place>()
  const next: Log = {
    generation: generation + 1,
    name,
    salt: made.salt,
    length: made.length,
    nextIndex: 0,
    sequence: 0,
    synced: made.length,
  }
  const copy = (keys: Iterable<string>) => copyKeys(options, made, next, places, keys)
  try {
    options.takeChanged()
    await copy(Array.from(index.entries(), ([key]) => key))
    for (let round = 0, keys = options.takeChanged(); keys.size > 0; round++, keys = options.takeChanged()) {
      await copy(keys)
      if (keys.size <= FEW || round === ROUNDS) break
    }
    await made.sync()
  } catch (error) {
    await made.discard()
    throw error
  }
  let discarded: unknown
  await options.exclusively(async () => {
    try {
      signal.throwIfAborted()
      await copy(options.takeChanged())
      await made.sync()
      // Says in the log itself that all of it is durable.
      next.synced = next.length
      next.sequence = Math.max(next.sequence, options.log().sequence)
      await append(made, next, [], [])
    } catch (error) {
      // Nothing has happened yet: the store goes on with the old log.
      discarded = error
      await made.discard()
      return
    }
    await made.finish()
    next.synced = next.length
    for (const [key, place] of places) index.set(key, place)
    await options.handOver(next)
  })
  if (discarded !== undefined) throw discarded
}

/** Appends the values of these keys, as they are now, to the new log. */
async function copyKeys(
  options: CompactOptions,
  made: NewFile,
  next: Log,
  places: Map<string, Place>,
  keys: Iterable<string>,
): Promise<void> {
  const puts: [string, Uint8Array][] = []
  const removes: string[] = []
  let bytes = 0
  const flush = async () => {
    const entry = await append(made, next, removes, puts)
    for (const { key, value } of entry.items) {
      if (value === undefined) {
        places.delete(key)
        continue
      }
      const held = options.index.get(key)?.held
      places.set(key, { offset: entry.offset + value.at, length: value.length, crc: value.crc, ...(held && { held }) })
    }
    puts.length = 0
    removes.length = 0
    bytes = 0
  }
  // Before the values are read: what they are at this batch, they are.
  next.sequence = options.log().sequence
  for (const key of keys) {
    options.signal.throwIfAborted()
    const place = options.index.get(key)
    if (place === undefined) {
      if (places.has(key)) removes.push(key)
    } else {
      const value = place.held ?? (await readPlace(options, key, place))
      puts.push([key, value])
      bytes += value.length
    }
    if (bytes >= MAX_ENTRY || puts.length + removes.length >= MAX_ENTRY_KEYS) {
      await flush()
      next.sequence = options.log().sequence
    }
  }
  if (puts.length + removes.length > 0) await flush()
}

async function readPlace({ files, log }: CompactOptions, key: string, place: Place): Promise<Uint8Array> {
  const bytes = await files.read(log().name, place.offset, place.length)
  if (place.bad === true || bytes.length !== place.length || crc32(bytes, log().salt) !== place.crc) {
    throw new StoreDamagedError(`the stored value of ${key} is damaged: the log is not compacted`)
  }
  return bytes
}

async function append(made: NewFile, next: Log, removes: readonly string[], puts: readonly (readonly [string, Uint8Array])[]) {
  const offset = made.length
  const entry = encodeEntry(removes, puts, made.salt)
  stampEntry(entry, { offset, index: next.nextIndex, sequence: next.sequence, synced: next.synced }, made.salt)
  await made.append(entry.bytes)
  next.nextIndex++
  next.length = made.length
  return { ...entry, offset }
}
