// `npm run conformance`: the same programs in every engine that this machine has, held against one table, and each engine
// goes on from the middle of another's run. Options: --update writes the table anew (from the first engine),
// --engine TEXT takes those whose name contains it, --node PATH adds another Node.js, --report FILE writes the counts.
import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { decode, encode } from '@ipld/dag-cbor'
import { build } from 'esbuild'
import { findEngines } from './engines.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const root = join(here, '../../..')
const TABLE = join(here, 'expected.json')
const BUNDLE = join(here, 'dist', 'entry.mjs')
const CASES_BUNDLE = join(here, 'dist', 'cases.mjs')
/** Longer than the slowest engine takes on a busy machine. */
const ENGINE_MS = 5 * 60_000
const PAGE = '<!doctype html><title>conformance</title><script type="module" src="/entry.mjs"></script>'

const bundle = () =>
  build({
    entryPoints: { entry: join(here, 'entry.mjs'), cases: join(here, '../src/conformance/cases.ts') },
    bundle: true,
    format: 'esm',
    target: 'es2022',
    conditions: ['source'],
    outdir: join(here, 'dist'),
    outExtension: { '.js': '.mjs' },
    logLevel: 'warning',
  })

const bytesOf = async (path) => (path === undefined ? new Uint8Array() : new Uint8Array(await readFile(join(root, path))))

/** One engine at some work. */
const runEngine = async (engine, cases) => {
  const { promise, resolve } = Promise.withResolvers()
  const page = await readFile(BUNDLE)
  const server = createServer(async (request, response) => {
    if (request.url === '/work') return void response.end(encode({ cases }))
    if (request.url === '/entry.mjs') return void response.setHeader('content-type', 'text/javascript').end(page)
    if (request.url !== '/done') return void response.setHeader('content-type', 'text/html').end(PAGE)
    const parts = []
    for await (const part of request) parts.push(part)
    response.end()
    resolve(decode(new Uint8Array(Buffer.concat(parts))))
  })
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening))
  const started = await engine.start(`http://127.0.0.1:${server.address().port}`)
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no result within ${ENGINE_MS / 1000} s`)), ENGINE_MS)
  })
  try {
    const { done, error } = await Promise.race([promise, started.failed, late])
    if (error !== undefined) throw new Error(error)
    return done
  } finally {
    clearTimeout(timer)
    await started.stop()
    server.closeAllConnections()
    server.close()
  }
}

/** What differs, in one line; undefined when nothing does. */
const difference = (expected, outcome, resumed) => {
  if (expected === undefined) return 'is not in the table: --update writes it'
  for (const key of ['module', 'instrumented'])
    if (expected[key] !== outcome[key]) return `${key} is ${outcome[key]}, the table says ${expected[key]}`
  for (const mark of outcome.marks) {
    const should = expected.marks.find(({ tick }) => tick === mark.tick)
    for (const key of ['fuel', 'history', 'state'])
      if (should?.[key] !== mark[key]) return `tick ${mark.tick}: ${key} is ${mark[key]}, the table says ${should?.[key]}`
  }
  if (!resumed && JSON.stringify(outcome.traps) !== JSON.stringify(expected.traps))
    return `traps are ${JSON.stringify(outcome.traps)}`
  return undefined
}

const sorted = (traps) => Object.fromEntries(Object.entries(traps).sort(([one], [other]) => (one < other ? -1 : 1)))

const { values: options } = parseArgs({
  options: {
    update: { type: 'boolean' },
    engine: { type: 'string', multiple: true, default: [] },
    node: { type: 'string', multiple: true, default: [] },
    report: { type: 'string' },
  },
})
await bundle()
const { CASES, TICKS } = await import(CASES_BUNDLE)
const engines = (await findEngines(BUNDLE, options.node)).filter(
  ({ name }) => options.engine.length === 0 || options.engine.some((text) => name.toLowerCase().includes(text.toLowerCase())),
)
if (engines.length === 0) throw new Error('no engine of that name here')
console.log(`${CASES.length} programs, ${TICKS} ticks each, in ${engines.map(({ name }) => name).join(', ')}`)
const fresh = await Promise.all(
  CASES.map(async ({ name, wasm, init }) => ({ name, wasm: await bytesOf(wasm), init: await bytesOf(init) })),
)
let table = JSON.parse(await readFile(TABLE, 'utf8').catch(() => '{}'))
let [passed, failed] = [0, 0]
const report = (engine, done, from) => {
  for (const { name, ms, outcome } of done) {
    outcome.traps = sorted(outcome.traps)
    const differs = difference(table[name], outcome, from !== undefined)
    // Said once: whether the engines agree is to be seen even so.
    if (differs !== undefined && engine === engines[0] && from === undefined) table[name] = outcome
    if (differs === undefined) passed++
    else failed++
    const of = from === undefined ? '' : `, on from ${from}`
    console.log(
      `${differs === undefined ? 'ok  ' : 'FAIL'} ${name} in ${engine.name}${of} (${ms} ms)${differs === undefined ? '' : `: ${differs}`}`,
    )
  }
}
/** @type {Map<string, any>} */
const middles = new Map()
for (const engine of engines) {
  try {
    const done = await runEngine(engine, fresh)
    if (options.update && engine === engines[0]) {
      table = Object.fromEntries(done.map(({ name, outcome }) => [name, { ...outcome, traps: sorted(outcome.traps) }]))
      await writeFile(TABLE, `${JSON.stringify(table, null, 2)}\n`)
    }
    report(engine, done)
    middles.set(engine.name, done)
  } catch (error) {
    failed++
    console.log(`FAIL ${engine.name}: ${error.message}`)
  }
}
// Each goes on from the one before it, the first from the last.
for (const [index, engine] of engines.entries()) {
  const from = engines.at(index - 1).name
  const given = middles.get(from)
  if (engines.length === 1 || given === undefined) continue
  try {
    const cases = fresh.map((one) => ({ ...one, middle: given.find(({ name }) => name === one.name).middle }))
    report(engine, await runEngine(engine, cases), from)
  } catch (error) {
    failed++
    console.log(`FAIL ${engine.name} on from ${from}: ${error.message}`)
  }
}
console.log(`${passed} passed, ${failed} failed`)
if (options.report !== undefined) await writeFile(options.report, JSON.stringify({ passed, failed }))
process.exitCode = failed === 0 ? 0 : 1
