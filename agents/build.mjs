// Compiles every agent to <name>/<name>.wasm. The results are committed, so that whoever has no toolchain can run them.
// Option: --force, for C, Rust and Go (see native.mjs).
import { access, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { buildNative, nativeSource } from './native.mjs'

const folder = dirname(fileURLToPath(import.meta.url))

const OPTIONS = [
  ['--optimizeLevel', '3'],
  ['--shrinkLevel', '1'],
  // Abort is a trap: a host has no `env` to import from.
  ['--use', 'abort='],
  ['--runtime', 'incremental'],
  // Agents do not recurse; a small stack keeps their first state small.
  ['--stackSize', '8192'],
]

/** @returns {Promise<string[]>} names of the agents */
export async function listAgents() {
  const entries = await readdir(folder, { withFileTypes: true })
  return entries
    .filter((entry) => entry.isDirectory() && entry.name !== 'node_modules')
    .map((entry) => entry.name)
    .sort()
}

/** @param {string} name @returns {Promise<Uint8Array>} the module */
async function compileScript(name) {
  const { default: asc } = await import('assemblyscript/asc')
  /** @type {Uint8Array | undefined} */
  let wasm
  const { error, stderr } = await asc.main(
    [`${name}/agent.ts`, '--outFile', `${name}.wasm`, '--baseDir', folder, ...OPTIONS.flat()],
    {
      readFile: (file, base) =>
        access(join(base, file)).then(
          () => readFile(join(base, file), 'utf8'),
          () => null,
        ),
      writeFile: (file, contents) => {
        if (file.endsWith('.wasm')) wasm = contents
      },
      listFiles: () => [],
    },
  )
  if (error || !wasm) throw new Error(`agents/${name} does not compile: ${stderr.toString() || error?.message}`)
  return wasm
}

/** @param {string} name @returns {Promise<boolean>} whether the module changed */
async function buildScript(name) {
  const wasm = await compileScript(name)
  const path = join(folder, name, `${name}.wasm`)
  const before = await readFile(path).catch(() => undefined)
  if (before?.equals(wasm)) return false
  await writeFile(path, wasm)
  return true
}

/**
 * Compiles all; writes only what changed.
 * @param {{force?: boolean}} [options] `force`: C, Rust and Go too, though their committed modules are up to date
 * @returns {Promise<string[]>} names of the agents that changed
 */
export async function buildAgents(options) {
  const changed = []
  for (const name of await listAgents()) {
    const native = nativeSource(await readdir(join(folder, name))) !== undefined
    if (await (native ? buildNative(join(folder, name), name, options) : buildScript(name))) changed.push(name)
  }
  return changed
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const changed = await buildAgents({ force: process.argv.includes('--force') })
  console.log(changed.length === 0 ? 'agents: nothing changed' : `agents: built ${changed.join(', ')}`)
}
