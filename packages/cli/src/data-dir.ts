/**
 * The folder that holds a node's identity and agents.
 *
 * @module
 */
import { mkdir, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { CommandError } from './failure.ts'
import type { Io } from './output.ts'

const OWNER_ONLY_FOLDER = 0o700
const OTHERS = 0o077

/** `--data-dir`, else IGOR_DATA_DIR, else `.igor` at home. */
export function dataDirOf(io: Io, option: string | undefined): string {
  return resolve(io.cwd, option || io.env.IGOR_DATA_DIR || join(homedir(), '.igor'))
}

/**
 * Makes the folder if need be.
 *
 * @returns what the operator should know of it, if anything
 * @throws CommandError BAD_DATA_DIR
 */
export async function prepareDataDir(dataDir: string): Promise<string | undefined> {
  try {
    await makeFolder(dataDir)
    const found = await stat(dataDir)
    if (process.platform !== 'win32' && (found.mode & OTHERS) !== 0) {
      return `other users can look into ${dataDir}: chmod 700 ${dataDir}`
    }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    const why = code === 'EEXIST' || code === 'ENOTDIR' ? 'a file is in the way' : code === 'EACCES' ? 'not allowed' : code
    throw new CommandError('BAD_DATA_DIR', `cannot use ${dataDir} as data folder (${why}): name another with --data-dir`, {
      cause: error,
    })
  }
  return undefined
}

/** As `mkdir -p`. Node's own does not end where a parent is there but takes no folders, as in /proc. */
async function makeFolder(folder: string): Promise<void> {
  const make = (path: string): Promise<unknown> =>
    mkdir(path, { mode: OWNER_ONLY_FOLDER }).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST' || !(await stat(path)).isDirectory()) throw error
    })
  try {
    await make(folder)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(folder) === folder) throw error
    await makeFolder(dirname(folder))
    await make(folder)
  }
}
