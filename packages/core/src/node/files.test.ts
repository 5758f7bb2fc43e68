import { readCar } from '@igor/lineage'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Node } from '../api.ts'
import type { Thread, Threads } from '../platform.ts'
import { createWorld, eventually, nextCount, spawnCounter, type World } from './fixtures/world.ts'

const seedOf = async (node: Node): Promise<Uint8Array> =>
  Uint8Array.from((await node.exportKeys())[0]?.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16))

/** Threads that end before they do anything. */
const broken = (): Threads => ({
  parallelism: 1,
  spawn: () => {
    const thread: Thread = { post: () => {}, onmessage: undefined, onexit: undefined, terminate: () => {} }
    void Promise.resolve().then(() => thread.onexit?.('it cannot start'))
    return thread
  },
})

describe('an agent as a file', () => {
  let world: World
  beforeEach(() => {
    world = createWorld()
  })
  afterEach(async () => {
    await world.stop()
  })

  it('made for a node that is offline goes on there, once, and the source sees it', async () => {
    const a = await world.start()
    const b = await world.start()
    world.hub.cut(a.id, b.id, true)
    const agent = await spawnCounter(a)
    await nextCount(agent, 2)
    const file = await agent.export({ to: await b.ready() })
    expect(agent.status.state).toBe('moving')
    const { tick } = agent.status
    expect(await agent.export()).toEqual(file)
    const c = await world.start()
    await expect(c.import(file)).rejects.toMatchObject({ code: 'NOT_OWNER', message: expect.stringContaining(b.id) })
    const there = await b.import(file)
    expect(await nextCount(there)).toEqual({ tick: tick + 1, count: tick + 1 })
    await expect(b.import(file)).rejects.toMatchObject({ code: 'AGENT_EXISTS' })
    world.hub.cut(a.id, b.id, false)
    await eventually(a, () => agent.status.state !== 'moving')
    expect(agent.status.here).toBe(false)
  })

  it('stays undecided while it is carried, though the source asks', async () => {
    const a = await world.start()
    const b = await world.start()
    await eventually(a, () => a.peers().length === 1)
    const agent = await spawnCounter(a)
    const asked = new Promise<void>((resolve) => {
      const off = a.onevent(() => {})
      off()
      resolve()
    })
    const file = await agent.export({ to: b.id })
    await asked
    const there = await b.import(file)
    await nextCount(there)
    await eventually(a, () => !agent.status.here)
  })

  it('as a copy is for its owner alone, and only by force while its holder may live', async () => {
    const a = await world.start()
    const b = await world.start()
    world.hub.cut(a.id, b.id, true)
    const agent = await spawnCounter(a)
    await nextCount(agent, 2)
    const copy = await agent.export()
    expect((await readCar(copy)).chain.agent).toBe(agent.id)
    await expect(b.import(copy)).rejects.toMatchObject({ code: 'NOT_OWNER' })
    await expect(b.import(copy, { key: await seedOf(a) })).rejects.toMatchObject({ code: 'NOT_AUTHORITATIVE' })
    const taken = await b.import(copy, { force: true })
    expect(taken.status).toMatchObject({ here: true, owned: true })
    expect((await taken.passport()).asserted).toHaveLength(1)
    // When they meet, the branch that the owner recovered stands, and the other gives way.
    world.hub.cut(a.id, b.id, false)
    await eventually(a, () => !agent.status.here)
    await nextCount(taken, taken.status.tick + 1)
  })

  it.each([true, false])('that two nodes took by force halts both when they meet (public: %s)', async (open) => {
    const a = await world.start()
    const [b, c] = [await world.start(), await world.start()]
    for (const [x, y] of [
      [a, b],
      [a, c],
      [b, c],
    ] as const)
      world.hub.cut(x.id, y.id, true)
    const agent = await spawnCounter(a, { public: open })
    const copy = await agent.export()
    const key = await seedOf(a)
    const atB = await b.import(copy, { key, force: true })
    const atC = await c.import(copy, { key, force: true })
    world.hub.cut(b.id, c.id, false)
    await eventually(b, () => atB.status.state === 'halted')
    await eventually(c, () => atC.status.state === 'halted')
    expect(atB.status.reason).toContain('another branch')
  })

  it('goes on as a copy where a longer branch was halted, and is whole after a restart', async () => {
    const a = await world.start(undefined, { residence: { read: () => 'here' } })
    const agent = await spawnCounter(a)
    await nextCount(agent, 2)
    const copy = await agent.export()
    await nextCount(agent, agent.status.tick + 40)
    await a.stop()
    const moved = await world.start(a.disk.copy(), { residence: { read: () => 'there' } })
    const back = await moved.import(copy, { force: true })
    const { tick } = await nextCount(back, back.status.tick + 1)
    await moved.stop()
    const again = await world.start(moved.disk.copy(), { residence: { read: () => 'there' } })
    expect(again.agent(agent.id).status).toMatchObject({ here: true, state: 'active' })
    expect(again.agent(agent.id).status.tick).toBeGreaterThanOrEqual(tick)
    expect((await again.agent(agent.id).passport()).asserted).toHaveLength(1)
  })

  it('whose agent cannot run here is refused, and nothing is changed', async () => {
    const a = await world.start()
    const b = await world.start(undefined, { policy: { capabilities: ['clock'] } })
    const c = await world.start(undefined, { threads: broken() })
    const agent = await spawnCounter(a)
    const copy = await agent.export()
    const key = await seedOf(a)
    await expect(b.import(copy, { key, force: true })).rejects.toMatchObject({ code: 'HANDOFF_REJECTED' })
    await expect(c.import(copy, { key, force: true })).rejects.toMatchObject({ code: 'HOST_FAULT' })
    for (const node of [b, c]) expect(node.agents().filter((one) => one.here)).toEqual([])
  })

  it('that is damaged anywhere is refused, and nothing is changed', async () => {
    const a = await world.start()
    const b = await world.start()
    const copy = await (await spawnCounter(a)).export()
    const key = await seedOf(a)
    for (let at = 0; at < copy.length; at += Math.ceil(copy.length / 60)) {
      const bad = copy.slice()
      bad[at] = (bad[at] ?? 0) ^ 1
      await expect(b.import(bad, { key, force: true }), `byte ${at}`).rejects.toMatchObject({ code: 'BAD_FILE' })
    }
    await expect(b.import(copy.subarray(0, copy.length - 1), { force: true })).rejects.toMatchObject({ code: 'BAD_FILE' })
    expect(b.agents().filter((one) => one.here)).toEqual([])
  })
})

describe('a store', () => {
  let world: World
  beforeEach(() => {
    world = createWorld()
  })
  afterEach(async () => {
    await world.stop()
  })

  it('found at another place halts its agents and takes a new incarnation', async () => {
    const a = await world.start(undefined, { residence: { read: () => 'here' } })
    const agent = await spawnCounter(a)
    await nextCount(agent, 1)
    await a.stop()
    const copy = await world.start(a.disk.copy(), { residence: { read: () => 'there' } })
    expect(copy.agent(agent.id).status).toMatchObject({ state: 'halted', reason: expect.stringContaining('another place') })
  })
})
