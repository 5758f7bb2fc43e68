/**
 * The programs of the conformance suite, and what each is told at which tick. Data alone: whoever runs the suite
 * brings the modules.
 *
 * @module
 */

export interface Case {
  readonly name: string
  /** Of its module, from the project's root. */
  readonly wasm: string
  /** File whose text is its init, from the project's root; without, it has none. */
  readonly init?: string
  readonly maxMemoryBytes: number
  /** Fuel of one tick, and of its start. */
  readonly limit: bigint
  /** What reaches its inbox before a tick. */
  readonly says: (tick: number) => readonly string[]
}

export const TICKS = 3000

/** Where states are compared; the middle one is carried from engine to engine. */
export const MARKS: readonly number[] = [0, 1, 10, 100, 500, 1000, 1500, 2000, 2500, 3000]
export const MIDDLE = 1500

const MIB = 1024 * 1024
const SECOND = 1_000_000_000n

const every =
  (ticks: number, ...texts: readonly string[]) =>
  (tick: number): readonly string[] =>
    tick % ticks === 0 ? [texts[(tick / ticks) % texts.length] as string] : []

const CAVE = 'look,n,s,e,take lamp,w,n,w,take rope,e,n,take key,e,d,n,take crown,s,u,w,s,s,again'.split(',')

/** Depths around the cap on nested calls, and far beyond every engine's own. */
const hazards = (tick: number): readonly string[] => {
  const step = Math.floor(tick / 10)
  const depth = Math.round(2 ** (4 + (step % 64) / 4))
  if (tick % 10 === 0) return [tick % 20 === 0 ? `dive ${depth}` : `sink ${depth}`]
  if (tick % 101 === 0) return [`grow ${step % 40}`]
  if (tick % 211 === 0) return [['spin', 'wild', 'exit', 'trap', 'divide'][(tick / 211) % 5] as string]
  return []
}

export const CASES: readonly Case[] = [
  { name: 'AssemblyScript', wasm: 'agents/life/life.wasm', maxMemoryBytes: 2 * MIB, limit: SECOND, says: every(700, 'seed') },
  {
    name: 'C',
    wasm: 'agents/coral/coral.wasm',
    maxMemoryBytes: MIB,
    limit: SECOND,
    says: every(300, 'maze', 'drop 48 48', 'waves', 'seed', 'coral', 'spots'),
  },
  { name: 'Rust', wasm: 'agents/cave/cave.wasm', maxMemoryBytes: 2 * MIB, limit: SECOND, says: every(3, ...CAVE) },
  {
    name: 'Go',
    wasm: 'agents/tally/tally.wasm',
    maxMemoryBytes: 32 * MIB,
    limit: SECOND,
    says: (tick) =>
      tick % 97 === 0 ? ['words', 'months', 'undo'] : tick % 10 === 0 ? [`${tick % 1000}.${10 + (tick % 90)} w${tick % 31}`] : [],
  },
  {
    name: 'QuickJS',
    wasm: 'packages/core/conformance/fixtures/quickjs.wasm',
    init: 'packages/core/conformance/fixtures/quickjs.js',
    maxMemoryBytes: 8 * MIB,
    limit: SECOND,
    says: every(50, 'hello', 'ünï ✓'),
  },
  {
    name: 'hazards',
    wasm: 'packages/core/conformance/fixtures/hazards.wasm',
    maxMemoryBytes: 4 * MIB,
    limit: SECOND / 20n,
    says: hazards,
  },
  { name: 'lanes', wasm: 'packages/core/conformance/fixtures/lanes.wasm', maxMemoryBytes: MIB, limit: SECOND, says: () => [] },
]
