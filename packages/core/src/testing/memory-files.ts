import { IgorError, StoreClosedError, StoreFullError } from '../errors.ts'
import type { Files } from '../platform.ts'

/** Thrown by every operation once the machine has crashed. */
export class CrashError extends Error {
  constructor() {
    super('the machine crashed')
    this.name = 'CrashError'
  }
}

/** What may become of what was not synced. `random` gives numbers from 0 to 1. */
export interface CrashOptions {
  /** All of it is kept, all of it is gone, or anything between, with holes. */
  readonly unsynced: 'kept' | 'gone' | 'torn'
  readonly random?: () => number
}

/** A disk in memory that can crash, tear, fill up and fail. */
export interface Disk {
  /** Files on it, as after a start of the machine. */
  open(): Files
  /** Operations so far that change something or sync. */
  readonly operations: number
  /** The n-th such operation from now on (0: the next one) is cut short, and nothing works after it. */
  crashAt(n: number, options: CrashOptions): void
  /** Pulls the plug now. */
  crash(options: CrashOptions): void
  /** Bytes that fit on it. */
  capacity: number
  /** The n-th sync from now on fails, with this error. */
  failSyncAt(n: number, error?: Error): void
  /** Content as the next start would find it. */
  names(): string[]
  peek(name: string): Uint8Array
  poke(name: string, bytes: Uint8Array | undefined): void
  /** An independent one of the same content. */
  copy(): Disk
}

/** The first bytes of a buffer that has room for more. What was appended never changes: a view of it is a copy. */
interface Content {
  readonly buffer: Uint8Array
  readonly length: number
}

interface Inode {
  /** What a reader sees. */
  live: Content
  /** What a crash leaves for certain. */
  synced: Content
}

const contentOf = (bytes: Uint8Array): Content => ({ buffer: bytes, length: bytes.length })
const bytesOf = ({ buffer, length }: Content): Uint8Array => buffer.subarray(0, length)

/** Appends in place where nobody else sees it: a log is written piece by piece, and copying it each time is slow. */
const extend = (file: Inode, part: Uint8Array): Content => {
  const { buffer, length } = file.live
  const end = length + part.length
  if (end <= buffer.length) {
    buffer.set(part, length)
    return { buffer, length: end }
  }
  const grown = new Uint8Array(Math.max(end, Math.min(2 * end, end + GROWTH)))
  grown.set(bytesOf(file.live))
  grown.set(part, length)
  return { buffer: grown, length: end }
}

type Names = Map<string, Inode>

const inodeOf = (bytes: Uint8Array): Inode => {
  const content = contentOf(bytes.slice())
  return { live: content, synced: content }
}

/** Granularity of holes: a page's worth on real disks, less here so that small files get some. */
const PAGE = 64
/** Room that a growing file is given at most. */
const GROWTH = 1024 * 1024
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

