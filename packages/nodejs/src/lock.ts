import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { IgorError } from '@igor/core'

/** Name of the lock's file; it stays when the lock is gone, and says who had it last. */
export const LOCK_FILE = 'lock'
/** Which byte is locked: far behind the text, which others may read while it is locked (Windows forbids it otherwise). */
const LOCKED_BYTE = 2 ** 30

/** A folder's lock, held until `release` or the end of the process, however it ends. */
export interface FolderLock {
  release(): Promise<void>
}

/**
 * Takes the lock of a data folder. It is the kernel's lock on an open file, so that none is left behind
 * by a process that was killed, and no process id can be mistaken for another's.
 *
 * @throws IgorError STORE_BUSY when another process, or this one, has it
 */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const { tryLock } = await import('fs-native-extensions').catch((cause: unknown) => {
    throw new IgorError('HOST_FAULT', `this platform (${process.platform} ${process.arch}) has no file locks that Igor knows`, {
      cause,
    })
  })
  const file = await open(join(folder, LOCK_FILE), 'a+', 0o600)
  try {
    if (!tryLock(file.fd, LOCKED_BYTE, 1)) throw busy(folder, await holder(file))
    await file.truncate(0)
    await file.write(`${process.pid}\n`)
  } catch (error) {
    await file.close()
    throw error
  }
  return { release: () => file.close() }
}

async function holder(file: FileHandle): Promise<number | undefined> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(20), 0, 20, 0)
  const pid = Number.parseInt(buffer.toString('latin1', 0, bytesRead), 10)
  return pid > 0 ? pid : undefined
}

function busy(folder: string, pid: number | undefined): IgorError {
  const who =
    pid === process.pid ? 'this process already' : pid === undefined ? 'another process' : `another process (pid ${pid})`
  return new IgorError(
    'STORE_BUSY',
    `the data folder ${folder} is in use by ${who}: stop that node first, or choose another data folder`,
  )
}
