import { decodeState, readCar } from '@igor/lineage'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { decodeHostPart } from '../agent/host-part.ts'
import type { Agent, Node } from '../api.ts'
import type { Network } from '../platform.ts'
import { openLogStore } from '../store/log-store.ts'
import { makeDisk } from '../testing/memory-files.ts'
import { systemClock } from '../worker/fixtures/clock.ts'
import { createWorld, eventually, nextCount, spawnCounter, testCrypto, type World } from './fixtures/world.ts'

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
    // Its host tells others how far it is committed, and for how long its lease runs.
    const seen = () => b.agents().find((one) => one.agent === agent.id)
    await eventually(b, () => (seen()?.committed ?? 0) > 0)
    expect(seen()?.committed).toBeLessThanOrEqual(seen()?.tick ?? 0)
    expect(seen()?.leaseMs).toBeLessThanOrEqual(LEASE.leaseMs)
    await eventually(b, () => (seen()?.leaseMs ?? 0) > 0)
  })

  it('cannot be born where its witness does not answer', async () => {
    await expect(spawnCounter(a, { witness: '12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5' })).rejects.toMatchObject({
      code: 'WITNESS_UNREACHABLE',
    })
    await expect(spawnCounter(a, { failover: 'witness' })).rejects.toMatchObject({ code: 'BAD_MANIFEST' })
    await expect(spawnCounter(a, { witness: 'nobody' })).rejects.toMatchObject({ code: 'BAD_MANIFEST' })
  })

  it('can be born as soon as its node has begun, of a witness whose servers have said nothing yet', async () => {
    const seed = new Uint8Array(32).fill(77)
    const store = await openLogStore(makeDisk().open(), { random: testCrypto.random })
    const quiet = (network: Network): Network => {
      const heard = systemClock.sleep(1500)
      return {
        ...network,
        subscribe: (topic, listener) =>
          network.subscribe(topic, (message, from) => {
            void heard.then(() => listener(message, from))
          }),
      }
    }
    const relay = await world.start(undefined, { witness: { ...LEASE, shared: { seed, store } }, policy: { maxAgents: 0 } })
    const id = relay.witness ?? ''
    expect(id).not.toBe(relay.id)
    const early = await world.start(undefined, { wrap: quiet })
    const agent = await spawnCounter(early, { witness: id })
    expect(early.peers().map((peer) => peer.id)).toContain(relay.id)
    await nextCount(agent, 1)
    await early.stop()
    await relay.stop()
    await store.close()
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
    await eventually(back, () => back.agents().some((one) => one.agent === agent.id && !one.here && one.host === b.id))
    await ticksOn(b, agent.id, next.tick + 1)
  })

  it('of a host that is cut off goes on elsewhere within its lease and five seconds; the host stops before, and gives up its copy', async () => {
    const agent = await spawn(a, { failover: [b.id] })
    await nextCount(agent, 3)
    const shown: number[] = []
    const watching = new AbortController()
    const watched = (async () => {
      for await (const event of agent.watch(watching.signal)) if (event.type === 'log') shown.push(event.tick)
    })().catch(() => {})
    const since = performance.now()
    for (const other of [witness, b]) world.hub.cut(a.id, other.id, true)
    await eventually(b, () => b.agents().some((one) => one.agent === agent.id && one.here && one.state === 'active'))
    expect(performance.now() - since).toBeLessThan(LEASE.leaseMs + 5000)
    expect(agent.status).toMatchObject({ state: 'halted', here: true })
    // What it showed, the other one goes on from.
    const next = await nextCount(b.agent(agent.id))
    expect(next.count).toBe(next.tick)
    expect(next.tick).toBeGreaterThan(Math.max(...shown))
    for (const other of [witness, b]) world.hub.cut(a.id, other.id, false)
    await eventually(a, () => !agent.status.here)
    expect(agent.status.host).toBe(b.id)
    watching.abort()
    await watched
  })

  it('goes on elsewhere soon after its host has stopped, long before its lease would be over', async () => {
    const long = await world.start(undefined, { witness: { leaseMs: 30_000 }, policy: { maxAgents: 0 } })
    await meet(long, a, b)
    const agent = await spawnCounter(a, { witness: long.id, failover: [b.id] })
    const { tick } = await nextCount(agent, 5)
    await a.stop()
    await eventually(b, () => b.agents().some((one) => one.agent === agent.id && one.here && one.state === 'active'))
    await ticksOn(b, agent.id, tick + 1)
  })

  it('stays with a host that comes back in time', async () => {
    const agent = await spawn(a, { failover: [b.id] })
    const { tick } = await nextCount(agent, 3)
    const { disk } = a
    await a.stop()
    const back = await world.start(disk.copy())
    await ticksOn(back, agent.id, tick + 1)
    expect(back.agent(agent.id).status).toMatchObject({ here: true, epoch: 1, state: 'active' })
    expect(b.agents().some((one) => one.agent === agent.id && one.here)).toBe(false)
  })

  it('whose host wakes an hour later ticks nothing before the witness has answered', async () => {
    let slept = 0
    const clock = { ...systemClock, now: () => systemClock.now() + BigInt(slept) * 1_000_000n }
    const sleeper = await world.start(undefined, { clock })
    await meet(sleeper, witness, b)
    const agent = await spawn(sleeper, { failover: [b.id] })
    await nextCount(agent, 3)
    for (const other of [witness, b]) world.hub.cut(sleeper.id, other.id, true)
    slept = 3_600_000
    const { tick } = agent.status
    await eventually(b, () => b.agents().some((one) => one.agent === agent.id && one.here && one.state === 'active'))
    // One that was under way when the clock jumped.
    expect(agent.status.tick).toBeLessThanOrEqual(tick + 2)
    expect(agent.status.leaseMs).toBe(0)
    for (const other of [witness, b]) world.hub.cut(sleeper.id, other.id, false)
    await eventually(sleeper, () => !agent.status.here)
  })

  it('whose host comes back with an older copy of its disk is given back to it as it was committed', async () => {
    const agent = await spawn(a)
    await nextCount(agent, 3)
    const older = a.disk.copy()
    const { tick } = await nextCount(agent, agent.status.tick + 60)
    await a.stop()
    const back = await world.start(older)
    await ticksOn(back, agent.id, tick + 1)
    expect(back.agent(agent.id).status).toMatchObject({ here: true, epoch: 2, state: 'active' })
  })

  it('whose data folder was found at another place is given back by the witness, when no other copy renews', async () => {
    const residing = (place: string) => ({ residence: { read: () => place } })
    const first = await world.start(undefined, residing('one'))
    await meet(first, witness)
    const agent = await spawn(first)
    await nextCount(agent, 3)
    const { tick } = await nextCount(agent, agent.status.tick + 60)
    const copied = first.disk.copy()
    await first.stop()
    const copy = await world.start(copied, residing('two'))
    // Nothing is signed in an epoch that the older incarnation held.
    await eventually(copy, () => copy.agents().some((one) => one.agent === agent.id && one.here && one.state === 'active'))
    expect(copy.agent(agent.id).status.epoch).toBe(2)
    await ticksOn(copy, agent.id, tick + 1)
  })

  it('goes on through a restart of its witness', async () => {
    const agent = await spawn(a)
    await nextCount(agent, 3)
    const { disk } = witness
    await witness.stop()
    const again = await world.start(disk.copy(), { witness: LEASE, policy: { maxAgents: 0 } })
    await meet(again, a)
    const { tick } = await nextCount(agent, agent.status.tick + 100)
    expect(agent.status).toMatchObject({ state: 'active', epoch: 1 })
    expect(tick).toBeGreaterThan(0)
  })

  it('obeys, hears and retires as any other', async () => {
    const agent = await spawn(a, { capabilities: { log: { version: 1 }, inbox: { version: 1 } } })
    await nextCount(agent, 1)
    await agent.send('hello')
    await agent.pause()
    expect(agent.status).toMatchObject({ state: 'paused' })
    expect(agent.status.committed).toBe(agent.status.tick)
    await agent.resume()
    await nextCount(agent, agent.status.tick + 1)
    await agent.retire()
    expect(agent.status.state).toBe('retired')
    expect((await a.agent(agent.id).passport()).hosts).toHaveLength(1)
  })

  it('is recovered from a copy by its owner when its host is gone, once: the other one is told why not', async () => {
    const agent = await spawn(a)
    await nextCount(agent, 3)
    await agent.pause()
    const [seed = ''] = await a.exportKeys()
    const key = Uint8Array.from(seed.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16))
    const file = await agent.export()
    await expect(b.import(file, { key })).rejects.toMatchObject({ code: 'LEASE_HELD' })
    for (const other of [witness, b]) world.hub.cut(a.id, other.id, true)
    const c = await world.start()
    await meet(witness, b, c)
    const tryAt = async (node: Node): Promise<string> => {
      for (;;) {
        const code = await node.import(file, { key }).then(
          () => 'won',
          (error) => String(error.code),
        )
        if (code !== 'LEASE_HELD') return code
        await systemClock.sleep(200)
      }
    }
    const outcomes = await Promise.all([tryAt(b), tryAt(c)])
    expect(outcomes.sort()).toEqual(['NOT_AUTHORITATIVE', 'won'])
    const winner = [b, c].find((node) => node.agents().some((one) => one.agent === agent.id && one.here))
    await eventually(winner ?? b, () => winner?.agent(agent.id).status.state === 'paused')
    for (const other of [witness, b]) world.hub.cut(a.id, other.id, false)
    await eventually(a, () => !agent.status.here)
  })

  it('leaves in a file when its witness has cosigned that it does: nobody would take it before', async () => {
    const agent = await spawn(a)
    await nextCount(agent, 3)
    const ready = await b.ready()
    world.hub.cut(a.id, witness.id, true)
    let packed = false
    const packing = agent.export({ to: ready }).finally(() => {
      packed = true
    })
    await eventually(a, () => agent.status.state === 'moving')
    expect(packed).toBe(false)
    world.hub.cut(a.id, witness.id, false)
    const { id } = await b.import(await packing)
    await ticksOn(b, id, 4)
    await eventually(a, () => !agent.status.here)
  })

  it('that its witness has not taken up does not leave: nobody could ever take it up', async () => {
    const clock = { ...systemClock, now: () => systemClock.now() + 400_000_000_000n }
    const ahead = await world.start(undefined, { clock: { ...clock, sleep: (ms, signal) => clock.sleep(ms / 20, signal) } })
    await meet(ahead, witness, b)
    const agent = await spawn(ahead)
    await expect(agent.export({ to: await b.ready() })).rejects.toMatchObject({
      code: 'WITNESS_UNREACHABLE',
      message: expect.stringContaining('400 s ahead'),
    })
    expect(agent.status).toMatchObject({ here: true, epoch: 1 })
  })

  it('leaves with a message that it was sent before its host was started anew, though it rests', async () => {
    const agent = await spawn(a, { capabilities: { log: { version: 1 }, inbox: { version: 1 } } })
    await nextCount(agent, 2)
    await agent.pause()
    await agent.send('kept')
    const { disk } = a
    await a.stop()
    a = await world.start(disk)
    await meet(witness, a, b)
    const { chain, blocks } = await readCar(await a.agent(agent.id).export({ to: await b.ready() }), testCrypto)
    const state = blocks.get(String(chain.state?.body.state)) ?? new Uint8Array()
    const host = decodeHostPart(blocks.get(String(decodeState(state).host)) ?? new Uint8Array())
    expect(host.inbox.map((message) => new TextDecoder().decode(message))).toEqual(['kept'])
  })

  it('is given up by whoever took it from a file after its owner had it go on elsewhere', async () => {
    const agent = await spawn(a, { public: false })
    await nextCount(agent, 3)
    const file = await agent.export({ to: await b.ready() })
    const [seed = ''] = await a.exportKeys()
    const key = Uint8Array.from(seed.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16))
    const c = await world.start()
    await meet(witness, b, c)
    const there = await c.import(file, { key })
    await nextCount(there)
    await b.import(file).catch(() => {})
    await eventually(b, () => !b.agents().some((one) => one.agent === agent.id && one.here))
    expect(b.agents().find((one) => one.agent === agent.id)).toMatchObject({ host: c.id })
  })

  it('goes on without its witness when its owner says that it is gone', async () => {
    const agent = await spawn(a)
    await nextCount(agent, 3)
    await agent.pause()
    const [seed = ''] = await a.exportKeys()
    const key = Uint8Array.from(seed.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16))
    const file = await agent.export()
    await a.stop()
    await witness.stop()
    await expect(b.import(file, { key })).rejects.toMatchObject({ code: 'WITNESS_UNREACHABLE' })
    const back = await b.import(file, { key, force: true, witness: null })
    await back.resume()
    await ticksOn(b, agent.id, agent.status.tick + 1)
    expect(b.agent(agent.id).status).toMatchObject({ witness: null, state: 'active' })
    expect((await back.passport()).asserted[0]).toMatch(/witness-gone/)
  })
})
