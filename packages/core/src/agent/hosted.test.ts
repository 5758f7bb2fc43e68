import { agentSeed, decodeRecord, didOf, makeOrder, type Order, publicKeyOf, signerOfSeed } from '@igor/lineage'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Agent, Node } from '../api.ts'
import { makeRogue } from '../node/fixtures/rogue.ts'
import { createWorld, eventually, manifest, nextCount, spawnCounter, until, type World } from '../node/fixtures/world.ts'
import { BLOCKS_PROTOCOL } from '../protocols/blocks.ts'
import { MESSAGE_PROTOCOL, ORDER_PROTOCOL } from '../protocols/order.ts'
import { buildAgent, call, i32 } from '../worker/fixtures/wasm.ts'

/** Logs each message that it takes. */
const reader = (node: Node): Promise<Agent> =>
  node.spawn({
    module: buildAgent({
      imports: { 'igor.inbox_next': 'i32 i32 -> i32', 'igor.log_emit': 'i32 i32 ->' },
      memory: 1,
      tick: [...call('igor.log_emit', i32(0), call('igor.inbox_next', i32(0), i32(1024))), ...i32(0)],
    }),
    manifest: manifest({ capabilities: { inbox: { version: 1 }, log: { version: 1 } }, tick_interval_ms: 60_000 }),
  })

describe('an agent whose node has no room', () => {
  let world: World
  beforeEach(() => {
    world = createWorld()
  })
  afterEach(async () => {
    await world.stop()
  })

  it('loses nothing, says why it stands still, and goes on when there is room', async () => {
    const node = await world.start()
    const agent = await spawnCounter(node)
    await nextCount(agent, 2)
    node.disk.capacity = 1
    await eventually(node, () => agent.status.state === 'faulted')
    const { tick, reason } = agent.status
    expect(reason).toContain('no room')
    await expect(agent.pause()).rejects.toMatchObject({ code: 'STORE_FULL' })
    // Longer than a handful of attempts: it must not be put aside for good.
    let attempts = 0
    const off = node.onevent(({ code }) => {
      if (code === 'STORE_FULL') attempts++
    })
    await eventually(node, () => attempts >= 4)
    off()
    expect(agent.status.tick).toBe(tick)
    node.disk.capacity = Number.POSITIVE_INFINITY
    expect(await nextCount(agent, tick + 1)).toEqual({ tick: tick + 1, count: tick + 1 })
    expect(agent.status.state).toBe('active')
    expect(agent.status.reason).toBeUndefined()
  })

  it('comes back with every tick as soon as there is room, though its node was started when there was none', async () => {
    const before = await world.start()
    const { id } = await spawnCounter(before)
    const { tick } = await nextCount(before.agent(id), 5)
    const left = before.disk.copy()
    await before.stop()
    const used = left.names().reduce((sum, name) => sum + left.peek(name).length, 0)
    let crowded = 0
    for (let room = 0; room < 4000; room += 200) {
      const disk = left.copy()
      disk.capacity = used + room
      // A node that cannot even note that it began does not.
      const node = await world.start(disk).catch((error) => {
        expect(error).toMatchObject({ code: 'STORE_FULL' })
      })
      if (node === undefined) continue
      const { state, reason } = node.agent(id).status
      if (state === 'halted') {
        expect(reason).toContain('no room')
        crowded++
      }
      disk.capacity = Number.POSITIVE_INFINITY
      await eventually(node, () => node.agent(id).status.state === 'active')
      const next = await nextCount(node.agent(id), tick + 1)
      expect(next.count).toBe(next.tick)
      await node.stop()
    }
    expect(crowded).toBeGreaterThan(0)
  })
})

describe('what an agent is sent', () => {
  let world: World
  beforeEach(() => {
    world = createWorld()
  })
  afterEach(async () => {
    await world.stop()
  })

  it('is let in once, though it is sent again and again, also after a restart and a move', async () => {
    const a = await world.start()
    const agent = await reader(a)
    const rogue = makeRogue(world.hub)
    const id = new Uint8Array(16).fill(1)
    const post = async (host: Node, text: string, key = id): Promise<unknown> =>
      (
        await rogue.ask(host.id, MESSAGE_PROTOCOL, {
          type: 'message',
          agent: agent.id,
          id: key,
          message: new TextEncoder().encode(text),
        })
      )?.type
    expect(await post(a, 'once')).toBe('committed')
    expect(await post(a, 'once')).toBe('committed')
    await eventually(a, () => agent.status.inbox === 0 && agent.status.tick > 0)
    const { tick } = agent.status
    expect(await post(a, 'once')).toBe('committed')
    await a.stop()
    const a2 = await world.start(a.disk.copy())
    expect(await post(a2, 'once')).toBe('committed')
    const b = await world.start()
    await eventually(a2, () => a2.peers().some((peer) => peer.id === b.id))
    await a2.agent(agent.id).moveTo(b.id)
    expect(await post(b, 'once')).toBe('committed')
    const heard: string[] = []
    const listening = until(b.agent(agent.id), (event) => {
      if (event.type === 'log' && event.tick > tick && event.text !== '') heard.push(event.text)
      return heard.at(-1) === 'twice' ? true : undefined
    })
    expect(await post(b, 'twice', new Uint8Array(16).fill(2))).toBe('committed')
    await listening
    expect(heard).toEqual(['twice'])
  })

  it('is answered with a clear word when it cannot be taken', async () => {
    const a = await world.start()
    const agent = await reader(a)
    const rogue = makeRogue(world.hub)
    const message = (more: object) => ({
      type: 'message',
      agent: agent.id,
      id: new Uint8Array(16),
      message: new Uint8Array(),
      ...more,
    })
    const ask = (more: object) => rogue.ask(a.id, MESSAGE_PROTOCOL, message(more))
    expect(await ask({ agent: 'did:key:nobody' })).toMatchObject({ type: 'error', code: 'NOT_AUTHORITATIVE' })
    expect(await ask({ id: new Uint8Array(5) })).toMatchObject({ type: 'error', code: 'PROTOCOL_VIOLATION' })
    expect(await ask({ message: new Uint8Array(64 * 1024 + 1) })).toMatchObject({ type: 'error', code: 'PROTOCOL_VIOLATION' })
    await expect(ask({ message: new Uint8Array(80 * 1024) })).rejects.toMatchObject({ code: 'CHANNEL_FAILED' })
  })
})

