import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, rename, stat, statfs, unlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { type Files, IgorError, StoreClosedError, StoreFullError } from '@igor/core'
import { LOCK_FILE, lockFolder } from './lock.ts'

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
/** Keys are in these files: their owner alone reads them. */
const FOLDER_MODE = 0o700
const FILE_MODE = 0o600
/** No room left, over quota, or larger than a file may be. */
const FULL: readonly unknown[] = ['ENOSPC', 'EDQUOT', 'EFBIG']

/** A link in the folder must not lead a node to write elsewhere. Windows knows no such flag. */
const FLAGS = constants.O_RDWR | (constants.O_NOFOLLOW ?? 0)

/** A file that is open. */
interface Opened {
  readonly handle: FileHandle
  size: number
  /** It was cut: fdatasync need not make that durable. */
  cut: boolean
  /** Ends when what was asked of it so far is done. Never rejects. */
  tail: Promise<unknown>
}

/**
 * Files of one folder, which is made if need be and locked against other processes until `close`.
 * Other things in the folder are left alone.
 *
 * @throws IgorError STORE_BUSY when another process has the folder
 */
export async function openFiles(folder: string): Promise<Files> {
  const path = resolve(folder)
  await makeFolder(path)
  const lock = await lockFolder(path)
  const opened = new Map<string, Promise<Opened>>()
  let closing: Promise<void> | undefined

  const at = (name: string): string => {
    if (closing !== undefined) throw new StoreClosedError()
    if (!NAME.test(name) || name === LOCK_FILE) {
      throw new IgorError('BAD_REQUEST', `${JSON.stringify(name)} is no file name here`)
    }
    return join(path, name)
  }

  const openFile = (name: string, create: boolean): Promise<Opened> => {
    const place = at(name)
    const there = opened.get(name)
    if (there !== undefined) return there
    const opening = (async () => {
      const handle = await open(place, FLAGS | (create ? constants.O_CREAT : 0), FILE_MODE)
      const { size } = await handle.stat()
      return { handle, size, cut: false, tail: Promise.resolve() }
    })()
    opened.set(name, opening)
    opening.catch(() => {
      if (opened.get(name) === opening) opened.delete(name)
    })
    return opening
  }

  /** Work on a file that keeps its turn. */
  const inTurn = async <T>(opening: Promise<Opened>, work: (file: Opened) => Promise<T>): Promise<T> => {
    const file = await opening
    const done = file.tail.then(() => work(file))
    file.tail = done.catch(() => undefined)
    return done.catch((error: unknown) => {
      throw explain(error, path)
    })
  }

  const forget = async (name: string): Promise<void> => {
    const file = await opened.get(name)?.catch(() => undefined)
    opened.delete(name)
    await file?.tail
    await file?.handle.close()
  }

  const close = async () => {
    await Promise.all(Array.from(opened.keys(), forget))
    await lock.release()
  }

  return {
    async list() {
      if (closing !== undefined) throw new StoreClosedError()
      const entries = await readdir(path, { withFileTypes: true })
      return entries
        .filter((entry) => entry.isFile() && NAME.test(entry.name) && entry.name !== LOCK_FILE)
        .map(({ name }) => name)
    },

    size: async (name) => inTurn(openFile(name, false), async (file) => file.size),

    async read(name, offset, length) {
      const file = await openFile(name, false)
      const bytes = new Uint8Array(Math.max(0, Math.min(length, file.size - offset)))
      let done = 0
      while (done < bytes.length) {
        const { bytesRead } = await file.handle.read(bytes, done, bytes.length - done, offset + done)
        if (bytesRead === 0) break
        done += bytesRead
      }
      return done === bytes.length ? bytes : bytes.slice(0, done)
    },

    append: async (name, bytes) =>
      inTurn(openFile(name, true), async (file) => {
        const offset = file.size
        for (let done = 0; done < bytes.length; ) {
          const { bytesWritten } = await file.handle.write(bytes, done, bytes.length - done, offset + done)
          done += bytesWritten
          file.size = offset + done
        }
        return offset
      }),

    truncate: async (name, length) =>
      inTurn(openFile(name, false), async (file) => {
        await file.handle.truncate(length)
        file.size = length
        file.cut = true
      }),

    async rename(from, to) {
      const [source, target] = [at(from), at(to)]
      await forget(to)
      await forget(from)
      await rename(source, target)
    },

    async remove(name) {
      const place = at(name)
      await forget(name)
      await unlink(place)
    },

    sync: async (name) =>
      inTurn(openFile(name, false), async (file) => {
        await (file.cut ? file.handle.sync() : file.handle.datasync())
        file.cut = false
      }),

    async syncDir() {
      if (closing !== undefined) throw new StoreClosedError()
      await syncFolder(path)
    },

    async usage() {
      if (closing !== undefined) throw new StoreClosedError()
      let used = 0
      for (const entry of await readdir(path, { withFileTypes: true })) {
        if (!entry.isFile()) continue
        const found = await stat(join(path, entry.name)).catch(() => undefined)
        used += found?.size ?? 0
      }
      const { bavail, bsize } = await statfs(path)
      return { used, quota: used + bavail * bsize, persistent: true }
    },

    close() {
      closing ??= close()
      return closing
    },
  }
}

async function makeFolder(path: string): Promise<void> {
  try {
    const first = await mkdir(path, { recursive: true, mode: FOLDER_MODE })
    // What was made is durable only when its parents say so.
    if (first === undefined) return
    for (let made = path; ; made = dirname(made)) {
      await syncFolder(dirname(made))
      if (made === first || dirname(made) === made) return
    }
  } catch (error) {
    throw explain(error, path)
  }
}

async function syncFolder(path: string): Promise<void> {
  // Windows has no such thing, and does not need it: NTFS journals folders.
  if (process.platform === 'win32') return
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

function explain(error: unknown, folder: string): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'EEXIST' || code === 'ENOTDIR') {
    return new IgorError('BAD_REQUEST', `${folder} cannot be a data folder: a file is there`, { cause: error })
  }
  if (!FULL.includes(code)) return error
  return new StoreFullError(`the disk that holds ${folder} is full: free some space`, { cause: error })
}
