import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { counter } from './fixtures/counter.ts'
import { createWorld, eventually, manifest, nextCount, type World } from './fixtures/world.ts'

describe('an agent that leaves while it rests', () => {
  let world: World
  beforeEach(() => {
    world = createWorld()
  })
  afterEach(async () => {
    await world.stop()
  })

  it.each(['in a file', 'over the line'])('takes along what it was sent and never read: %s', async (way) => {
    const [a, b] = [await world.start(), await world.start()]
    await eventually(a, () => a.peers().length === 1)
    const agent = await a.spawn({
      module: counter(),
      manifest: manifest({ capabilities: { log: { version: 1 }, inbox: { version: 1 } } }),
    })
    await nextCount(agent, 1)
    await agent.pause()
    await agent.send('kept')
    expect(agent.status.inbox).toBe(1)
    if (way === 'in a file') await b.import(await agent.export({ to: await b.ready() }))
    else await agent.moveTo(b.id)
    expect(b.agent(agent.id).status).toMatchObject({ here: true, state: 'paused', inbox: 1 })
  })

  it('goes on whole after its disk was too full to write its state', async () => {
    const [a, b] = [await world.start(), await world.start()]
    await eventually(a, () => a.peers().length === 1)
    const agent = await a.spawn({ module: counter(), manifest: manifest({ tick_interval_ms: 100 }) })
    await nextCount(agent, 2)
    const { disk } = a
    disk.capacity = disk.names().reduce((sum, name) => sum + disk.peek(name).length, 0) + 600
    await expect(agent.export()).rejects.toMatchObject({ code: 'STORE_FULL' })
    disk.capacity = Number.POSITIVE_INFINITY
    const { tick } = await agent.moveTo(b.id)
    expect(await nextCount(b.agent(agent.id), tick + 1)).toEqual({ tick: tick + 1, count: tick + 1 })
  })
})
