import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Agent, Node } from '../api.ts'
import { realThreads } from '../execution/fixtures/real-threads.ts'
import { createWorld, manifest, type World } from '../node/fixtures/world.ts'
import { buildAgent, type Code, call, count, i32, load, store, sub } from '../worker/fixtures/wasm.ts'

const TURNS = 16
/** Runs for about a millisecond, and wants another tick at once. */
const greedy = (): Uint8Array => {
  const burn: Code = [
    ...store(TURNS, i32(200_000)),
    0x03,
    0x40,
    ...store(TURNS, sub(load(TURNS), i32(1))),
    ...load(TURNS),
    0x0d,
    0,
    0x0b,
  ]
  return buildAgent({ memory: 1, tick: [...burn, ...i32(1)] })
}
const modest = (): Uint8Array =>
  buildAgent({
    imports: { 'igor.log_emit': 'i32 i32 ->' },
    memory: 1,
    tick: [...count(8), ...call('igor.log_emit', i32(8), i32(1)), ...i32(0)],
  })

describe('agents that always ask for another tick at once', () => {
  let world: World
  beforeEach(() => {
    world = createWorld()
  })
  afterEach(async () => {
    await world.stop()
  })

  /** Milliseconds between ticks of an agent, so many of them: the median. */
  const pace = async (agent: Agent, ticks: number): Promise<number> => {
    const gaps: number[] = []
    // What it logged before is told first.
    const from = agent.status.tick + 1
    let last: number | undefined
    for await (const event of agent.watch(AbortSignal.timeout(30_000))) {
      if (event.type !== 'log' || event.tick <= from) continue
      const now = performance.now()
      if (last !== undefined) gaps.push(now - last)
      last = now
      if (gaps.length === ticks) break
    }
    return gaps.sort((a, b) => a - b)[ticks >> 1] ?? Number.POSITIVE_INFINITY
  }

  it('slow a neighbour in the same thread little, however many they are', async () => {
    const node: Node = await world.start(undefined, { threads: realThreads(1) })
    const neighbour = await node.spawn({ module: modest(), manifest: manifest({ tick_interval_ms: 100 }) })
    const hog = () =>
      node.spawn({ module: greedy(), manifest: manifest({ resource_limits: { max_fuel_per_tick: 1_000_000_000 } }) })
    await hog()
    await pace(neighbour, 5)
    const one = await pace(neighbour, 15)
    await Promise.all([hog(), hog(), hog(), hog()])
    await pace(neighbour, 5)
    const five = await pace(neighbour, 15)
    expect(five).toBeLessThan(2 * one)
  }, 60_000)
})
