import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createWorld, eventually, nextCount, spawnCounter, type World } from './fixtures/world.ts'

describe('a node', () => {
  let world: World
  beforeEach(() => {
    world = createWorld()
  })
  afterEach(async () => {
    await world.stop()
  })

  it('ticks an agent, and each tick that was seen is there after a restart', async () => {
    const node = await world.start()
    const agent = await spawnCounter(node)
    const seen = await nextCount(agent, 3)
    expect(seen.count).toBe(seen.tick)
    node.disk.crash({ unsynced: 'gone' })
    await node.stop().catch(() => {})
    const again = await world.start(node.disk.copy())
    const back = again.agent(agent.id)
    expect(back.status.tick).toBeGreaterThanOrEqual(seen.tick)
    const next = await nextCount(back, back.status.tick + 1)
    expect(next.count).toBe(next.tick)
  })

  it('moves an agent to another node, on by exactly one tick', async () => {
    const a = await world.start()
    const b = await world.start()
    const agent = await spawnCounter(a)
    await nextCount(agent, 2)
    await eventually(a, () => a.peers().length === 1)
    const move = await agent.moveTo(b.id)
    expect(move).toMatchObject({ from: a.id, to: b.id })
    const there = b.agent(agent.id)
    const first = await nextCount(there)
    expect(first).toEqual({ tick: move.tick + 1, count: move.tick + 1 })
    expect(there.status).toMatchObject({ state: 'active', here: true, epoch: 2 })
    await eventually(a, () => a.agent(agent.id).status.host === b.id)
    const passport = await b.agent(agent.id).passport()
    expect(passport.hosts.map(({ peer }) => peer)).toEqual([a.id, b.id])
  })
})
