import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Agent, Node } from '../api.ts'
import { createWorld, eventually, nextCount, spawnCounter, type World } from './fixtures/world.ts'

type Running = Awaited<ReturnType<World['start']>>
const LEASE = { leaseMs: 1500 }

const meet = async (...nodes: readonly Node[]): Promise<void> => {
  for (const a of nodes)
    for (const b of nodes)
      if (a !== b) await eventually(a, () => a.peers().some((peer) => peer.id === b.id && peer.link !== 'none'))
}

/** Its own count agrees with the runtime's, from this tick on. */
const ticksOn = async (node: Node, agent: string, from: number): Promise<void> => {
  const first = await nextCount(node.agent(agent), from)
  expect(first.count).toBe(first.tick)
}

describe('an agent with a witness', () => {
  let world: World
  let witness: Running
  let a: Running
  let b: Running
  const spawn = (node: Node, more: object = {}): Promise<Agent> => spawnCounter(node, { witness: witness.id, ...more })

  beforeEach(async () => {
    world = createWorld()
    witness = await world.start(undefined, { witness: LEASE, policy: { maxAgents: 0 } })
    a = await world.start()
    b = await world.start()
    await meet(witness, a, b)
  })
  afterEach(async () => {
    await world.stop()
  })

  it('ticks under its lease, and what it shows is committed', async () => {
    const agent = await spawn(a)
    const { tick } = await nextCount(agent, 5)
    expect(agent.status).toMatchObject({ state: 'active', witness: witness.id })
    expect(agent.status.committed).toBeGreaterThanOrEqual(tick)
    expect(agent.status.leaseMs).toBeGreaterThan(0)
  })

  it('cannot be born where its witness does not answer', async () => {
    await expect(spawnCounter(a, { witness: '12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5' })).rejects.toMatchObject({
      code: 'WITNESS_UNREACHABLE',
    })
    await expect(spawnCounter(a, { failover: 'witness' })).rejects.toMatchObject({ code: 'BAD_MANIFEST' })
    await expect(spawnCounter(a, { witness: 'nobody' })).rejects.toMatchObject({ code: 'BAD_MANIFEST' })
  })

  it('moves, and not a tick is lost or done twice', async () => {
    const agent = await spawn(a)
    await nextCount(agent, 3)
    for (const [from, to] of [
      [a, b],
      [b, a],
      [a, b],
    ] as const) {
      await to.importKey(Uint8Array.from((await a.exportKeys())[0]?.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16)))
      const move = await from.agent(agent.id).moveTo(to.id)
      await ticksOn(to, agent.id, move.tick + 1)
      expect(from.agent(agent.id).status.here).toBe(false)
    }
    const passport = await a.agent(agent.id).passport()
    expect(passport.hosts.map(({ peer }) => peer)).toEqual([a.id, b.id, a.id, b.id])
  })

  it('stands still when its witness is away, says so, and goes on when it is back', async () => {
    const agent = await spawn(a)
    await nextCount(agent, 3)
    world.hub.cut(a.id, witness.id, true)
    await eventually(a, () => agent.status.state === 'halted')
    expect(agent.status.reason).toMatch(/witness/)
    const { tick } = agent.status
    world.hub.cut(a.id, witness.id, false)
    await ticksOn(a, agent.id, tick + 1)
    expect(agent.status).toMatchObject({ state: 'active', epoch: 1 })
  })

  it('goes on elsewhere when its host is gone, from what was committed', async () => {
    const agent = await spawn(a, { failover: [b.id] })
    const { tick } = await nextCount(agent, 5)
    const { disk } = a
    const before = disk.copy()
    await a.stop()
    await eventually(b, () => b.agents().some((one) => one.agent === agent.id && one.here))
    const status = b.agent(agent.id).status
    expect(status.epoch).toBe(2)
    const next = await nextCount(b.agent(agent.id), tick + 1)
    expect(next.count).toBe(next.tick)
    // Its old host comes back with what it had: it ticks nothing, and learns where it is.
    const back = await world.start(before)
    await eventually(back, () =>
      back.agents().some((one) => one.agent === agent.id && one.state === 'moved' && one.host === b.id),
    )
    await ticksOn(b, agent.id, next.tick + 1)
  })
})
