import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Agent, Node, RecoverOptions } from '../api.ts'
import { systemClock } from '../worker/fixtures/clock.ts'
import { createWorld, eventually, nextCount, spawnCounter, tapped, type World } from './fixtures/world.ts'

type Running = Awaited<ReturnType<World['start']>>
const WITNESS = { witness: { leaseMs: 1000 }, policy: { maxAgents: 0 } }

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

/** Tries until the lease is over. */
const recovered = async (node: Node, agent: string, options: RecoverOptions = {}): Promise<void> => {
  for (;;) {
    const code = await node.recover(agent, options).then(
      () => undefined,
      (error) => error.code,
    )
    if (code === undefined) return
    expect(code).toBe('LEASE_HELD')
    await systemClock.sleep(100)
  }
}

describe('an owner gives an agent another witness', () => {
  let world: World
  let old: Running
  let next: Running
  let a: Running
  let b: Running
  let agent: Agent

  beforeEach(async () => {
    world = createWorld()
    old = await world.start(undefined, WITNESS)
    next = await world.start(undefined, WITNESS)
    a = await world.start()
    b = await world.start()
    await meet(old, next, a, b)
    agent = await spawnCounter(a, { witness: old.id, failover: [b.id] })
    await nextCount(agent, 2)
  })
  afterEach(async () => {
    await world.stop()
  })

  it('and not a tick is lost or done twice; from then on the new one orders, and lets it go on elsewhere', async () => {
    const { tick } = agent.status
    await agent.changeWitness(next.id)
    expect(agent.status).toMatchObject({ witness: next.id, epoch: 1, here: true })
    await ticksOn(a, agent.id, tick + 1)
    expect(agent.status).toMatchObject({ state: 'active' })
    // The old one is not needed any more.
    await old.stop()
    const { tick: later } = await nextCount(agent, agent.status.tick + 60)
    expect(agent.status.committed).toBeGreaterThanOrEqual(later)
    await a.stop()
    await eventually(b, () => b.agents().some((one) => one.agent === agent.id && one.here && one.state === 'active'))
    expect(b.agent(agent.id).status).toMatchObject({ witness: next.id, epoch: 2 })
    await ticksOn(b, agent.id, later + 1)
    expect((await b.agent(agent.id).passport()).asserted).toEqual([])
  })

  it('from elsewhere, to none, and back', async () => {
    const [seed = ''] = await a.exportKeys()
    await b.importKey(Uint8Array.from(seed.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16)))
    await eventually(b, () => b.agents().some((one) => one.agent === agent.id))
    await b.agent(agent.id).changeWitness(null)
    expect(agent.status).toMatchObject({ witness: null, here: true })
    expect(agent.status.leaseMs).toBeUndefined()
    await old.stop()
    await ticksOn(a, agent.id, agent.status.tick + 10)
    await b.agent(agent.id).changeWitness(next.multiaddrs[0] ?? next.id)
    await ticksOn(a, agent.id, agent.status.tick + 10)
    expect(agent.status).toMatchObject({ witness: next.id, state: 'active' })
    const move = await agent.moveTo(b.id)
    await ticksOn(b, agent.id, move.tick + 1)
    expect((await b.agent(agent.id).passport()).hosts.map(({ peer }) => peer)).toEqual([a.id, b.id])
  })

  it('that cannot be had now: nothing is changed, and it says what can be done', async () => {
    const { tick } = agent.status
    await expect(agent.changeWitness('12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5')).rejects.toMatchObject({
      code: 'WITNESS_UNREACHABLE',
    })
    await expect(agent.changeWitness(b.id), 'it serves none').rejects.toMatchObject({ code: 'WITNESS_UNREACHABLE' })
    await expect(agent.changeWitness(old.id)).rejects.toMatchObject({
      code: 'BAD_ORDER',
      message: expect.stringMatching(/already/),
    })
    const choosy = await world.start(undefined, { witness: { ...WITNESS.witness, maxAgents: 0 } })
    await meet(choosy, a)
    await expect(agent.changeWitness(choosy.id)).rejects.toMatchObject({ code: 'QUOTA' })
    await ticksOn(a, agent.id, tick + 1)
    expect(agent.status).toMatchObject({ witness: old.id, state: 'active', epoch: 1 })
    world.hub.cut(a.id, old.id, true)
    world.hub.cut(b.id, old.id, true)
    await eventually(a, () => agent.status.state === 'halted')
    await expect(agent.changeWitness(next.id)).rejects.toMatchObject({ code: 'AGENT_HALTED' })
  })

  it('when the new one is lost on the way it stands still and says so; its owner has it back from the old one', async () => {
    const lost = Promise.withResolvers<void>()
    // It was there when it was asked whether it would take the agent, and is gone when it is needed.
    const wrap = tapped((type) => {
      if (type !== 'need') return 'pass'
      for (const node of [a, b, old]) world.hub.cut(node.id, gone.id, true)
      lost.resolve()
      return 'drop'
    })
    const gone = await world.start(undefined, { ...WITNESS, wrap })
    await meet(gone, old, a, b)
    const stays = await spawnCounter(a, { witness: old.id })
    const { tick } = await nextCount(stays, 2)
    const failed = expect(stays.changeWitness(gone.id)).rejects.toMatchObject({ code: 'WITNESS_UNREACHABLE' })
    await lost.promise
    await eventually(a, () => stays.status.reason?.includes('change of witness waits') === true)
    expect(stays.status).toMatchObject({ witness: old.id, state: 'halted', here: true, leaseMs: 0 })
    await recovered(a, stays.id)
    await eventually(a, () => stays.status.state === 'active')
    expect(stays.status).toMatchObject({ witness: old.id, epoch: 2, here: true })
    await ticksOn(a, stays.id, tick + 1)
    await failed
  })

  it('when the new one is lost on the way the old one lets it go on elsewhere, as its manifest says', async () => {
    const wrap = tapped((type) => {
      if (type !== 'need') return 'pass'
      for (const node of [a, b, old]) world.hub.cut(node.id, gone.id, true)
      return 'drop'
    })
    const gone = await world.start(undefined, { ...WITNESS, wrap })
    await meet(gone, old, a, b)
    const { tick } = agent.status
    const failed = expect(agent.changeWitness(gone.id)).rejects.toMatchObject({ code: 'WITNESS_UNREACHABLE' })
    await eventually(b, () => b.agents().some((one) => one.agent === agent.id && one.here && one.state === 'active'))
    await failed
    await eventually(a, () => !agent.status.here)
    expect(b.agent(agent.id).status).toMatchObject({ witness: old.id, epoch: 2 })
    await ticksOn(b, agent.id, tick + 1)
  })

  describe('though the old one is gone for good, on its word', () => {
    it('with another one, from everything that its host did, and the history says so', async () => {
      await expect(a.recover(agent.id, { force: true, witness: next.id }), 'it is there').rejects.toMatchObject({
        code: 'BAD_REQUEST',
      })
      await old.stop()
      await eventually(a, () => agent.status.state === 'halted')
      expect(agent.status.reason).toMatch(/gone for good/)
      const { tick } = agent.status
      await a.recover(agent.id, { force: true, witness: next.id })
      await ticksOn(a, agent.id, tick + 1)
      expect(agent.status).toMatchObject({ witness: next.id, state: 'active', here: true })
      expect((await agent.passport()).asserted).toEqual([expect.stringMatching(/witness-gone/)])
      // The new one orders it like any other.
      const move = await agent.moveTo(b.id)
      await ticksOn(b, agent.id, move.tick + 1)
    })

    it('with none', async () => {
      await old.stop()
      await eventually(a, () => agent.status.state === 'halted')
      await a.recover(agent.id, { force: true, witness: null })
      await ticksOn(a, agent.id, agent.status.tick + 1)
      expect(agent.status).toMatchObject({ witness: null, state: 'active' })
      await expect(a.recover(agent.id, { force: true, witness: next.id })).rejects.toMatchObject({ code: 'BAD_REQUEST' })
    })

    it('when it was lost just as it was to hand the agent over', async () => {
      const wrap = tapped((type) => {
        if (type !== 'cosigned') return 'pass'
        for (const node of [a, b, takes]) world.hub.cut(old.id, node.id, true)
        return 'pass'
      })
      const takes = await world.start(undefined, { ...WITNESS, wrap })
      await meet(takes, old, a, b)
      const ordered = agent.changeWitness(takes.id).catch((error) => error.code)
      await eventually(a, () => agent.status.reason?.includes('change of witness waits') === true)
      await a.recover(agent.id, { force: true, witness: takes.id })
      await ticksOn(a, agent.id, agent.status.tick + 1)
      expect(agent.status).toMatchObject({ witness: takes.id, state: 'active' })
      await agent.passport()
      await ordered
    })
  })

  it('whose host dies in the middle of it: the new one asks the old one itself, and lets the agent go on', async () => {
    const died = Promise.withResolvers<void>()
    let alive = true
    const wrap = tapped((type) => {
      if (type === 'cosigned' && alive) {
        alive = false
        world.hub.cut(a.id, patient.id, true)
        died.resolve()
      }
      return 'pass'
    })
    // It would give the agent away itself, but later.
    const patient = await world.start(undefined, { witness: { leaseMs: 6000 }, policy: { maxAgents: 0 } })
    const takes = await world.start(undefined, { ...WITNESS, wrap })
    await meet(takes, patient, a, b)
    const left = await spawnCounter(a, { witness: patient.id, failover: [b.id] })
    const { tick } = await nextCount(left, 2)
    void left.changeWitness(takes.id).catch(() => {})
    await died.promise
    for (const other of [takes, b]) world.hub.cut(a.id, other.id, true)
    await eventually(b, () => b.agents().some((one) => one.agent === left.id && one.here && one.state === 'active'))
    expect(b.agent(left.id).status).toMatchObject({ witness: takes.id, epoch: 2 })
    await ticksOn(b, left.id, tick + 1)
    expect((await b.agent(left.id).passport()).asserted).toEqual([])
    // Back again, its old host finds where it is.
    for (const other of [patient, takes, b]) world.hub.cut(a.id, other.id, false)
    await eventually(a, () => !left.status.here && left.status.host === b.id)
  })

  it('is asked where a history is that nobody in sight knows: the whole DID and the address of its witness will do', async () => {
    const hidden = await spawnCounter(a, { witness: old.id, public: false })
    const { tick } = await nextCount(hidden, 2)
    const [seed = ''] = await a.exportKeys()
    await a.stop()
    const far = await world.start()
    const there = { witness: old.multiaddrs[0] ?? '' }
    await expect(far.recover(hidden.id)).rejects.toMatchObject({ code: 'UNKNOWN_AGENT' })
    await expect(far.recover(hidden.id, there)).rejects.toMatchObject({ code: 'NOT_OWNER' })
    await far.importKey(Uint8Array.from(seed.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16)))
    await recovered(far, hidden.id, there)
    await ticksOn(far, hidden.id, tick + 1)
  })
})
