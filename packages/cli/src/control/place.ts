/**
 * Where a node's control socket is. The data folder says so in `control.json`, which only its user can read and which holds
 * the token that every request must show (a named pipe on Windows has no file mode).
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { chmod, lstat, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { CommandError } from '../failure.ts'

/** sun_path holds 104 bytes on macOS, 108 on Linux, with the ending zero. */
export const MAX_SOCKET_PATH = 103
const FILE = 'control.json'
const OWNER_ONLY = 0o600
const OWNER_ONLY_FOLDER = 0o700

export interface ControlPlace {
  readonly path: string
  readonly token: string
  readonly pid: number
}

/** The socket's path for this data folder; in a private folder of the system's temporary one where it would be too long. */
export async function socketPath(dataDir: string, platform: NodeJS.Platform = process.platform): Promise<string> {
  const folder = resolve(dataDir)
  const short = createHash('sha256').update(folder).digest('hex').slice(0, 16)
  if (platform === 'win32') return `\\\\.\\pipe\\igor-${short}`
  const inside = join(folder, 'control.sock')
  if (Buffer.byteLength(inside) <= MAX_SOCKET_PATH) return inside
  for (const base of [tmpdir(), '/tmp']) {
    const path = join(base, `igor-${userInfo().uid}`, `${short}.sock`)
    if (Buffer.byteLength(path) > MAX_SOCKET_PATH) continue
    await ownFolder(join(base, `igor-${userInfo().uid}`))
    return path
  }
  throw new CommandError('BAD_DATA_DIR', `${inside} is too long for a socket: choose a shorter --data-dir`)
}

/** Makes the folder, or makes sure that it is ours alone: others may write beside it. */
async function ownFolder(folder: string): Promise<void> {
  await mkdir(folder, { mode: OWNER_ONLY_FOLDER, recursive: true })
  const found = await lstat(folder)
  if (!found.isDirectory() || found.uid !== userInfo().uid || (found.mode & 0o077) !== 0) {
    throw new CommandError(
      'BAD_DATA_DIR',
      `${folder} belongs to someone else or is open to others: remove it, or choose a shorter --data-dir`,
    )
  }
}

export async function writePlace(dataDir: string, place: ControlPlace): Promise<void> {
  const file = join(dataDir, FILE)
  await rm(file, { force: true })
  await writeFile(file, `${JSON.stringify(place)}\n`, { mode: OWNER_ONLY, flag: 'wx' })
}

export async function removePlace(dataDir: string): Promise<void> {
  await rm(join(dataDir, FILE), { force: true })
}

/** @returns undefined when no node left its mark here */
export async function readPlace(dataDir: string): Promise<ControlPlace | undefined> {
  let text: string
  try {
    text = await readFile(join(dataDir, FILE), 'utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'EACCES' || code === 'EPERM') {
      throw new CommandError('NOT_YOURS', `${dataDir} belongs to another user: name your own folder with --data-dir`)
    }
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw error
  }
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && 'path' in value && 'token' in value && 'pid' in value) {
      const { path, token, pid } = value
      if (typeof path === 'string' && typeof token === 'string' && typeof pid === 'number') return { path, token, pid }
    }
  } catch {
    // Cut in the middle of a write by a crash: as good as none.
  }
  return undefined
}

/** Makes the socket's file its user's alone. */
export async function lockDown(path: string, platform: NodeJS.Platform = process.platform): Promise<void> {
  if (platform !== 'win32') await chmod(path, OWNER_ONLY)
}
