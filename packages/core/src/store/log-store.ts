/**
 * A crash-safe store over `Files`: one append-only log of batches, an index of it in memory, and two
 * copies of the vital rows beside it (docs/design.md, section 6).
 *
 * @module
 */
import { ConflictError, IgorError, StoreClosedError, StoreFullError } from '../errors.ts'
import type { Batch, Files, Store } from '../platform.ts'
import { makeCache } from './cache.ts'
import { compact, footprint, isWorn } from './compact.ts'
import { makeCopies } from './copies.ts'
import { type Encoded, encodeEntry } from './entry.ts'
import { appendEntries, vitalChanges } from './group.ts'
import type { Place } from './key-index.ts'
import { checkBatch, checkKey, checkPrefix, VITAL_PREFIX } from './limits.ts'
import { makeReader } from './reader.ts'
import { type Log, noteOf, recover } from './recover.ts'
import { syncFile } from './sync.ts'

/** Bytes of batches that are made durable together. */
const MAX_GROUP = 16 * 1024 * 1024
/** The log is compacted when it is longer than this and over half of it is out of date. */
const COMPACT_ABOVE = 8 * 1024 * 1024
/** The same for the copies of the vital rows, which are read whole at opening. */
const REWRITE_COPIES_ABOVE = 1024 * 1024

export interface LogStoreOptions {
  /** Random bytes (`Crypto.random`): marks each file, so that bytes of another never look like its own. */
  readonly random: (length: number) => Uint8Array
  /** Bytes below which the log is never compacted. Default 8 MiB. */
  readonly compactAbove?: number
}

