import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { attemptAt, type Bench, createBench, peek32, type Subject } from '../worker/fixtures/bench.ts'
import { buildAgent, count, forever, i32, load, when } from '../worker/fixtures/wasm.ts'
import { realThreads } from './fixtures/real-threads.ts'

const COUNT = 8
const counter = buildAgent({ tick: [...count(COUNT), ...i32(1)] })
/** Loops for ever from its first message on. */
const runaway = buildAgent({
  imports: { 'igor.inbox_next': 'i32 i32 -> i32' },
  tick: [...count(COUNT), ...when([...i32(64), ...i32(8), { call: 'igor.inbox_next' }], forever), ...load(COUNT)],
})

let bench: Bench
beforeEach(() => {
  bench = createBench(realThreads(2))
})
afterEach(() => bench.executor.close())

const attempt = (agent: Subject, messages: string[] = [], alone = false) =>
  bench.executor.run(agent.placed, { ...attemptAt(agent.tick + 1, messages), maxTicks: 1, maxMs: 10, alone })

describe('real threads', () => {
  it('run agents, who go on in another', async () => {
    const agent = await bench.spawn(counter)
    expect(await agent.run([], { maxTicks: 1000 })).toMatchObject({ ticks: 1000, more: true })
    const there = await bench.place(counter, agent.image, agent.tick)
    await there.run([], { maxTicks: 500 })
    expect(peek32(there.image, COUNT)).toBe(1500)
  })

  it('are ended when a tick never ends, and everyone goes on from the last commit', async () => {
    const agents = await Promise.all([runaway, counter, counter, counter].map((wasm) => bench.spawn(wasm, { tickMs: 50 })))
    const [bad, ...good] = agents as [Subject, ...Subject[]]
    for (const agent of agents) await agent.run()
    // The third shares a thread with the first.
    const outcomes = await Promise.all(agents.map((agent) => attempt(agent, ['go'], agent === bad)))
    expect(outcomes[0]).toMatchObject({ kind: 'lost', reason: 'hung', suspect: true })
    const lost = outcomes.filter(({ kind }) => kind === 'lost')
    expect(lost.length).toBe(2)
    expect(lost[1]).toMatchObject({ reason: 'worker', suspect: false })
    for (const [i, agent] of good.entries()) {
      const there = outcomes[i + 1]?.kind === 'lost' ? await bench.place(counter, agent.image, agent.tick) : agent
      expect(await attempt(there)).toMatchObject({ kind: 'ran', result: { ticks: 1 } })
    }
    const back = await bench.place(runaway, bad.image, bad.tick)
    expect(await back.run()).toMatchObject({ ticks: 1 })
    expect(peek32(back.image, COUNT)).toBe(2)
  })

  it('are ended when a start function never ends', async () => {
    const stuck = bench.spawn(buildAgent({ start: forever, tick: i32(0) }))
    await expect(stuck).rejects.toMatchObject({ code: 'BAD_MODULE', message: expect.stringMatching(/did not finish to start/) })
    expect((await (await bench.spawn(counter)).run()).ticks).toBe(1)
  })
})
