// Agents in C, Rust and Go. Their compilers are no part of `npm install`, and another version makes other bytes: a committed
// module is taken as it is while built.json says that it was made of these sources by this recipe.
//
//   C     Debian: apt-get install clang lld wasi-libc libclang-rt-dev-wasm32
//   Rust  rustup target add wasm32-wasip1
//   Go    1.24 or newer
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const STACK_BYTES = 32768

/** @type {Record<string, {compiler: string, version: string[], args: (out: string) => string[], env?: Record<string, string>}>} */
const RECIPES = {
  'agent.c': {
    compiler: 'clang',
    version: ['--version'],
    args: (out) =>
      // A reactor: it stays after its start. A stack below the data traps when it overflows, instead of writing over them.
      ['--target=wasm32-wasi', '-mexec-model=reactor', '-O2', '-Wall', '-Wextra', '-Werror', '-o', out, 'agent.c'].concat(
        ['--strip-all', '--stack-first', `-zstack-size=${STACK_BYTES}`].map((option) => `-Wl,${option}`),
      ),
  },
  'agent.rs': {
    compiler: 'rustc',
    version: ['--version'],
    args: (out) => [
      ...['--edition=2021', '--target=wasm32-wasip1', '--crate-type=cdylib', '-Dwarnings', '--remap-path-prefix==agent'],
      ...['opt-level=s', 'lto=fat', 'panic=abort', 'codegen-units=1', 'strip=symbols'].map((option) => `-C${option}`),
      `-Clink-arg=-zstack-size=${STACK_BYTES}`,
      ...['-o', out, 'agent.rs'],
    ],
  },
  'agent.go': {
    compiler: 'go',
    version: ['version'],
    args: (out) => ['build', '-buildmode=c-shared', '-trimpath', '-buildvcs=false', '-ldflags=-s -w -buildid=', '-o', out, '.'],
    env: { GOOS: 'wasip1', GOARCH: 'wasm', GOTOOLCHAIN: 'local', GOWORK: 'off', CGO_ENABLED: '0' },
  },
}

const hex = (/** @type {Uint8Array | string} */ bytes) => createHash('sha256').update(bytes).digest('hex')

/** @param {string[]} names files of the agent's folder @returns {string | undefined} the one that says its language */
export const nativeSource = (names) => Object.keys(RECIPES).find((name) => names.includes(name))

/** @param {string} folder @param {string} name @param {string[]} files */
const hashSources = async (folder, name, files) => {
  const { args, env = {} } = RECIPES[name]
  const lines = [JSON.stringify([args('OUT'), env])]
  for (const file of files) lines.push(`${file} ${hex(await readFile(join(folder, file)))}`)
  return hex(lines.join('\n'))
}

/** @param {string} command @param {string[]} args @param {{cwd: string, env?: Record<string, string>}} options @returns {Promise<string>} stdout */
const output = (command, args, { cwd, env }) =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    let failed = ''
    child.stdout.on('data', (text) => (said += text))
    child.stderr.on('data', (text) => (failed += text))
    child.on('error', reject)
    child.on('close', (code) => (code === 0 ? resolve(said) : reject(new Error(`${command} failed:\n${failed}`))))
  })

/** @param {string} folder @param {string} source */
const compile = async (folder, source) => {
  const { compiler, version, args, env } = RECIPES[source]
  const scratch = await mkdtemp(join(tmpdir(), 'igor-agent-'))
  try {
    const out = join(scratch, 'agent.wasm')
    await output(compiler, args(out), { cwd: folder, env })
    const [first = ''] = (await output(compiler, version, { cwd: folder })).split('\n')
    return { wasm: await readFile(out), compiler: first }
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
    throw new Error(
      `${folder}/${source} is not what its committed module was made of, and there is no ${compiler} to make it anew`,
    )
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

/**
 * @param {string} folder @param {string} name
 * @param {{force?: boolean}} [options] `force` compiles whatever built.json says
 * @returns {Promise<boolean>} whether the module changed
 * @throws {Error} it does not compile, or there is no compiler and it would be needed
 */
export async function buildNative(folder, name, { force = false } = {}) {
  const path = join(folder, `${name}.wasm`)
  const record = join(folder, 'built.json')
  const files = (await readdir(folder)).filter((file) => /\.(c|h|rs|go|mod)$/.test(file)).sort()
  const source = nativeSource(files)
  const sources = await hashSources(folder, source, files)
  const before = await readFile(path).catch(() => undefined)
  const known = JSON.parse(await readFile(record, 'utf8').catch(() => '{}'))
  const same = before !== undefined && known.sources === sources && known.module === hex(before)
  if (same && !force) return false
  const { wasm, compiler } = await compile(folder, source)
  await writeFile(path, wasm)
  await writeFile(record, `${JSON.stringify({ sources, module: hex(wasm), compiler }, null, 2)}\n`)
  return before?.equals(wasm) !== true
}
