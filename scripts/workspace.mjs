// What the scripts share: the folder, its tools, and whether they are there and fresh. Runs on Node >= 20, before anything
// is installed: imports of Node.js alone.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const modules = join(root, 'node_modules')
const STAMP = join(modules, '.cache', 'igor', 'built')

/** The oldest Node.js that libp2p and vitest run on. */
const WANTED_MAJOR = 22

/** Tools by the JavaScript file behind them: a command file differs from system to system. */
export const tools = {
  biome: join(modules, '@biomejs', 'biome', 'bin', 'biome'),
  tsc: join(modules, 'typescript', 'bin', 'tsc'),
  vitest: join(modules, 'vitest', 'vitest.mjs'),
  playwright: join(modules, '@playwright', 'test', 'cli.js'),
}

/** @returns {string} the Node.js that runs everything: the one that npm brought, else this one */
export function findNode() {
  const brought = join(modules, 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
  if (existsSync(brought)) return brought
  if (Number.parseInt(process.versions.node, 10) >= WANTED_MAJOR) return process.execPath
  throw new Error(
    `Node.js ${process.versions.node} is too old and npm brought no newer one: npm rebuild node, or use Node.js >= ${WANTED_MAJOR}`,
  )
}

/** @returns {NodeJS.ProcessEnv} so that what runs finds the same Node.js and the workspace's commands */
export function environment() {
  return { ...process.env, PATH: [join(modules, '.bin'), process.env.PATH ?? ''].join(delimiter) }
}

/**
 * Runs a command to its end, its output going where ours goes.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {{env?: NodeJS.ProcessEnv, timeoutMs?: number, stdout?: 'inherit' | 'ignore' | 'stderr' | number}} [options] `stdout`: a number is an open file, for all output
 * @returns {Promise<number>} its exit code; 124 when it took too long, as `timeout` has it
 */
export async function run(command, args, { env = environment(), timeoutMs, stdout = 'inherit' } = {}) {
  // A group of its own, so that its children end with it.
  const own = timeoutMs !== undefined && process.platform !== 'win32'
  const child = spawn(command, args, {
    cwd: root,
    env,
    stdio: ['inherit', stdout === 'stderr' ? 2 : stdout, stdout === 'ignore' || typeof stdout === 'number' ? stdout : 'inherit'],
    detached: own,
  })
  let late = false
  const kill = () => {
    try {
      if (own && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
      else child.kill('SIGKILL')
    } catch {
      // It has ended meanwhile.
    }
  }
  const timer =
    timeoutMs &&
    setTimeout(() => {
      late = true
      kill()
    }, timeoutMs)
  const end = () => {
    kill()
    process.exit(130)
  }
  if (own) process.once('SIGINT', end).once('SIGTERM', end)
  try {
    return await new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('exit', (code) => resolve(late ? 124 : (code ?? 1)))
    })
  } finally {
    clearTimeout(timer)
    process.off('SIGINT', end).off('SIGTERM', end)
  }
}

/** @param {string} tool @param {string[]} args @param {Parameters<typeof run>[2]} [options] */
export function runTool(tool, args, options) {
  return run(findNode(), [tool, ...args], options)
}

/** True if node_modules holds what package-lock.json asks for. */
export function isInstalled() {
  try {
    const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages
    const found = JSON.parse(readFileSync(join(modules, '.package-lock.json'), 'utf8')).packages
    return Object.entries(wanted).every(([path, want]) => {
      if (path === '' || want.extraneous) return true
      const got = found[path]
      // Optional ones are for other systems.
      if (got === undefined) return Boolean(want.optional || want.devOptional || want.peer)
      return got.version === want.version && got.integrity === want.integrity
    })
  } catch {
    return false
  }
}

/** Installs what package-lock.json names, if need be. @throws {Error} */
export async function ensureInstalled() {
  if (isInstalled()) return
  console.error('Installing dependencies …')
  // Windows cannot replace the node that may run this.
  const args = [process.platform === 'win32' && existsSync(modules) ? 'install' : 'ci', '--no-fund', '--no-audit']
  const npm = process.env.npm_execpath
  // `npm run --silent up` silences this script, not why an installation fails.
  const env = { ...process.env, npm_config_loglevel: 'error' }
  const byScript = npm?.endsWith('.js') && existsSync(npm)
  const code = byScript
    ? await run(process.execPath, [npm, ...args], { env, stdout: 'stderr' })
    : await run(process.platform === 'win32' ? 'npm.cmd' : 'npm', args, { env, stdout: 'stderr' })
  if (code !== 0) throw new Error(`npm ${args[0]} failed (exit code ${code}): see above`)
}

/** What a build reads. */
const SOURCES = ['packages', 'agents', 'demo', 'scripts', 'package-lock.json', 'tsconfig.base.json', 'tsconfig.json']
const SKIPPED = new Set(['node_modules', 'dist', 'page', '.git'])

/** Changes with every file that a build reads. */
async function fingerprint() {
  const hash = createHash('sha256')
  const visit = async (path) => {
    const found = await stat(path).catch(() => undefined)
    if (found === undefined) return
    if (!found.isDirectory()) {
      hash.update(`${path}\0${found.size}\0${found.mtimeMs}\n`)
      return
    }
    for (const name of (await readdir(path)).sort()) {
      if (!SKIPPED.has(name) && !name.endsWith('.tsbuildinfo') && !name.includes('.test.')) await visit(join(path, name))
    }
  }
  for (const source of SOURCES) await visit(join(root, source))
  return hash.digest('hex')
}

/** True if nothing changed since the last build. */
export async function isBuilt() {
  const outputs = ['packages/cli/dist/bin.js', 'packages/cli/page/index.html']
  if (!outputs.every((path) => existsSync(join(root, path)))) return false
  return (await readFile(STAMP, 'utf8').catch(() => '')) === (await fingerprint())
}

/** Says that a build of what is there now was done. */
export async function markBuilt() {
  await mkdir(dirname(STAMP), { recursive: true })
  await writeFile(STAMP, await fingerprint())
}
