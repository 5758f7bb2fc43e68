/**
 * How well fuel stands for time: nanoseconds per fuel of different mixes of instructions, and how far they lie apart.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { report } from '../../../scripts/bench-report.mjs'
import { compile, instantiate } from '../src/instance.ts'
import { instrument } from '../src/instrument.ts'

const bytes = new Uint8Array(readFileSync(new URL('kernels.wasm', import.meta.url)))
const instance = instantiate(await compile(instrument(bytes, { maxMemoryBytes: 2 ** 26, allowImport: () => true })), {})

/** How often each kernel's loop runs: some milliseconds each. */
const MIXES: readonly (readonly [name: string, n: number])[] = [
  ['sha256', 8000],
  ['fib', 25],
  ['mandelbrot', 100],
  ['quicksort', 40_000],
  ['matmul', 100],
  ['crc', 1_000_000],
  ['json', 20],
  ['nbody', 10_000],
  ['interpreter', 300_000],
  ['simd', 1000],
  ['chase', 100_000],
  ['walk', 200_000],
  ['sum', 400],
  ['fill', 20],
  ['fillWide', 1],
  ['fillShort', 200_000],
  ['copy', 10],
  ['divide', 300_000],
  ['divide64', 200_000],
  ['roots', 200_000],
  ['indirect', 500_000],
  ['multiply', 1_000_000],
]

instance.call('prepareChase', 8 << 20)
const found: { name: string; value: number }[] = []
for (const [name, n] of MIXES) {
  let best = Number.POSITIVE_INFINITY
  let fuel = 0n
  for (let round = 0; round < 30; round++) {
    instance.setFuel(2n ** 62n)
    const start = performance.now()
    instance.call(name, n)
    best = Math.min(best, performance.now() - start)
    fuel = 2n ** 62n - instance.fuel()
  }
  const value = (best * 1e6) / Number(fuel)
  found.push({ name, value })
  report({
    what: `nanoseconds per fuel, ${name}`,
    value,
    unit: 'ns',
    note: `${best.toFixed(2)} ms, ${fuel} fuel`,
  })
}
const spreadOf = (what: string, entries: typeof found): void => {
  const values = entries.map(({ value }) => value)
  const [least, most] = [Math.min(...values), Math.max(...values)]
  const named = (value: number) => entries.find((entry) => entry.value === value)?.name
  report({ what, value: most / least, unit: 'x', atMost: 8, note: `${named(most)} / ${named(least)}` })
}
const logs = found.reduce((sum, { value }) => sum + Math.log(value), 0)
report({ what: 'nanoseconds per fuel, geometric mean', value: Math.exp(logs / found.length), unit: 'ns' })
spreadOf('dearest / cheapest fuel', found)
// What waits for memory is not what instructions cost.
spreadOf(
  'dearest / cheapest fuel, but for reads all over 32 MiB',
  found.filter(({ name }) => name !== 'chase' && name !== 'walk'),
)
