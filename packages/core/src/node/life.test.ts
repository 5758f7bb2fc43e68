import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { buildAgent, call, count, i32, unreachable } from '../worker/fixtures/wasm.ts'
import { counter } from './fixtures/counter.ts'
import { createWorld, eventually, manifest, nextCount, spawnCounter, until, type World } from './fixtures/world.ts'

describe('an agent at a node', () => {
  let world: World
  beforeEach(() => {
    world = createWorld()
  })
  afterEach(async () => {
    await world.stop()
  })

  it('pauses, resumes and is retired by its owner, also across restarts', async () => {
    const node = await world.start()
    const agent = await spawnCounter(node)
    await nextCount(agent, 1)
    await agent.pause()
    expect(agent.status.state).toBe('paused')
    const { tick } = agent.status
    await node.stop()
    const again = await world.start(node.disk.copy())
    const back = again.agent(agent.id)
    expect(back.status).toMatchObject({ state: 'paused', tick })
    await back.resume()
    expect((await nextCount(back, tick + 1)).count).toBe(tick + 1)
    // Past the window of plain checkpoints: what the chain rests on must not be pruned with them.
    await nextCount(back, tick + 20)
    await back.retire()
    expect(back.status.state).toBe('retired')
    await expect(back.resume()).rejects.toMatchObject({ code: 'NOT_AUTHORITATIVE' })
    await again.stop()
    const last = await world.start(again.disk.copy())
    expect(last.agent(agent.id).status.state).toBe('retired')
    expect((await last.agent(agent.id).passport()).hosts).toHaveLength(1)
  })

  it('is ordered by its owner alone', async () => {
    const a = await world.start()
    const b = await world.start()
    const agent = await spawnCounter(a)
    await eventually(b, () => b.agents().length === 1)
    const stranger = b.agent(agent.id)
    expect(stranger.status.owned).toBe(false)
    await expect(stranger.pause()).rejects.toMatchObject({ code: 'NOT_OWNER' })
    // The owner's key, on another node, is as good as at home.
    await b.importKey(seedOf(await a.exportKeys()))
    await eventually(b, () => b.agent(agent.id).status.owned)
    await b.agent(agent.id).pause()
    await eventually(a, () => agent.status.state === 'paused')
  })

  it('takes each message once and in order, and says when it cannot', async () => {
    const node = await world.start()
    const deaf = await spawnCounter(node)
    await expect(deaf.send('hello')).rejects.toMatchObject({ code: 'BAD_MESSAGE' })
    const reader = buildAgent({
      imports: { 'igor.inbox_next': 'i32 i32 -> i32', 'igor.log_emit': 'i32 i32 ->' },
      memory: 1,
      tick: [...call('igor.log_emit', i32(0), call('igor.inbox_next', i32(0), i32(1024))), ...i32(0)],
    })
    const agent = await node.spawn({
      module: reader,
      manifest: manifest({ capabilities: { inbox: { version: 1 }, log: { version: 1 } }, tick_interval_ms: 60_000 }),
    })
    const heard: string[] = []
    const listening = until(agent, (event) => {
      if (event.type === 'log' && event.text !== '') heard.push(event.text)
      return heard.length === 3 ? true : undefined
    })
    await agent.send('one')
    await agent.send('two')
    await agent.send('three')
    await listening
    expect(heard).toEqual(['one', 'two', 'three'])
    await expect(agent.send(new Uint8Array(65 * 1024))).rejects.toMatchObject({ code: 'BAD_MESSAGE' })
  })

  it('is undone and rests after failing again and again, and says why', async () => {
    const node = await world.start()
    const agent = await node.spawn({
      module: buildAgent({ tick: [...count(16), ...unreachable] }),
      manifest: manifest({ tick_interval_ms: 10 }),
    })
    await eventually(node, () => agent.status.state === 'faulted')
    expect(agent.status).toMatchObject({ tick: 0, reason: expect.stringContaining('5 ticks in a row failed') })
  })

  it('keeps what it said at its birth', async () => {
    const node = await world.start()
    const module = buildAgent({
      imports: { 'igor.log_emit': 'i32 i32 ->' },
      memory: 1,
      data: [{ at: 0, bytes: new TextEncoder().encode('born') }],
      init: call('igor.log_emit', i32(0), i32(4)),
      tick: i32(0),
    })
    const agent = await node.spawn({ module, manifest: manifest({ tick_interval_ms: 60_000 }) })
    expect(await until(agent, (event) => (event.type === 'log' ? event : undefined))).toMatchObject({ tick: 0, text: 'born' })
  })

  it('cannot be spawned from bad input, and nothing is left of it', async () => {
    const node = await world.start()
    const before = node.disk.names().map((name) => node.disk.peek(name).length)
    const bad: [Parameters<typeof node.spawn>[0], string][] = [
      [{ module: new TextEncoder().encode('not wasm') }, 'BAD_MODULE'],
      [{ module: counter() }, 'CAPABILITY_NOT_GRANTED'],
      [{ module: counter(), manifest: '{' }, 'BAD_MANIFEST'],
      [{ module: counter(), manifest: manifest(), name: '' }, 'BAD_REQUEST'],
      [{ module: counter(), manifest: manifest(), budget: -1n }, 'BAD_REQUEST'],
      [{ module: counter(), manifest: manifest(), init: new Uint8Array(1024 * 1024 + 1) }, 'BAD_INIT'],
    ]
    for (const [options, code] of bad) await expect(node.spawn(options), code).rejects.toMatchObject({ code })
    expect(node.agents()).toEqual([])
    expect(node.disk.names().map((name) => node.disk.peek(name).length)).toEqual(before)
  })
})

const seedOf = ([first = '']: readonly string[]): Uint8Array =>
  Uint8Array.from(first.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16))
