/**
 * What the instrumentation costs: kernels bare and instrumented by turns, the speed of `instrument`, and the size of what it makes.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { median, report } from '../../../scripts/bench-report.mjs'
import { bareOf } from '../fuzz/bare.ts'
import { compile, instantiate } from '../src/instance.ts'
import { instrument } from '../src/instrument.ts'

const bytes = new Uint8Array(readFileSync(new URL('kernels.wasm', import.meta.url)))
const OPTIONS = { maxMemoryBytes: 2 ** 26, allowImport: () => true as const }

/** How often each kernel's loop runs: some 20 ms each. */
const KERNELS: readonly (readonly [name: string, n: number])[] = [
  ['sha256', 40_000],
  ['fib', 30],
  ['mandelbrot', 200],
  ['quicksort', 200_000],
  ['matmul', 160],
  ['crc', 8_000_000],
  ['json', 60],
  ['nbody', 60_000],
  ['interpreter', 1_500_000],
  ['simd', 3000],
]

const bare = (await WebAssembly.instantiate(bareOf(bytes))).instance.exports as Record<string, (n: number) => number>
const compiled = await compile(instrument(bytes, OPTIONS))
const instance = instantiate(compiled, {})

const time = (run: () => unknown): number => {
  const start = performance.now()
  run()
  return performance.now() - start
}

const ratios: number[] = []
for (const [name, n] of KERNELS) {
  const pairs: [number, number][] = []
  for (let round = 0; round < 25; round++) {
    pairs.push([time(() => bare[name]?.(n)), time(() => instance.call(name, n))])
  }
  // The first ones are compiled by the quick compiler.
  const late = pairs.slice(10)
  const ratio = Math.min(...late.map(([, inside]) => inside)) / Math.min(...late.map(([outside]) => outside))
  ratios.push(ratio)
  report({
    what: `instrumented / bare, ${name}`,
    value: ratio,
    unit: 'x',
    note: `${median(late.map(([outside]) => outside)).toFixed(1)} ms bare`,
  })
}
const mean = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length)
report({ what: 'instrumented / bare, geometric mean', value: mean, unit: 'x', atMost: 1.15 })