describe('an order', () => {
  let world: World
  beforeEach(() => {
    world = createWorld()
  })
  afterEach(async () => {
    await world.stop()
  })

  const ownerOf = async (node: Node, agent: string, nonce: Uint8Array) => {
    const [hex = ''] = await node.exportKeys()
    const seed = Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16))
    const secret = agentSeed(seed, nonce)
    expect(didOf(publicKeyOf(secret))).toBe(agent)
    return signerOfSeed(secret)
  }

  it('counts once, in order, with the right key, for its own agent', async () => {
    const a = await world.start()
    const agent = await spawnCounter(a)
    const other = await spawnCounter(a)
    const rogue = makeRogue(world.hub)
    const answer = await rogue.ask(a.id, BLOCKS_PROTOCOL, { type: 'records', agent: agent.id, brief: true })
    const genesis = decodeRecord(((answer?.records ?? []) as Uint8Array[])[0] ?? new Uint8Array()).body
    if (genesis.kind !== 'genesis') throw new Error('no genesis')
    const sign = await ownerOf(a, agent.id, genesis.nonce)
    const order = async (wish: object): Promise<Uint8Array> =>
      (await makeOrder({ agent: agent.id, kind: 'pause', ...wish } as Order, sign)).bytes
    const give = (bytes: Uint8Array) => rogue.ask(a.id, ORDER_PROTOCOL, { type: 'order', order: bytes })
    const pause = await order({ n: 100 })
    expect(await give(pause)).toMatchObject({ type: 'applied' })
    expect(agent.status.state).toBe('paused')
    // Its answer may have been lost.
    expect(await give(pause)).toMatchObject({ type: 'applied' })
    expect(await give(await order({ n: 100, kind: 'resume' }))).toMatchObject({ type: 'error', code: 'BAD_ORDER' })
    expect(await give(await order({ n: 99, kind: 'resume' }))).toMatchObject({ type: 'error', code: 'BAD_ORDER' })
    const forged = new Uint8Array(pause)
    forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1
    expect(await give(forged)).toMatchObject({ type: 'error', code: 'BAD_ORDER' })
    expect(await give(new Uint8Array(9))).toMatchObject({ type: 'error', code: 'BAD_ORDER' })
    expect(await give(await order({ n: 200, kind: 'resume' }))).toMatchObject({ type: 'applied' })
    expect(await give(await order({ n: 300, agent: other.id }))).toMatchObject({ type: 'error', code: 'BAD_ORDER' })
    expect(other.status.state).toBe('active')
    // Old orders stay old when the records that applied them are out of the window, and after a restart.
    for (let n = 201; n < 220; n++) expect(await give(await order({ n, kind: 'resume' }))).toMatchObject({ type: 'applied' })
    expect(await give(pause)).toMatchObject({ type: 'error', code: 'BAD_ORDER' })
    await a.stop()
    const again = await world.start(a.disk.copy())
    for (const old of [pause, await order({ n: 150, kind: 'move', to: rogue.id })])
      expect(await rogue.ask(again.id, ORDER_PROTOCOL, { type: 'order', order: old })).toMatchObject({ code: 'BAD_ORDER' })
    // An owner whose other device's clock is ahead is not locked out.
    const ahead = Date.now() + 3_600_000
    expect(await rogue.ask(again.id, ORDER_PROTOCOL, { type: 'order', order: await order({ n: ahead }) })).toMatchObject({
      type: 'applied',
    })
    await again.agent(agent.id).resume()
    expect(again.agent(agent.id).status.state).toBe('active')
  })

  it('does not get lost among others of the same moment', async () => {
    const a = await world.start()
    const agent = await spawnCounter(a)
    const wishes = Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? agent.pause() : agent.resume()))
    await Promise.all([...wishes, agent.pause()])
    expect(agent.status.state).toBe('paused')
    expect((await agent.passport()).records).toBeGreaterThan(3)
  })

  it('to retire acknowledges no message that nobody will read', async () => {
    const a = await world.start()
    const agent = await reader(a)
    const [sent] = await Promise.allSettled([agent.send('too late', { signal: AbortSignal.timeout(3000) }), agent.retire()])
    expect(agent.status.state).toBe('retired')
    // Either it was committed before the end came, or the sender knows.
    if (sent?.status === 'fulfilled') expect(agent.status.seq).toBeGreaterThan(2)
    else expect(sent?.reason).toMatchObject({ code: 'NOT_AUTHORITATIVE' })
  })
})
