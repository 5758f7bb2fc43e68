/**
 * How long an agent stands still when it moves from server to server: from its last tick's end there to its
 * first tick's start here, both stamped by the workers. The agent ticks all the time, and the target knows its
 * module from an earlier stay.
 *
 * @module
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { median, report, spread } from '../../../scripts/bench-report.mjs'
import { bareHandoff } from './bare.ts'
import { startHost } from './hosts.ts'

const MOVES = 30
/** Before them: code is compiled, the module is known to both. */
const WARM_UP = 6
/** Between two moves it lives. */
const STAY_MS = 50
const TARGET_MS = 15
/** Of which 1 % changed during pre-copy: no more than twice that. */
const HEAVY_FACTOR = 2
/** That much less than the workers' stamps the runtime may claim: its messages to them are under way so long. */
const HONEST_MS = 1

interface Moves {
  readonly stamped: number[]
  /** By the source's and the target's own word. */
  readonly source: number[]
  readonly target: number[]
}

const moveAbout = async (folder: string, init: string): Promise<Moves> => {
  const hosts = [await startHost(folder, 'a'), await startHost(folder, 'b')] as const
  const [a, b] = hosts
  await a.ask({ op: 'connect', to: b.address })
  await b.ask({ op: 'own', key: (await a.ask({ op: 'key' })).key ?? '' })
  const module = await readFile(new URL('../../../agents/ballast/ballast.wasm', import.meta.url))
  const { agent = '' } = await a.ask({ op: 'spawn', module, init })
  const moves: Moves = { stamped: [], source: [], target: [] }
  for (let i = 0; i < MOVES + WARM_UP; i++) {
    const [from, to] = i % 2 === 0 ? [a, b] : [b, a]
    await sleep(STAY_MS)
    const left = await from.ask({ op: 'move', agent, to: to.peer })
    const came = await to.ask({ op: 'arrived', agent, after: left.tick ?? 0 })
    if (i < WARM_UP) continue
    moves.stamped.push((came.at ?? Number.NaN) - (left.at ?? Number.NaN))
    moves.source.push(left.downtimeMs ?? Number.NaN)
    moves.target.push(came.downtimeMs ?? Number.NaN)
  }
  await Promise.all(hosts.map((host) => host.stop()))
  return moves
}

/** By how much the runtime's word falls short of what was stamped; the median over all moves. */
const shortfall = ({ stamped }: Moves, said: readonly number[]): number =>
  median(stamped.map((ms, i) => ms - (said[i] ?? Number.NaN)))

const inFolder = async <T>(task: (folder: string) => Promise<T>): Promise<T> => {
  const folder = await mkdtemp(join(tmpdir(), 'igor-bench-'))
  try {
    return await task(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const bare = await inFolder((folder) => bareHandoff(folder, 8 * 4096, MOVES))
const light = await inFolder((folder) => moveAbout(folder, '64K 1 1 busy'))
const heavy = await inFolder((folder) => moveAbout(folder, '16 41 41 busy'))
const [base, one, many] = [median(bare), median(light.stamped), median(heavy.stamped)]

report({ what: 'bare: 6 durable writes and a TCP round trip', value: base, unit: 'ms', note: spread(bare) })
report({ what: 'handoff server to server, 128 KiB', value: one, unit: 'ms', atMost: TARGET_MS, note: spread(light.stamped) })
report({ what: '  times the bare', value: one / base, unit: 'x' })
report({
  what: 'handoff server to server, 16 MiB, 1 % changes',
  value: many,
  unit: 'ms',
  atMost: HEAVY_FACTOR * TARGET_MS,
  note: spread(heavy.stamped),
})
report({ what: '  times the 128 KiB', value: many / one, unit: 'x', atMost: HEAVY_FACTOR })
for (const [by, of] of [
  ['source', 'source'],
  ['target', 'target'],
] as const) {
  const short = Math.max(shortfall(light, light[of]), shortfall(heavy, heavy[of]))
  report({ what: `  the ${by}'s own word falls short by`, value: short, unit: 'ms', atMost: HONEST_MS })
}
