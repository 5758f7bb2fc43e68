/**
 * Files that commands read and write.
 *
 * @module
 */
import { type FileHandle, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { CommandError, usageError } from './failure.ts'
import type { Io } from './output.ts'

/** An agent's file is at most this long (its memory is at most 64 MiB). */
export const MAX_AGENT_FILE = 256 * 1024 * 1024
/** The largest module that a node takes, with room for its own message about it. */
export const MAX_MODULE_FILE = 128 * 1024 * 1024
/** Manifests are at most 64 KiB, init bytes 1 MiB; the node says so with its own words. */
export const MAX_SMALL_FILE = 2 * 1024 * 1024

/**
 * Reads a file whole.
 *
 * @throws CommandError BAD_FILE when it is not there, cannot be read, or is longer than `max` bytes (nothing is read then)
 */
export async function readInput(io: Io, file: string, max: number): Promise<Uint8Array> {
  if (file === '-') return readStdin(io, max)
  const path = resolve(io.cwd, file)
  try {
    const found = await stat(path)
    if (found.isDirectory()) throw new CommandError('BAD_FILE', `${file} is a folder, not a file`)
    if (found.size > max)
      throw new CommandError('BAD_FILE', `${file} has ${found.size} bytes, more than the ${max} that can be right`)
    return new Uint8Array(await readFile(path))
  } catch (error) {
    throw fileError(error, file, 'read')
  }
}

async function readStdin(io: Io, max: number): Promise<Uint8Array> {
  if (io.stdin.isTTY === true) throw usageError('nothing comes in on standard input: pipe something in, or name a file')
  const parts: Buffer[] = []
  let length = 0
  for await (const part of io.stdin) {
    const bytes = typeof part === 'string' ? Buffer.from(part) : part
    length += bytes.length
    if (length > max) throw new CommandError('BAD_FILE', `standard input has more than ${max} bytes`)
    parts.push(bytes)
  }
  return new Uint8Array(Buffer.concat(parts))
}

/** True if there is such a file or folder. */
export async function exists(io: Io, file: string): Promise<boolean> {
  return stat(resolve(io.cwd, file)).then(
    () => true,
    () => false,
  )
}

/** A file that is only there once it is whole. */
export interface PendingFile {
  /** Writes, makes durable, and gives it its name. */
  finish(bytes: Uint8Array): Promise<void>
  /** Leaves nothing behind. */
  discard(): Promise<void>
}

const OWNER_ONLY = 0o600

/**
 * Makes sure that a file can be written before there is something to write: what is asked for in between may be given only once.
 *
 * @throws CommandError FILE_EXISTS, or BAD_FILE when the folder cannot be written
 */
export async function reserve(io: Io, file: string, replace = false): Promise<PendingFile> {
  const path = resolve(io.cwd, file)
  if (!replace && (await exists(io, file))) {
    throw new CommandError('FILE_EXISTS', `${file} is already there: choose another name with -o, or remove it first`)
  }
  const temporary = `${path}.${process.pid}.part`
  let handle: FileHandle
  try {
    handle = await open(temporary, 'wx', OWNER_ONLY)
  } catch (error) {
    throw fileError(error, file, 'write')
  }
  const discard = async (): Promise<void> => {
    await handle.close()
    await rm(temporary, { force: true })
  }
  return {
    async finish(bytes) {
      try {
        await handle.writeFile(bytes)
        await handle.sync()
        await handle.close()
        await rename(temporary, path)
      } catch (error) {
        await discard().catch(() => undefined)
        throw fileError(error, file, 'write')
      }
    },
    discard,
  }
}

/** Writes a file that was not there. Only its user can read it. */
export async function writeNew(io: Io, file: string, bytes: Uint8Array): Promise<void> {
  await (await reserve(io, file)).finish(bytes)
}

/** Bytes would upset a terminal. */
export function writeToStdout(io: Io, bytes: Uint8Array): void {
  if (io.stdout.isTTY === true) throw usageError('this is binary: name a file with -o, or pipe it on')
  io.stdout.write(bytes)
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or folder',
  EACCES: 'not allowed',
  EPERM: 'not allowed',
  EISDIR: 'a folder, not a file',
  ENOTDIR: 'a part of its path is not a folder',
  ENOSPC: 'the disk is full',
  EROFS: 'the disk is read-only',
}

function fileError(error: unknown, file: string, what: 'read' | 'write'): CommandError {
  if (error instanceof CommandError) return error
  const code = (error as NodeJS.ErrnoException).code ?? ''
  return new CommandError('BAD_FILE', `cannot ${what} ${file}: ${REASONS[code] ?? (error as Error).message}`, { cause: error })
}
