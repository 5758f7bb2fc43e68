/**
 * What is done at opening: all three places are read, what is torn is cut off, what is damaged is
 * remembered, and the highest intact value of each vital key wins.
 *
 * @module
 */
import type { Files } from '../platform.ts'
import type { FoundCopy, Note } from './copies.ts'
import { encodeEntry, stampEntry } from './entry.ts'
import { decodeFileHeader, FILE_HEADER } from './file-header.ts'
import { type KeyIndex, makeKeyIndex, type Place } from './key-index.ts'
import { MAX_VITAL, VITAL_PREFIX } from './limits.ts'
import { COPY_ROLES, fileName, parseNames, type StoreFile } from './names.ts'
import { makeNewFile, makeSalt } from './new-file.ts'
import { decodeCopy, mergeCopies, type RowCopy, type Rows } from './rows.ts'
import { type Scan, scanLog, valueIntact } from './scan.ts'
import { syncFile } from './sync.ts'
import { type FileWindow, openWindow } from './window.ts'

/** A copy of the vital rows above this size is not one: they are rewritten when far shorter. */
const MAX_COPY = 512 * 1024 * 1024

/** In front of the name of a log that says nothing any more. */
const DAMAGED = 'damaged-'

/** The main log, ready to be appended to. */
export interface Log {
  readonly generation: number
  readonly name: string
  readonly salt: number
  length: number
  nextIndex: number
  /** Number of the last batch. */
  sequence: number
  /** How much of it is durable. */
  synced: number
}

export interface Recovered {
  readonly log: Log
  readonly index: KeyIndex
  /** Values before this offset may be out of date; keys that are not known may have been there. 0: all is well. */
  readonly suspectBelow: number
  /** Vital keys that are not known may have been there. */
  readonly vitalInDoubt: boolean
  readonly damaged: boolean
  readonly copies: readonly FoundCopy[]
  readonly nextCounter: number
  /** The batch up to which the copies know everything. */
  readonly covered: number
  /** The copies say all that is known, and the same, and of this log. */
  readonly tidy: boolean
}

/** @throws IgorError STORE_VERSION | StoreFullError (a new store on a full disk) */
export async function recover(files: Files, random: (length: number) => Uint8Array): Promise<Recovered> {
  const listed = await files.list()
  const names = parseNames(listed)
  for (const file of names) if (file.unfinished) await files.remove(file.name)
  const copies: (FoundCopy & { readonly read?: RowCopy })[] = []
  for (const role of COPY_ROLES) copies.push(await readCopy(files, of(names, role)))
  const rows = mergeCopies(copies.map(({ read }) => read))
  const found = await findLog(
    files,
    of(names, 'log'),
    rows,
    copies.some(({ generation }) => generation > 0),
    random,
  )
  const { log, scan, view } = found

  if (scan.end < view.size) {
    await files.truncate(log.name, scan.end)
    await syncFile(files, log.name)
  }
  const { index, vital } = indexOf(scan)
  const lost = scan.suspectBelow > 0
  const resolved = await resolveVital(view, log.salt, index, vital, rows, scan.suspectBelow)
  const intact = await checkValues(view, log.salt, index)
  // The newest log is whole: what came before it, or was to come after, is not needed.
  for (const file of names) {
    if (!lost && !file.unfinished && isOutdated(file, log, copies)) await files.remove(file.name)
  }
  if (scan.lostAtEnd) await writeScar(files, log)
  return {
    log,
    index,
    suspectBelow: scan.suspectBelow,
    vitalInDoubt: resolved.inDoubt,
    damaged: lost || !intact || !resolved.intact,
    copies,
    nextCounter: rows.nextCounter,
    covered: rows.sequence,
    tidy: rows.tidy && rows.complete && !resolved.newer && rows.generation === log.generation && rows.noted <= log.length,
  }
}

function of(names: readonly StoreFile[], role: StoreFile['role']): StoreFile[] {
  return names.filter((file) => file.role === role && !file.unfinished)
}

function isOutdated(file: StoreFile, log: Log, copies: readonly FoundCopy[]): boolean {
  if (file.role === 'log') return file.generation < log.generation
  const copy = copies[COPY_ROLES.indexOf(file.role)]
  return copy?.file !== undefined && file.name !== copy.file.name
}

/** The newest file of a copy that can be read. */
async function readCopy(files: Files, candidates: readonly StoreFile[]): Promise<FoundCopy & { read?: RowCopy }> {
  const generation = candidates[0]?.generation ?? 0
  for (const { name } of candidates) {
    const length = await files.size(name)
    const read = length > MAX_COPY ? undefined : decodeCopy(name, await files.read(name, 0, length))
    if (read !== undefined) return { generation, file: { name, salt: read.salt, length }, read }
  }
  return { generation }
}

interface FoundLog {
  readonly log: Log
  readonly scan: Scan
  readonly view: FileWindow
}