interface Waiting {
  readonly batch: Batch
  readonly entry: Encoded
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * Opens the store that these files hold, or makes it. The store owns the files and closes them, also
 * when it cannot be opened.
 *
 * Commits that come while another is being made durable share the next write and sync. A batch with a
 * vital key is always durable: log first, then one copy, then the other. A failed sync ends the store
 * for writing: what the disk holds is not known any more.
 *
 * Damage never keeps it from opening: `damaged` says so, and reading what is damaged or may be out of
 * date throws `StoreDamagedError`, with the value found as `older` if there is one. A damaged store
 * goes on, but is not compacted, so that nothing makes damage look whole.
 *
 * @throws IgorError STORE_VERSION | StoreFullError
 */
export async function openLogStore(files: Files, options: LogStoreOptions): Promise<Store> {
  try {
    return await open(files, options)
  } catch (error) {
    await files.close()
    throw error
  }
}

async function open(files: Files, { random, compactAbove = COMPACT_ABOVE }: LogStoreOptions): Promise<Store> {
  const found = await recover(files, random)
  const { index, suspectBelow } = found
  let log = found.log
  const copies = makeCopies(
    files,
    random,
    found.copies,
    found.nextCounter,
    found.covered,
    Math.min(REWRITE_COPIES_ABOVE, compactAbove),
  )
  const sound = suspectBelow === 0 && !found.damaged
  const rowsSound = !found.vitalInDoubt && index.list(VITAL_PREFIX).every((key) => index.get(key)?.held !== undefined)
  /** Says in the copies how much of the log is durable. Without room for that, the log's own word does. */
  const note = async () => {
    try {
      await copies.append([], noteOf(log))
    } catch (error) {
      if (!(error instanceof StoreFullError)) throw error
      await copies.rollBack()
    }
  }
  if (!found.tidy) await (rowsSound ? copies.rewrite(index, noteOf(log)) : note())

  const cache = makeCache()
  const queue: Waiting[] = []
  let writing: Promise<void> | undefined
  let compacting: Promise<void> | undefined
  let handOver: { readonly run: () => Promise<void>; readonly cancel: (reason: unknown) => void } | undefined
  let changed: Set<string> | undefined
  let compactFrom = compactAbove
  let live = 0
  for (const [key, place] of index.entries()) live += footprint(key, place.length)
  let failure: IgorError | undefined
  let closing: Promise<void> | undefined
  const stop = new AbortController()

  const openOnly = () => {
    if (closing !== undefined) throw new StoreClosedError()
  }

  const { read, mismatches } = makeReader({ files, index, cache, log: () => log, suspectBelow, vitalInDoubt: found.vitalInDoubt })

  /** Writes a group and makes it durable. @throws StoreFullError when nothing of it was kept */
  const writeGroup = async (group: readonly Waiting[]): Promise<void> => {
    const before = { ...log }
    let inCopies = false
    try {
      const offsets = await appendEntries(
        files,
        log,
        group.map(({ entry }) => entry),
      )
      const vital = group.flatMap(({ entry }) => vitalChanges(entry))
      if (vital.length > 0 || group.some(({ batch }) => batch.durable !== false)) {
        await syncFile(files, log.name)
        log.synced = log.length
      }
      inCopies = true
      if (vital.length > 0) await copies.append(vital, noteOf(log))
      inCopies = false
      for (const [i, waiting] of group.entries()) apply(waiting, offsets[i] ?? 0)
    } catch (error) {
      if (!(error instanceof StoreFullError)) throw error
      await takeBack(before, inCopies).catch((cause: unknown) => {
        throw failed(cause)
      })
      throw error
    }
  }

  /** Cuts off what a full disk took of a group. The copies first: they must never note more of the log than there is. */
  const takeBack = async (before: Log, inCopies: boolean): Promise<void> => {
    if (inCopies) await copies.rollBack()
    await files.truncate(before.name, before.length)
    await files.sync(before.name)
    Object.assign(log, before, { synced: before.length })
  }

  const apply = ({ entry }: Waiting, offset: number): void => {
    for (const { key, value } of entry.items) {
      const old = index.get(key)
      if (old !== undefined) live -= footprint(key, old.length)
      changed?.add(key)
      cache.delete(key)
      if (value === undefined) {
        index.delete(key)
        continue
      }
      const bytes = entry.bytes.subarray(value.at, value.at + value.length)
      const place: Place = { offset: offset + value.at, length: value.length, crc: value.crc }
      index.set(key, key.startsWith(VITAL_PREFIX) ? { ...place, held: bytes.slice() } : place)
      cache.set(key, bytes)
      live += footprint(key, value.length)
    }
  }

  /** Takes from the queue what is written together; what fails its conditions is answered at once. */
  const nextGroup = async (alone: boolean): Promise<Waiting[]> => {
    const group: Waiting[] = []
    const values = new Map<string, Uint8Array | undefined>()
    let bytes = 0
    // Only what waits now: who is turned away and tries again must see this group's outcome first.
    for (let left = queue.length; left > 0 && bytes < MAX_GROUP && !(alone && group.length > 0); left--) {
      const waiting = queue.shift()
      if (waiting === undefined) break
      try {
        const keys = await mismatches(waiting.batch, values)
        if (keys.some((key) => values.has(key))) {
          // A batch that is not written yet stands against it, and may still fail: let that be seen first.
          queue.unshift(waiting)
          break
        }
        if (keys.length > 0) throw new ConflictError(keys)
      } catch (error) {
        waiting.reject(error)
        continue
      }
      const { entry } = waiting
      for (const { key, value } of entry.items) values.set(key, value && entry.bytes.subarray(value.at, value.at + value.length))
      bytes += entry.bytes.length
      group.push(waiting)
    }
    return group
  }

  const write = async (): Promise<void> => {
    let alone = 0
    while (queue.length > 0 || handOver !== undefined) {
      await handOver?.run()
      const group = await nextGroup(alone > 0)
      if (alone > 0) alone--
      if (group.length === 0) continue
      try {
        await writeGroup(group)
        for (const { resolve } of group) resolve()
      } catch (error) {
        if (error instanceof StoreFullError && group.length > 1) {
          // One by one, so that a large batch does not take small ones down with it.
          queue.unshift(...group)
          alone = group.length
          continue
        }
        for (const { reject } of group) reject(error instanceof StoreFullError ? error : failed(error))
        if (!(error instanceof StoreFullError)) throw error
      }
      if (copies.worn && rowsSound) await copies.rewrite(index, noteOf(log))
      maybeCompact()
    }
  }

  const failed = (error: unknown): IgorError => {
    failure ??= new IgorError(
      'HOST_FAULT',
      'the disk failed while the store was writing; nothing more is written. Stop this node, check the disk, start again',
      { cause: error },
    )
    return failure
  }

  /** Runs the writer unless it runs. It never rejects. */
  const kick = (): void => {
    writing ??= (async () => {
      try {
        await write()
      } catch (error) {
        const reason = failed(error)
        handOver?.cancel(reason)
        handOver = undefined
        for (const { reject } of queue.splice(0)) reject(reason)
      } finally {
        writing = undefined
        // What came after its last look and before this line found a writer.
        if (queue.length > 0 || handOver !== undefined) kick()
      }
    })()
  }

  const maybeCompact = (): void => {
    if (compacting !== undefined || !sound || stop.signal.aborted || !isWorn(log.length, live, compactFrom)) return
    changed = new Set()
    compacting = compact({
      files,
      index,
      log: () => log,
      signal: stop.signal,
      takeChanged: () => {
        const keys = changed ?? new Set()
        changed = new Set()
        return keys
      },
      exclusively: (work) =>
        new Promise((resolve, reject) => {
          if (failure !== undefined) return reject(failure)
          handOver = {
            cancel: reject,
            run: async () => {
              handOver = undefined
              await work().then(resolve, (error: unknown) => {
                reject(error)
                throw error
              })
            },
          }
          kick()
        }),
      handOver: async (next) => {
        const old = log
        log = next
        cache.clear()
        await note()
        await files.remove(old.name)
      },
    })
      .catch(() => {
        // Not now: the disk is full, or a value is damaged. The log as it is does.
        compactFrom = Math.max(compactAbove, log.length * 2)
      })
      .finally(() => {
        compacting = undefined
        changed = undefined
      })
  }

  return {
    damaged: found.damaged,

    async get(key) {
      openOnly()
      checkKey(key)
      return read(key)
    },

    async list(prefix) {
      openOnly()
      checkPrefix(prefix)
      return index.list(prefix)
    },

    async commit(batch) {
      openOnly()
      checkBatch(batch)
      if (failure !== undefined) throw failure
      // Encoded at once: the caller may change its bytes afterwards.
      const { put = [], remove = [], expect = [], durable = true } = batch
      const kept: Batch = { durable, expect: expect.map(([key, value]) => [key, value?.slice()] as const) }
      const entry = encodeEntry(remove, put, log.salt)
      await new Promise<void>((resolve, reject) => {
        queue.push({ batch: kept, entry, resolve, reject })
        kick()
      })
    },

    async usage() {
      openOnly()
      return files.usage()
    },

    close() {
      closing ??= (async () => {
        stop.abort()
        try {
          while (writing !== undefined || compacting !== undefined) await (writing ?? compacting)
          if (failure === undefined && log.synced < log.length) await files.sync(log.name)
        } finally {
          await files.close()
        }
      })()
      return closing
    },
  }
}