/** @see Disk */
export function makeDisk(content: ReadonlyMap<string, Uint8Array> = new Map()): Disk {
  let names: Names = new Map(Array.from(content, ([name, bytes]) => [name, inodeOf(bytes)]))
  // Folder operations that no syncDir has made durable, and the folder before them.
  let syncedNames: Names = new Map(names)
  let folderLog: ((folder: Names) => void)[] = []
  let operations = 0
  let syncs = 0
  let crashAt: { at: number; options: CrashOptions } | undefined
  let failSync: { at: number; error: Error } | undefined
  let epoch = 0

  const used = () => Array.from(names.values(), ({ live }) => live.length).reduce((sum, length) => sum + length, 0)

  const crash = ({ unsynced, random = () => 0.5 }: CrashOptions) => {
    epoch++
    const kept = unsynced === 'kept' ? folderLog.length : unsynced === 'gone' ? 0 : Math.floor(random() * (folderLog.length + 1))
    const folder = syncedNames
    for (const change of folderLog.slice(0, kept)) change(folder)
    names = folder
    for (const inode of new Set(folder.values())) {
      if (unsynced === 'gone') inode.live = inode.synced
      if (unsynced === 'torn') inode.live = contentOf(tear(inode, random))
      inode.live = contentOf(bytesOf(inode.live).slice())
      inode.synced = inode.live
    }
    syncedNames = new Map(names)
    folderLog = []
    crashAt = undefined
  }

  const inFolder = (change: (folder: Names) => void) => {
    change(names)
    folderLog.push(change)
  }

  const open = (): Files => {
    const mine = epoch
    let closed = false
    const check = (...given: string[]) => {
      if (mine !== epoch) throw new CrashError()
      if (closed) throw new StoreClosedError()
      for (const name of given)
        if (!NAME.test(name)) throw new IgorError('BAD_REQUEST', `${JSON.stringify(name)} is no file name`)
    }
    const inode = (name: string): Inode => {
      const found = names.get(name)
      if (found === undefined) throw new Error(`there is no file ${name}`)
      return found
    }
    /** Does a change, or half of it when the crash is due. */
    const change = (whole: () => void, half: () => void = () => undefined) => {
      const due = crashAt !== undefined && operations === crashAt.at ? crashAt.options : undefined
      operations++
      if (due === undefined) return whole()
      if (due.unsynced === 'kept') whole()
      else if (due.unsynced === 'torn') half()
      crash(due)
      throw new CrashError()
    }
    const sync = (whole: () => void) => {
      if (syncs++ === failSync?.at) throw failSync.error
      change(whole)
    }
    return {
      async list() {
        check()
        return [...names.keys()]
      },
      async size(name) {
        check(name)
        return inode(name).live.length
      },
      async read(name, offset, length) {
        check(name)
        return bytesOf(inode(name).live).slice(offset, offset + length)
      },
      async append(name, bytes) {
        check(name)
        const given = bytes.slice()
        const room = capacityLeft()
        const offset = names.get(name)?.live.length ?? 0
        const write = (part: Uint8Array) => {
          if (!names.has(name)) inFolder(linker(name, inodeOf(new Uint8Array())))
          const file = inode(name)
          file.live = extend(file, part)
        }
        if (given.length > room) {
          write(given.subarray(0, Math.max(0, room)))
          throw new StoreFullError('the disk in memory is full')
        }
        change(
          () => write(given),
          () => write(given.subarray(0, Math.floor(given.length / 2))),
        )
        return offset
      },
      async truncate(name, length) {
        check(name)
        const file = inode(name)
        change(() => {
          // Copied, as what comes after it may still be what a crash leaves.
          file.live = contentOf(bytesOf(file.live).slice(0, length))
        })
      },
      async rename(from, to) {
        check(from, to)
        const file = inode(from)
        change(() =>
          inFolder((folder) => {
            if (folder.get(from) !== file) return
            folder.delete(from)
            folder.set(to, file)
          }),
        )
      },
      async remove(name) {
        check(name)
        inode(name)
        change(() => inFolder((folder) => folder.delete(name)))
      },
      async sync(name) {
        check(name)
        const file = inode(name)
        sync(() => {
          file.synced = file.live
        })
      },
      async syncDir() {
        check()
        sync(() => {
          syncedNames = new Map(names)
          folderLog = []
        })
      },
      async usage() {
        check()
        return { used: used(), persistent: true }
      },
      async close() {
        closed = true
      },
    }
  }

  const capacityLeft = () => disk.capacity - used()

  const disk: Disk = {
    open,
    capacity: Number.POSITIVE_INFINITY,
    get operations() {
      return operations
    },
    crashAt(n, options) {
      crashAt = { at: operations + n, options }
    },
    crash,
    failSyncAt(n, error = new Error('the disk does not answer')) {
      failSync = { at: syncs + n, error }
    },
    names: () => [...names.keys()].sort(),
    peek: (name) => bytesOf(names.get(name)?.live ?? contentOf(new Uint8Array())).slice(),
    poke(name, bytes) {
      for (const folder of [names, syncedNames]) {
        if (bytes === undefined) folder.delete(name)
        else folder.set(name, inodeOf(bytes))
      }
    },
    copy: () => makeDisk(new Map(Array.from(names, ([name, { live }]) => [name, bytesOf(live)]))),
  }
  return disk
}

function linker(name: string, file: Inode): (folder: Names) => void {
  return (folder) => {
    folder.set(name, file)
  }
}

/** What was synced, and of the rest anything: cut somewhere, holes of zeros, or a cut that did not happen. */
function tear(file: Inode, random: () => number): Uint8Array {
  const [live, synced] = [bytesOf(file.live), bytesOf(file.synced)]
  let common = 0
  while (common < live.length && common < synced.length && live[common] === synced[common]) common++
  const longer = live.length >= synced.length ? live : synced
  const torn = longer.slice(0, common + Math.floor(random() * (longer.length - common + 1)))
  for (let page = common; page < torn.length; page += PAGE) {
    if (random() < 0.2) torn.fill(0, page, page + PAGE)
  }
  return torn
}
