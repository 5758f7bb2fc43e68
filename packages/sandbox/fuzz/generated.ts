/**
 * Runs generated modules bare and instrumented side by side, and compares results, traps, what they said and memory to the bit:
 *
 *     node --conditions=source packages/sandbox/fuzz/generated.ts [--count 1000] [--from 1] [--digests FILE] [--keep-nans]
 *
 * `wasm-opt` of https://github.com/WebAssembly/binaryen makes a module of each seed. Bare engines choose the bits of NaNs, so
 * the modules are made not to see any; with `--keep-nans` they are left, nothing is compared, and `--digests` writes what
 * came of each instrumented one: it has to be the same under `--liftoff-only`, `--no-liftoff` and in other engines.
 *
 * @module
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { SandboxError } from '../src/errors.ts'
import { type Instrumented, instrument } from '../src/instrument.ts'
import { bareOf, type FunctionExport, functionExports } from './bare.ts'
import { callBits, type NumberType, sizeOf } from './bits.ts'
import { randomOf } from './random.ts'

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    digests: { type: 'string' },
    'keep-nans': { type: 'boolean', default: false },
  },
})

const FEATURES = ['simd', 'bulk-memory', 'multivalue', 'sign-ext', 'nontrapping-float-to-int', 'mutable-globals']
const FUEL = 200_000_000n

const folder = mkdtempSync(join(tmpdir(), 'sandbox-fuzz-'))

/** Undefined: the generator itself fails with this seed. */
function generate(seed: number): Uint8Array<ArrayBuffer> | undefined {
  const random = randomOf(seed)
  const input = join(folder, 'input')
  const output = join(folder, 'output.wasm')
  writeFileSync(
    input,
    Uint8Array.from({ length: 200 + (random() % 4000) }, () => random()),
  )
  const passes = values['keep-nans'] ? ['--remove-imports'] : ['--remove-imports', '--denan']
  const features = ['--mvp-features', ...FEATURES.map((name) => `--enable-${name}`)]
  try {
    execFileSync('wasm-opt', [input, '-ttf', ...features, ...passes, '-o', output], { stdio: 'ignore' })
  } catch {
    return undefined
  }
  return new Uint8Array(readFileSync(output))
}

interface Run {
  readonly said: string[]
  readonly outcomes: string[]
  /** It had to be stopped: nothing from here on can be compared. */
  stopped: boolean
  memory: Uint8Array
}

function run(
  bytes: Uint8Array<ArrayBuffer>,
  instrumented: Instrumented,
  calls: readonly FunctionExport[],
  seed: number,
  metered: boolean,
): Run {
  const said: string[] = []
  const imports: Record<string, Record<string, (...args: unknown[]) => unknown>> = {}
  for (const { module, name, results } of instrumented.imports) {
    imports[module] ??= {}
    imports[module][name] = (...args) => {
      said.push(`${name} ${args.map((arg) => (Number.isNaN(arg) ? 'NaN' : String(arg)))}`)
      return results[0] === 'i64' ? 0n : 0
    }
  }
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), imports as WebAssembly.Imports)
  const control = exports as unknown as Record<string, (value?: bigint) => number>
  const result: Run = { said, outcomes: [], stopped: false, memory: new Uint8Array(0) }
  const random = randomOf(seed)
  const attempt = (name: string, act: () => string): void => {
    if (result.stopped) return
    try {
      result.outcomes.push(`${name} ${act()}`)
    } catch (error) {
      if (error instanceof RangeError) result.stopped = true
      else if (!(error instanceof WebAssembly.RuntimeError)) throw error
      else if (metered && (control['sandbox:spent']?.() === 1 || control['sandbox:overflowed']?.() === 1)) result.stopped = true
      else result.outcomes.push(`${name} ${error.message}`)
      if (metered) control['sandbox:unwind']?.()
    }
  }
  if (metered) control['sandbox:setFuel']?.(FUEL)
  if (instrumented.layout.hasStart) attempt('start', () => String(control['sandbox:start']?.()))
  for (const { name, params, results } of calls) {
    const length = params.reduce((sum, type) => sum + sizeOf(type as NumberType), 0)
    const args = Uint8Array.from({ length }, () => (random() % 3 === 0 ? random() : 0))
    attempt(name, () =>
      Array.from(callBits(exports[name], { params, results } as never, args), (byte) => byte.toString(16).padStart(2, '0')).join(
        '',
      ),
    )
  }
  result.memory = new Uint8Array((exports.memory as WebAssembly.Memory).buffer)
  return result
}

const isNumber = (type: string): boolean => /^([if](32|64)|v128)$/.test(type)
const counts = { modules: 0, unmade: 0, refused: 0, calls: 0, traps: 0, stopped: 0, failed: 0 }
const refusals = new Map<string, number>()
const digests: string[] = []

function compare(seed: number, bare: Run, inside: Run): void {
  const told: string[] = []
  const length =
    inside.stopped || bare.stopped ? Math.min(bare.outcomes.length, inside.outcomes.length - 1) : bare.outcomes.length
  for (let i = 0; i < length; i++)
    if (bare.outcomes[i] !== inside.outcomes[i]) told.push(`${bare.outcomes[i]} | ${inside.outcomes[i]}`)
  if (!inside.stopped && !bare.stopped) {
    if (bare.said.join('\n') !== inside.said.join('\n')) told.push('said something else')
    const [a, b] = [bare.memory, inside.memory]
    if (a.length !== b.length || a.some((byte, at) => byte !== b[at])) told.push('memories differ')
  }
  if (told.length === 0) return
  counts.failed++
  console.log(`seed ${seed}: ${told.slice(0, 5).join('; ')}`)
}

function judge(seed: number): void {
  const module = generate(seed)
  if (module === undefined) {
    counts.unmade++
    return
  }
  counts.modules++
  let instrumented: Instrumented
  try {
    instrumented = instrument(module, { maxMemoryBytes: 2 ** 26, allowImport: () => true })
  } catch (error) {
    if (!(error instanceof SandboxError) || error.code === 'MALFORMED') throw error
    counts.refused++
    const why = error.feature ?? error.code
    refusals.set(why, (refusals.get(why) ?? 0) + 1)
    return
  }
  const calls = functionExports(module).filter(({ params, results }) => [...params, ...results].every(isNumber))
  const inside = run(instrumented.bytes as Uint8Array<ArrayBuffer>, instrumented, calls, seed, true)
  counts.calls += inside.outcomes.length
  counts.traps += inside.outcomes.filter((outcome) => / [a-z ]{9,}$/.test(outcome)).length
  if (inside.stopped) counts.stopped++
  const hash = createHash('sha256').update(inside.outcomes.join()).update(inside.said.join()).update(inside.memory).digest('hex')
  digests.push(`${seed} ${hash}`)
  if (!values['keep-nans']) compare(seed, run(bareOf(module), instrumented, calls, seed, false), inside)
}

const first = Number(values.from)
for (let seed = first; seed < first + Number(values.count); seed++) {
  try {
    judge(seed)
  } catch (error) {
    counts.failed++
    console.log(`seed ${seed}: ${String(error)}`)
  }
}
rmSync(folder, { recursive: true })
if (values.digests !== undefined) writeFileSync(values.digests, digests.join('\n'))
console.log(counts, Object.fromEntries([...refusals].sort((a, b) => b[1] - a[1])))
process.exitCode = counts.failed > 0 ? 1 : 0
