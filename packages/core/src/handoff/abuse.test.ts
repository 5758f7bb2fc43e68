import { decodeRecord, type LineageRecord } from '@igor/lineage'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Node } from '../api.ts'
import { makeRogue, type Rogue, seedOn, type Talk, talk } from '../node/fixtures/rogue.ts'
import { createWorld, eventually, nextCount, spawnCounter, tapped, type World } from '../node/fixtures/world.ts'
import { BLOCKS_PROTOCOL } from '../protocols/blocks.ts'
import { MESSAGE_PROTOCOL, ORDER_PROTOCOL } from '../protocols/order.ts'
import { WATCH_PROTOCOL } from '../protocols/watch.ts'
import { openLogStore } from '../store/log-store.ts'
import type { Disk } from '../testing/memory-files.ts'
import { systemClock } from '../worker/fixtures/clock.ts'
import { HANDOFF_PROTOCOL } from './protocol.ts'

const PROTOCOLS = [HANDOFF_PROTOCOL, BLOCKS_PROTOCOL, ORDER_PROTOCOL, MESSAGE_PROTOCOL, WATCH_PROTOCOL]

const meet = (a: Node, b: Node): Promise<void> => eventually(a, () => a.peers().some((peer) => peer.id === b.id))

const goesOn = async (node: Node, agent: string): Promise<void> => {
  const handle = node.agent(agent)
  const { count, tick } = await nextCount(handle, handle.status.tick + 1)
  expect(count).toBe(tick)
}

const historyAt = async (rogue: Rogue, from: string, agent: string): Promise<LineageRecord[]> => {
  const answer = await rogue.ask(from, BLOCKS_PROTOCOL, { type: 'records', agent, brief: false })
  return ((answer?.records ?? []) as Uint8Array[]).map(decodeRecord)
}

const keysOn = async (disk: Disk): Promise<string[]> => {
  const store = await openLogStore(disk.copy().open(), { random: (n) => new Uint8Array(n) })
  const keys = await store.list('')
  await store.close()
  return keys
}

describe('a peer that breaks the rules', () => {
  let world: World
  beforeEach(() => {
    world = createWorld()
  })
  afterEach(async () => {
    await world.stop()
  })

  it('with frames of every kind gets no further than its own channel', async () => {
    const a = await world.start()
    const b = await world.start()
    const agent = await spawnCounter(a)
    const rogue = makeRogue(world.hub)
    const before = await keysOn(b.disk)
    const id = new Uint8Array(16)
    const frames: object[] = [
      { type: 'offer' },
      { type: 'offer', agent: agent.id, id, head: new Uint8Array(4097), memory: 0, replayFuel: 0 },
      { type: 'offer', agent: agent.id, id, head: new Uint8Array(9), memory: 0, replayFuel: 0 },
      { type: 'offer', agent: '../../vital', id, head: new Uint8Array(9), memory: 2 ** 40, replayFuel: 0 },
      { type: 'commit', record: new Uint8Array(9) },
      { type: 'tail' },
      { type: 'status', record: new Uint8Array(9) },
      { type: 'status' },
      { type: 'records', agent: agent.id },
      { type: 'blocks', agent: agent.id, want: Array(300).fill(null) },
      { type: 'blocks', agent: agent.id, want: ['x'] },
      { type: 'order', order: new Uint8Array(5000) },
      { type: 'message' },
      { type: 'watch', agent: 'x'.repeat(200) },
      { type: 'watch', agent: agent.id, proof: new Uint8Array(40) },
      { type: 'x'.repeat(70_000) },
    ]
    for (const protocol of PROTOCOLS) {
      for (const frame of frames) {
        const line = await rogue.open(b.id, protocol)
        await line.say({ ...frame })
        const answer = await line.hear().catch(() => undefined)
        if (answer !== undefined) expect(['error', 'reject', 'records']).toContain(answer.type)
        line.channel.abort(new Error('enough'))
      }
      const raw = await rogue.network.open(b.id, protocol)
      await raw.send(new Uint8Array([0xff, 0, 1]))
      await raw.receive(AbortSignal.timeout(5000)).catch(() => {})
    }
    expect(await keysOn(b.disk)).toEqual(before)
    await meet(a, b)
    await agent.moveTo(b.id)
    await goesOn(b, agent.id)
  })

  it('by opening moves and saying nothing more holds no place that others need', async () => {
    const a = await world.start()
    const b = await world.start()
    const agent = await spawnCounter(a)
    // A true host of a few agents, which shows their histories and then falls silent.
    const host = await world.start()
    const baits = [await spawnCounter(host), await spawnCounter(host), await spawnCounter(host), await spawnCounter(host)]
    const bystander = makeRogue(world.hub)
    const histories = new Map<string, LineageRecord[]>()
    for (const bait of [...baits]) {
      await bait.pause()
      histories.set(bait.id, await historyAt(bystander, host.id, bait.id))
    }
    await host.stop()
    const mute = makeRogue(world.hub, await seedOn(host.disk))
    mute.network.handle(
      BLOCKS_PROTOCOL,
      async (channel) => {
        const { say, hear } = talk(channel)
        const request = await hear()
        const records = histories.get(String(request?.agent)) ?? []
        await say({ type: 'records', records: records.map(({ bytes }) => bytes), last: true })
        await hear()
        await new Promise((resolve) => held.signal.addEventListener('abort', resolve))
      },
      { maxPerPeer: 16 },
    )
    const held = new AbortController()
    const offer = async (bait: string): Promise<Talk> => {
      const line = await mute.open(b.id, HANDOFF_PROTOCOL)
      const head = histories.get(bait)?.at(-1)?.bytes
      await line.say({ type: 'offer', agent: bait, id: new Uint8Array(16), head, memory: 0, replayFuel: 0, clockUs: 0 })
      return line
    }
    const open: Talk[] = []
    for (const { id } of baits) open.push(await offer(id))
    for (const { id } of baits.slice(0, 2)) {
      const answer = await (await offer(id)).hear()
      expect(answer).toMatchObject({ type: 'reject', code: 'QUOTA' })
    }
    await agent.moveTo(b.id)
    await goesOn(b, agent.id)
    held.abort()
    for (const { channel } of open) channel.abort(new Error('enough'))
  })

  it('watching a lot and reading nothing slows nobody, and does not keep the node from stopping', async () => {
    const a = await world.start()
    const agent = await spawnCounter(a)
    const rogue = makeRogue(world.hub)
    const lines: Talk[] = []
    for (let i = 0; i < 140; i++) {
      const line = await rogue.open(a.id, WATCH_PROTOCOL)
      await line.say({ type: 'watch', agent: agent.id }).catch(() => {})
      lines.push(line)
    }
    const { tick } = agent.status
    const far = await nextCount(agent, tick + 60)
    expect(far.count).toBe(far.tick)
    // Of those, more than a page may hold open were turned away.
    await expect(lines.at(-1)?.hear()).rejects.toMatchObject({ code: 'CHANNEL_FAILED' })
    await a.stop()
  })

  it('asking about a handoff that is another peer’s learns nothing and decides nothing', async () => {
    const a = await world.start()
    const b = await world.start()
    const agent = await spawnCounter(a)
    const file = await agent.export({ to: await b.ready() })
    const rogue = makeRogue(world.hub)
    const head = (await historyAt(rogue, a.id, agent.id)).at(-1)
    expect(head?.body.kind).toBe('handoff')
    expect(await rogue.ask(b.id, HANDOFF_PROTOCOL, { type: 'status', record: head?.bytes })).toMatchObject({
      type: 'error',
      code: 'PROTOCOL_VIOLATION',
    })
    const there = await b.import(file)
    await goesOn(b, there.id)
  })
})

