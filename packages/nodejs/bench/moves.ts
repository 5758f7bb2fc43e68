/**
 * Moves an agent that ticks all the time to and fro between two nodes, and compares what workers stamped with
 * what the runtime says.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { median, report, spread } from '../../../scripts/bench-report.mjs'
import type { Asked, Told } from './answer.ts'

/** A node that is led from here. */
export interface Led {
  readonly peer: string
  ask(asked: Asked): Promise<Told>
}

const MOVES = 24
const TURNS = 4
/** Before them: code is compiled, the module is known to both. */
const WARM_UP = 4
/** Between two moves it lives. */
const STAY_MS = 50
/** Of the agent with 16 MiB, of which 1 % changed during pre-copy: no more than so many times the light one's target. */
const HEAVY_FACTOR = 2
/** By so much the runtime may claim less than was stamped. */
const HONEST_MS = 1

/** Init texts of agents/ballast. */
const LIGHT = '64K 1 1 busy'
const HEAVY = '16 41 41 busy'

interface Moves {
  /** From the last tick's end at the source to the first tick's start at the target. */
  readonly stamped: number[]
  /** By the source's and the target's own word. */
  readonly source: number[]
  readonly target: number[]
}

/** An agent on its way to and fro; the others rest meanwhile. */
const startMover = async ([a, b]: readonly [Led, Led], module: Uint8Array, init: string) => {
  const { agent = '' } = await a.ask({ op: 'spawn', module, init })
  const moves: Moves = { stamped: [], source: [], target: [] }
  let done = 0
  const move = async (): Promise<void> => {
    const [from, to] = done % 2 === 0 ? [a, b] : [b, a]
    await sleep(STAY_MS)
    const left = await from.ask({ op: 'move', agent, to: to.peer })
    const came = await to.ask({ op: 'arrived', agent, after: left.tick ?? Number.NaN })
    if (++done <= WARM_UP) return
    moves.stamped.push((came.at ?? Number.NaN) - (left.at ?? Number.NaN))
    moves.source.push(left.downtimeMs ?? Number.NaN)
    moves.target.push(came.downtimeMs ?? Number.NaN)
  }
  const moveSome = async (times: number): Promise<void> => {
    await a.ask({ op: 'resume', agent })
    for (let i = 0; i < times; i++) await move()
    await a.ask({ op: 'pause', agent })
  }
  await moveSome(WARM_UP)
  return { moves, moveSome }
}

/** Both by turns, so that what else the machine does hits them alike. */
const moveBoth = async (nodes: readonly [Led, Led]): Promise<readonly [light: Moves, heavy: Moves]> => {
  const [a, b] = nodes
  await b.ask({ op: 'own', key: (await a.ask({ op: 'key' })).key ?? '' })
  const module = await readFile(new URL('../../../agents/ballast/ballast.wasm', import.meta.url))
  const light = await startMover(nodes, module, LIGHT)
  const heavy = await startMover(nodes, module, HEAVY)
  for (let turn = 0; turn < TURNS; turn++) {
    await light.moveSome(MOVES / TURNS)
    await heavy.moveSome(MOVES / TURNS)
  }
  return [light.moves, heavy.moves]
}

/** By how much the runtime's word falls short of what was stamped; the median over all moves. */
const shortfall = ({ stamped }: Moves, said: readonly number[]): number =>
  median(stamped.map((ms, i) => ms - (said[i] ?? Number.NaN)))

/**
 * Measures and reports a way to move.
 *
 * @param way such as `server to server`
 * @param withNodes hands two nodes that know each other to its task, and ends them after it
 * @param bareMs what the light agent's move cannot do without
 */
export const benchMoves = async (
  way: string,
  targetMs: number,
  withNodes: <T>(task: (nodes: readonly [Led, Led]) => Promise<T>) => Promise<T>,
  bareMs?: number,
): Promise<void> => {
  const [light, heavy] = await withNodes(moveBoth)
  const [one, many] = [median(light.stamped), median(heavy.stamped)]
  report({ what: `handoff ${way}, 128 KiB`, value: one, unit: 'ms', atMost: targetMs, note: spread(light.stamped) })
  if (bareMs !== undefined) report({ what: '  times the bare', value: one / bareMs, unit: 'x' })
  const most = HEAVY_FACTOR * targetMs
  report({ what: `handoff ${way}, 16 MiB, 1 % changes`, value: many, unit: 'ms', atMost: most, note: spread(heavy.stamped) })
  report({ what: '  times the 128 KiB', value: many / one, unit: 'x', atMost: HEAVY_FACTOR })
  for (const by of ['source', 'target'] as const) {
    const short = Math.max(shortfall(light, light[by]), shortfall(heavy, heavy[by]))
    report({ what: `  the ${by}'s own word falls short by`, value: short, unit: 'ms', atMost: HONEST_MS })
  }
}
