import { describe, expect, it } from 'vitest'
import { createWorld, MINUTE, SECOND } from './world.ts'

describe('nodes that have nothing to say', () => {
  it('say that they are there every other second, and no more', async () => {
    const world = createWorld({ seed: 1, machines: 4 })
    for (const { index } of world.machines) world.start(index)
    await world.scheduler.run(10 * SECOND)
    const before = world.points.seen.get('gossip, before it is sent') ?? 0
    await world.scheduler.run(10 * SECOND + MINUTE)
    const said = (world.points.seen.get('gossip, before it is sent') ?? 0) - before
    world.end()
    expect(said).toBeGreaterThan(4 * 28)
    expect(said).toBeLessThan(4 * 32)
  })
})