describe('a decision on a handoff', () => {
  let world: World
  beforeEach(() => {
    world = createWorld()
  })
  afterEach(async () => {
    await world.stop()
  })

  it('is the same however often it is asked for, also after the agent has moved on', async () => {
    const a = await world.start()
    const b = await world.start()
    const c = await world.start()
    const agent = await spawnCounter(a)
    await b.importKey(seedOf(await a.exportKeys()))
    await Promise.all([meet(a, b), meet(b, c)])
    await agent.moveTo(b.id)
    await eventually(b, () => b.agents().some((one) => one.agent === agent.id && one.here && one.owned))
    const asker = async (): Promise<Rogue> => makeRogue(world.hub, await seedOn(a.disk))
    await b.agent(agent.id).moveTo(c.id)
    await a.stop()
    const rogue = await asker()
    const handoff = (await historyAt(rogue, c.id, agent.id)).find(({ body }) => body.kind === 'handoff')
    const ask = () => rogue.ask(b.id, HANDOFF_PROTOCOL, { type: 'status', record: handoff?.bytes })
    const first = await ask()
    expect(first).toMatchObject({ type: 'done' })
    expect(decodeRecord(first?.record as Uint8Array).body.kind).toBe('accept')
    expect(await ask()).toEqual(first)
    await goesOn(c, agent.id)
  })

  it('is not made by a store of another incarnation: the source stands still and says why', async () => {
    let lost = false
    const a = await world.start(undefined, {
      wrap: tapped((type) => {
        if (type !== 'commit' || lost) return 'pass'
        lost = true
        world.hub.cut(a.id, b.id, true)
        return 'drop'
      }),
    })
    const b = await world.start(undefined, { residence: { read: () => 'here' } })
    const agent = await spawnCounter(a)
    await expect(agent.moveTo(b.id)).rejects.toMatchObject({ code: 'HANDOFF_PENDING' })
    await b.stop()
    await world.start(b.disk.copy(), { residence: { read: () => 'there' } })
    world.hub.cut(a.id, b.id, false)
    await new Promise<void>((resolve) => a.onevent(({ message }) => message.includes('lost its store') && resolve()))
    expect(agent.status).toMatchObject({ state: 'moving', here: true })
  })

  it('by two nodes, on two handoffs that a restored source signed, halts both when they meet', async () => {
    const a = await world.start()
    const [b, c] = [await world.start(), await world.start()]
    const agent = await spawnCounter(a)
    await nextCount(agent, 2)
    world.hub.cut(b.id, c.id, true)
    await a.stop()
    const backup = a.disk.copy()
    const first = await world.start(a.disk.copy())
    await first.agent(agent.id).moveTo(b.id)
    await first.stop()
    world.hub.cut(a.id, b.id, true)
    const second = await world.start(backup)
    await second.agent(agent.id).moveTo(c.id)
    await second.stop()
    world.hub.cut(b.id, c.id, false)
    await eventually(b, () => b.agent(agent.id).status.state === 'halted')
    await eventually(c, () => c.agent(agent.id).status.state === 'halted')
  })

  it('waits for room where the target has none, and the agent goes on at its source', async () => {
    let full = false
    const a = await world.start()
    const b: Awaited<ReturnType<World['start']>> = await world.start(undefined, {
      wrap: tapped((type) => {
        if (type === 'prepared' && !full) {
          full = true
          b.disk.capacity = 1
        }
        return 'pass'
      }),
    })
    const agent = await spawnCounter(a)
    await nextCount(agent, 1)
    await expect(agent.moveTo(b.id)).rejects.toMatchObject({ code: 'HANDOFF_PENDING' })
    const { tick } = agent.status
    expect(agent.status).toMatchObject({ state: 'moving', here: true })
    b.disk.capacity = Number.POSITIVE_INFINITY
    await eventually(a, () => agent.status.state === 'active')
    expect(await nextCount(agent, tick + 1)).toEqual({ tick: tick + 1, count: tick + 1 })
    await agent.moveTo(b.id)
    await goesOn(b, agent.id)
  })

  it('is against an agent whose clock is hours ahead', async () => {
    const ahead = 3n * 3_600_000_000_000n
    const a = await world.start(undefined, { clock: { ...systemClock, now: () => systemClock.now() + ahead } })
    const b = await world.start()
    const agent = await spawnCounter(a)
    await expect(agent.moveTo(b.id)).rejects.toMatchObject({
      code: 'HANDOFF_REJECTED',
      message: expect.stringContaining('ahead'),
    })
    expect(agent.status.state).toBe('active')
  })
})

