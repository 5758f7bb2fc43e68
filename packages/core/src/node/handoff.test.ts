import { readCar, readReady } from '@igor/lineage'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Node } from '../api.ts'
import { systemClock } from '../worker/fixtures/clock.ts'
import { createWorld, eventually, nextCount, spawnCounter, tapped, testCrypto, type World } from './fixtures/world.ts'

type Running = Awaited<ReturnType<World['start']>>

const meet = (a: Node, b: Node): Promise<void> => eventually(a, () => a.peers().some((peer) => peer.id === b.id))

/** Exactly one of the nodes ticks it, and its own count agrees with the runtime's. */
const livesAt = async (host: Node, others: readonly Node[], agent: string): Promise<void> => {
  const handle = host.agent(agent)
  const first = await nextCount(handle, handle.status.tick + 1)
  expect(first.count).toBe(first.tick)
  for (const other of others) expect(other.agent(agent).status.here).toBe(false)
}

describe('a handoff', () => {
  let world: World
  beforeEach(() => {
    world = createWorld()
  })
  afterEach(async () => {
    await world.stop()
  })

  it.each([
    ['no room', { maxAgents: 0 }, {}, 'room'],
    ['a capability it does not offer', { capabilities: ['clock'] }, {}, 'capability log'],
    ['a peer that is not on its list', { allow: ['12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5'] }, {}, 'list'],
    ['an agent that must not move', {}, { migration_policy: { enabled: false } }, 'manifest'],
    ['an agent that pays less', { price: 7n }, { migration_policy: { enabled: true, max_price_per_second: 5 } }, 'microcents'],
  ])('is rejected for %s, and the agent goes on at its source', async (_, policy, manifest, reason) => {
    const a = await world.start()
    const b = await world.start(undefined, { policy })
    const agent = await spawnCounter(a, manifest)
    await meet(a, b)
    await expect(agent.moveTo(b.id)).rejects.toMatchObject({ code: 'HANDOFF_REJECTED', message: expect.stringContaining(reason) })
    expect(agent.status).toMatchObject({ state: 'active', here: true, epoch: 1 })
    await livesAt(a, [], agent.id)
  })

  it('goes to and fro twenty times without losing or doubling a tick', async () => {
    const nodes = [await world.start(), await world.start()] as const
    const [a, b] = nodes
    await spawnCounter(a)
    const { agent: id } = a.agents()[0] ?? { agent: '' }
    await b.importKey(Uint8Array.from((await a.exportKeys())[0]?.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16)))
    await meet(a, b)
    await meet(b, a)
    for (let i = 0; i < 20; i++) {
      const [from, to] = i % 2 === 0 ? [a, b] : [b, a]
      const move = await from.agent(id).moveTo(to.id)
      const first = await nextCount(to.agent(id), move.tick + 1)
      expect(first).toEqual({ tick: move.tick + 1, count: move.tick + 1 })
    }
    const passport = await a.agent(id).passport()
    expect(passport.hosts).toHaveLength(21)
    await livesAt(a, [b], id)
  })

  it('is promised for a minute at a time, so that nothing waits longer for a target that died; one that copies for longer promises again', async () => {
    for (const copyMs of [0, 20_000, 70_000]) {
      const a = await world.start()
      let copied = 0
      const clock = { ...systemClock, now: () => systemClock.now() + BigInt(copied) * 1_000_000n }
      const wrap = tapped((type) => {
        if (type === 'ready') copied = copyMs
        return 'pass'
      })
      const b = await world.start(undefined, { clock, wrap })
      const agent = await spawnCounter(a)
      await meet(a, b)
      const began = Date.now()
      await agent.moveTo(b.id)
      const { records } = await readCar(await b.agent(agent.id).export(), { sha256: testCrypto.sha256 })
      const handoff = records.find(({ body }) => body.kind === 'handoff')?.body
      const left = (handoff?.kind === 'handoff' ? readReady(handoff.ready).ready.expiry : 0) - Date.now() - copyMs
      expect(left, `copied for ${copyMs} ms`).toBeGreaterThan(30_000 - (Date.now() - began))
      expect(left, `copied for ${copyMs} ms`).toBeLessThanOrEqual(60_000)
      await livesAt(b, [a], agent.id)
    }
  })

  it('that loses its target while copying leaves the agent where it was', async () => {
    let target: Running | undefined
    const a = await world.start()
    const b = await world.start(undefined, {
      wrap: tapped((type) => {
        if (type === 'prepared' && target !== undefined) world.hub.cut(a.id, target.id, true)
        return 'pass'
      }),
    })
    target = b
    const agent = await spawnCounter(a)
    await meet(a, b)
    await expect(agent.moveTo(b.id)).rejects.toMatchObject({ code: 'CHANNEL_FAILED' })
    expect(agent.status).toMatchObject({ state: 'active', epoch: 1 })
    await livesAt(a, [], agent.id)
  })

  it('whose answer is lost is settled when the line is back: accepted', async () => {
    let lost = false
    const a = await world.start()
    const b: Running = await world.start(undefined, {
      wrap: tapped((type) => {
        if (type !== 'done' || lost) return 'pass'
        lost = true
        world.hub.cut(a.id, b.id, true)
        return 'drop'
      }),
    })
    const agent = await spawnCounter(a)
    await meet(a, b)
    await expect(agent.moveTo(b.id)).rejects.toMatchObject({ code: 'HANDOFF_PENDING' })
    expect(agent.status).toMatchObject({ state: 'moving', here: true })
    world.hub.cut(a.id, b.id, false)
    await eventually(a, () => !agent.status.here)
    await livesAt(b, [a], agent.id)
  })

  it('whose commit is lost is settled when the line is back: refused, and on at the source', async () => {
    let lost = false
    const b = await world.start()
    const a: Running = await world.start(undefined, {
      wrap: tapped((type) => {
        if (type !== 'commit' || lost) return 'pass'
        lost = true
        world.hub.cut(a.id, b.id, true)
        return 'drop'
      }),
    })
    const agent = await spawnCounter(a)
    await meet(a, b)
    await expect(agent.moveTo(b.id)).rejects.toMatchObject({ code: 'HANDOFF_PENDING' })
    const { tick } = agent.status
    world.hub.cut(a.id, b.id, false)
    await eventually(a, () => agent.status.state === 'active')
    expect(agent.status.epoch).toBe(3)
    const first = await nextCount(agent, tick + 1)
    expect(first).toEqual({ tick: tick + 1, count: tick + 1 })
    expect((await agent.passport()).hosts.map(({ peer }) => peer)).toEqual([a.id, a.id])
  })

  it('survives a crash of the source after its record, and of the target after its accept', async () => {
    let stop = false
    const b = await world.start()
    const a: Running = await world.start(undefined, {
      wrap: tapped((type) => (type === 'status' && stop ? 'drop' : 'pass')),
    })
    const agent = await spawnCounter(a)
    await meet(a, b)
    const gone: Running = await world.start(undefined, {
      wrap: tapped((type) => (type === 'done' ? 'drop' : 'pass')),
    })
    await meet(a, gone)
    stop = true
    const moving = agent.moveTo(gone.id)
    moving.catch(() => {})
    await eventually(gone, () => gone.agents().some((one) => one.agent === agent.id && one.here))
    const { tick } = gone.agent(agent.id).status
    a.disk.crash({ unsynced: 'gone' })
    gone.disk.crash({ unsynced: 'gone' })
    await a.stop().catch(() => {})
    await gone.stop().catch(() => {})
    const a2 = await world.start(a.disk.copy())
    expect(a2.agent(agent.id).status.state).toBe('moving')
    const gone2 = await world.start(gone.disk.copy())
    await eventually(a2, () => !a2.agent(agent.id).status.here)
    expect(gone2.agent(agent.id).status.tick).toBeGreaterThanOrEqual(tick)
    await livesAt(gone2, [a2], agent.id)
  })
})
