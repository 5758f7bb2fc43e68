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

/** How often each kernel's loop runs: some milliseconds each. */
const KERNELS: readonly (readonly [name: string, n: number])[] = [
  ['sha256', 8000],
  ['fib', 26],
  ['mandelbrot', 150],
  ['quicksort', 40_000],
  ['matmul', 160],
  ['crc', 1_000_000],
  ['json', 60],
  ['nbody', 30_000],
  ['interpreter', 200_000],
  ['simd', 2000],
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
  for (let round = 0; round < 60; round++) {
    pairs.push([time(() => bare[name]?.(n)), time(() => instance.call(name, n))])
  }
  // The first ones are compiled by the quick compiler.
  const late = pairs.slice(20)
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

const bareTick = bare.tick as () => number
const ticks = (run: () => unknown): number => {
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < 30; round++) {
    const start = performance.now()
    for (let i = 0; i < 10_000; i++) run()
    best = Math.min(best, (performance.now() - start) * 100)
  }
  return best
}
report({ what: 'a trivial call, bare', value: ticks(() => bareTick()), unit: 'ns' })
report({ what: 'a trivial call, instrumented', value: ticks(() => instance.call('tick')), unit: 'ns' })
report({
  what: 'a trivial call, fuel set and read',
  value: ticks(() => {
    instance.setFuel(1_000_000n)
    instance.call('tick')
    return instance.fuel()
  }),
  unit: 'ns',
})

// The largest module at hand: this one's bytes are too few to time.
for (const path of process.argv.slice(2)) {
  const large = new Uint8Array(readFileSync(path))
  let best = Number.POSITIVE_INFINITY
  let size = 0
  for (let round = 0; round < 15; round++)
    best = Math.min(
      best,
      time(() => (size = instrument(large, OPTIONS).bytes.length)),
    )
  report({
    what: `instrument, ${path}`,
    value: large.length / best / 1000,
    unit: 'MB/s',
    note: `${(size / large.length).toFixed(2)} x its bytes`,
  })
}