describe('a restored store', () => {
  it('whose agent lives elsewhere by now halts its copy, and the other goes on', async () => {
    const world = createWorld()
    const a = await world.start()
    const b = await world.start()
    const agent = await spawnCounter(a)
    await nextCount(agent, 2)
    await a.stop()
    const backup = a.disk.copy()
    const first = await world.start(a.disk.copy())
    await first.agent(agent.id).moveTo(b.id)
    await nextCount(b.agent(agent.id), b.agent(agent.id).status.tick + 1)
    await first.stop()
    const again = await world.start(backup)
    await eventually(again, () => again.agent(agent.id).status.state !== 'active')
    expect(again.agents().filter((one) => one.here && one.state === 'active')).toEqual([])
    await goesOn(b, agent.id)
    await world.stop()
  })
})

describe('a move', () => {
  it('at a time: a second one is told so, and does not disturb the first', async () => {
    const world = createWorld()
    const a = await world.start()
    const [b, c] = [await world.start(), await world.start()]
    const agent = await spawnCounter(a)
    const outcomes = await Promise.allSettled([agent.moveTo(b.id), agent.moveTo(c.id), agent.moveTo(b.id)])
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected'])
    for (const outcome of outcomes.slice(1)) expect(outcome).toMatchObject({ reason: { code: 'HANDOFF_PENDING' } })
    await goesOn(b, agent.id)
    await world.stop()
  })

  it('goes on when its owner orders something else meanwhile, and that holds there too', async () => {
    const world = createWorld()
    const ordered: Promise<void>[] = []
    const a = await world.start()
    const b = await world.start(undefined, {
      wrap: tapped((type) => {
        if (type === 'ready') ordered.push(a.agent(id).pause())
        return 'pass'
      }),
    })
    const { id } = await spawnCounter(a)
    await nextCount(a.agent(id), 1)
    await a.agent(id).moveTo(b.id)
    await Promise.all(ordered)
    expect(ordered).toHaveLength(1)
    await eventually(b, () => b.agent(id).status.here)
    expect(b.agent(id).status.state).toBe('paused')
    await world.stop()
  })

  it('by a file is held to the agent’s own policy too', async () => {
    const world = createWorld()
    const a = await world.start()
    const b = await world.start()
    const agent = await spawnCounter(a, { migration_policy: { enabled: false } })
    await expect(agent.export({ to: await b.ready() })).rejects.toMatchObject({ code: 'HANDOFF_REJECTED' })
    expect(agent.status.state).toBe('active')
    await world.stop()
  })
})

const seedOf = ([first = '']: readonly string[]): Uint8Array =>
  Uint8Array.from(first.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16))