async function findLog(
  files: Files,
  candidates: readonly StoreFile[],
  rows: Rows,
  hadLog: boolean,
  random: (length: number) => Uint8Array,
): Promise<FoundLog> {
  const [newest] = candidates
  if (newest !== undefined) {
    const { name, generation } = newest
    const view = await openWindow(files, name)
    const header = decodeFileHeader('igorlog\n', name, await view.read(0, FILE_HEADER))
    if (header !== undefined) {
      // The copies may know of a newer log: then all of this one is older than what was durable.
      const noted = rows.generation > generation ? Number.POSITIVE_INFINITY : rows.generation === generation ? rows.noted : 0
      const scan = await scanLog(view, header.salt, noted)
      const sequence = Math.max(rows.sequence, scan.entries.at(-1)?.sequence ?? 0)
      const log = { generation, name, salt: header.salt, length: scan.end, nextIndex: scan.nextIndex, sequence, synced: scan.end }
      await syncFile(files, name)
      return { log, scan, view }
    }
    // Nothing of it can be told from other bytes. Kept for people to look at.
    await files.rename(name, DAMAGED + name)
  }
  const lost = newest !== undefined || hadLog
  const generation = Math.max(newest?.generation ?? 0, rows.generation) + 1
  const name = fileName('log', generation)
  const made = await makeNewFile(files, 'igorlog\n', name, { salt: makeSalt(random), first: 0 })
  const log = newLog(name, generation, made.salt, rows.sequence)
  if (lost) {
    log.nextIndex++
    await made.append(makeScar(log))
  }
  await made.finish()
  const view = await openWindow(files, name)
  const scan = await scanLog(view, made.salt, made.length)
  return { log: { ...log, length: scan.end, synced: scan.end, nextIndex: scan.nextIndex }, scan, view }
}

function newLog(name: string, generation: number, salt: number, sequence: number): Log {
  return { name, generation, salt, sequence, length: FILE_HEADER, synced: FILE_HEADER, nextIndex: 0 }
}

interface MainVital {
  readonly sequence: number
  readonly place?: Place
}

function indexOf(scan: Scan): { index: KeyIndex; vital: Map<string, MainVital> } {
  const index = makeKeyIndex()
  const vital = new Map<string, MainVital>()
  for (const entry of scan.entries) {
    for (const { key, value } of entry.items) {
      const place = value && { offset: entry.offset + value.at, length: value.length, crc: value.crc }
      if (key.startsWith(VITAL_PREFIX)) vital.set(key, { sequence: entry.sequence, ...(place && { place }) })
      else if (place === undefined) index.delete(key)
      else index.set(key, place)
    }
  }
  return { index, vital }
}

/** Puts the vital keys into the index, each with its highest intact value. */
async function resolveVital(
  view: FileWindow,
  salt: number,
  index: KeyIndex,
  main: ReadonlyMap<string, MainVital>,
  rows: Rows,
  suspectBelow: number,
): Promise<{ inDoubt: boolean; intact: boolean; newer: boolean }> {
  const inDoubt = !rows.complete && suspectBelow > 0
  let intact = !inDoubt
  let newer = false
  for (const key of new Set([...rows.values.keys(), ...main.keys()])) {
    const row = rows.values.get(key)
    const entry = main.get(key)
    const aboveRows = (entry?.sequence ?? 0) > rows.sequence
    if (aboveRows) newer = true
    const place = entry?.place ?? { offset: -1, length: row?.value?.length ?? 0, crc: 0 }
    if (rows.complete && !aboveRows) {
      // Every change up to there is in the copies, whatever became of the log.
      if (row?.value !== undefined) index.set(key, { ...place, length: row.value.length, held: row.value })
      continue
    }
    if (!rows.complete && suspectBelow > 0 && (entry?.place?.offset ?? -1) < suspectBelow) {
      if (row?.value !== undefined || entry?.place !== undefined) index.set(key, { ...place, bad: true })
      continue
    }
    if (entry?.place === undefined) continue
    const value = await readValue(view, entry.place, salt)
    const same = row !== undefined && row.sequence >= entry.sequence ? row.value : undefined
    const held = value ?? same
    if (held === undefined) intact = false
    index.set(key, held === undefined ? { ...entry.place, bad: true } : { ...entry.place, held })
  }
  return { inDoubt, intact, newer }
}

async function readValue(view: FileWindow, place: Place, salt: number): Promise<Uint8Array | undefined> {
  if (place.length > MAX_VITAL || !(await valueIntact(view, place, salt))) return undefined
  return (await view.read(place.offset, place.length)).slice()
}

/** Reads every value that is in use. Those that are not intact are marked. @returns false if there was one */
async function checkValues(view: FileWindow, salt: number, index: KeyIndex): Promise<boolean> {
  const places = [...index.entries()].filter(([, place]) => place.held === undefined && place.bad === undefined)
  places.sort(([, a], [, b]) => a.offset - b.offset)
  let intact = true
  for (const [key, place] of places) {
    if (await valueIntact(view, place, salt)) continue
    intact = false
    index.set(key, { ...place, bad: true })
  }
  return intact
}

/** An entry without content that leaves a gap in the count: from now on the log itself says that something was lost. */
function makeScar(log: Log): Uint8Array {
  const entry = encodeEntry([], [], log.salt)
  stampEntry(entry, { offset: log.length, index: log.nextIndex, sequence: log.sequence, synced: log.synced }, log.salt)
  return entry.bytes
}

async function writeScar(files: Files, log: Log): Promise<void> {
  const bytes = makeScar(log)
  await files.append(log.name, bytes)
  await syncFile(files, log.name)
  log.length += bytes.length
  log.synced = log.length
  log.nextIndex++
}

/** What the rows say of the log as it stands now. */
export function noteOf(log: Log): Note {
  return { sequence: log.sequence, generation: log.generation, noted: log.synced }
}
