import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { inThreads } from '../execution/in-thread.ts'
import { type Bench, createBench, emptyImage, follow, peek, peek32 } from './fixtures/bench.ts'
import { stirrer } from './fixtures/stirrer.ts'
import {
  add,
  buildAgent,
  call,
  count,
  drop,
  eq,
  getGlobal,
  grow,
  i32,
  less,
  load,
  setGlobal,
  store,
  unreachable,
  when,
} from './fixtures/wasm.ts'
import type { Image } from './protocol.ts'

const COUNT = 8
const BUFFER = 4096
const PAGE = 65_536
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

const LOG = { 'igor.log_emit': 'i32 i32 ->' }
const INBOX = { 'igor.inbox_next': 'i32 i32 -> i32' }
const _RAND = { 'igor.rand_bytes': 'i32 i32 -> i32' }
const KV = { 'igor.kv_put': 'i32 i32 i32 i32 -> i32' }
const VIEW = { 'igor.view_show': 'i32 i32 i32 i32 i32 -> i32' }
/** Logs one digit: the count, as a character. */
const logCount = [...store(64, add(load(COUNT), i32(48))), ...call('igor.log_emit', i32(64), i32(1))]

/** Counts, asks for more, and traps in its third tick. */
const fragile = buildAgent({
  imports: { ...LOG, ...INBOX, ...KV, ...VIEW },
  globals: [7],
  tick: [
    ...count(COUNT),
    ...setGlobal(0, add(getGlobal(0), i32(1))),
    ...logCount,
    ...call('igor.inbox_next', i32(BUFFER), i32(16)),
    ...drop,
    ...call('igor.kv_put', i32(COUNT), i32(4), i32(COUNT), i32(4)),
    ...drop,
    ...call('igor.view_show', i32(0), i32(64), i32(1), i32(0), i32(0)),
    ...drop,
    ...when(eq(load(COUNT), i32(3)), unreachable),
    ...i32(1),
  ],
})

let bench: Bench
beforeEach(() => {
  bench = createBench()
})
afterEach(() => bench.executor.close())

describe('a tick that fails', () => {
  it('leaves the ticks before it and no trace of its own', async () => {
    const agent = await bench.spawn(fragile)
    const result = await agent.run(['a', 'b', 'c', 'd'], { maxTicks: 10 })
    expect(result).toMatchObject({
      ticks: 2,
      taken: 2,
      more: true,
      trap: expect.stringMatching(/must not be reached/),
      lastWords: ['3'],
      logs: [
        { tick: 1, text: '1' },
        { tick: 2, text: '2' },
      ],
      view: { tick: 2, bytes: utf8('2') },
    })
    const other = await bench.spawn(fragile)
    const whole = await other.run(['a', 'b', 'c', 'd'], { maxTicks: 2 })
    expect(whole.trap).toBeUndefined()
    expect(agent.image).toEqual(other.image)
    expect(result.delta).toEqual(whole.delta)
    expect(peek32(agent.image, COUNT)).toBe(2)
  })

  it('fails again from the same boundary, again and again', async () => {
    const agent = await bench.spawn(fragile)
    await agent.run([], { maxTicks: 2 })
    const before = agent.image
    for (let i = 0; i < 3; i++) {
      const result = await agent.run([], { maxTicks: 2 })
      expect(result).toMatchObject({ ticks: 0, taken: 0, more: false, logs: [], trap: expect.any(String) })
      expect(result.delta.chunks).toEqual([])
      expect(result.view).toBeUndefined()
      expect(agent.image).toEqual(before)
    }
  })

  it('undoes growth of its memory', async () => {
    const wasm = buildAgent({
      maxMemory: 4,
      tick: [...grow(1), ...drop, ...store(PAGE + 8, i32(5)), ...when(load(COUNT), unreachable), ...count(COUNT), ...i32(1)],
    })
    const agent = await bench.spawn(wasm)
    expect(await agent.run([], { maxTicks: 3 })).toMatchObject({ ticks: 1, delta: { memoryBytes: 2 * PAGE } })
    expect(agent.image.memoryBytes).toBe(2 * PAGE)
    const again = await bench.place(wasm, agent.image, 1)
    expect((await again.run()).trap).toBeDefined()
  })

  it('names what it did in words that do not depend on the engine', async () => {
    const cases = [
      [load(PAGE), /out of bounds/],
      [[...i32(1), ...i32(0), 0x6d], /divided by zero/],
    ] as const
    for (const [code, message] of cases) {
      const agent = await bench.spawn(buildAgent({ tick: [...code] }))
      expect((await agent.run()).trap).toMatch(message)
    }
  })

  it('survives endless recursion', async () => {
    // The only function calls itself: it is index 0 where nothing is imported.
    const agent = await bench.spawn(buildAgent({ tick: [0x10, 0] }))
    expect((await agent.run()).trap).toMatch(/recursed too deeply/)
  })
})

describe('a job', () => {
  const counter = buildAgent({ tick: [...count(COUNT), ...less(load(COUNT), i32(5))] })

  it('goes on while the agent asks for more', async () => {
    const agent = await bench.spawn(counter)
    expect(await agent.run([], { maxTicks: 100 })).toMatchObject({ ticks: 5, more: false })
    expect(peek32(agent.image, COUNT)).toBe(5)
  })

  it('ends at its limit of ticks', async () => {
    const agent = await bench.spawn(counter)
    expect(await agent.run([], { maxTicks: 3 })).toMatchObject({ ticks: 3, more: true })
    expect(await agent.run([], { maxTicks: 3 })).toMatchObject({ ticks: 2, more: false })
  })

  it('ends at its limit of time, and tells how long a tick took', async () => {
    let now = 0
    const slow = createBench(
      inThreads({
        now: () => {
          now += 10
          return now
        },
      }),
    )
    const agent = await slow.spawn(buildAgent({ tick: i32(1) }))
    const result = await agent.run([], { maxTicks: 1000, maxMs: 95 })
    expect(result).toMatchObject({ more: true, longestMs: 10 })
    expect(result.ticks).toBeGreaterThan(5)
    expect(result.ticks).toBeLessThan(12)
    await slow.executor.close()
  })

  it('ends when it has logged enough', async () => {
    const lines = Array.from({ length: 90 }, () => call('igor.log_emit', i32(0), i32(4096))).flat()
    const agent = await bench.spawn(buildAgent({ imports: LOG, tick: [...lines, ...i32(1)] }))
    const result = await agent.run([], { maxTicks: 1000 })
    expect(result).toMatchObject({ ticks: 1, more: true })
    expect(result.logs.length).toBe(90)
  })

  it('says what changed, and what became zero', async () => {
    // Writes to chunk 2 in odd ticks and clears it in even ones.
    const wasm = buildAgent({ tick: [...count(COUNT), ...store(2 * 4096, [...load(COUNT), ...i32(1), 0x71]), ...i32(0)] })
    const agent = await bench.spawn(wasm)
    expect((await agent.run()).delta.chunks.map(([index, bytes]) => [index, bytes === null])).toEqual([
      [0, false],
      [2, false],
    ])
    const { delta } = await agent.run()
    expect(delta.chunks[1]).toEqual([2, null, null])
    expect(agent.image.chunks.map(([index]) => index)).toEqual([0])
  })

  it('is silent about memory when nothing changed', async () => {
    const agent = await bench.spawn(buildAgent({ tick: i32(0), data: [{ at: 0, bytes: utf8('data') }] }))
    expect((await agent.run()).delta.chunks).toEqual([])
  })
})

describe('spawning', () => {
  it('runs start, _initialize and agent_init, once', async () => {
    const step = (n: number) => store(COUNT, add([...load(COUNT), ...i32(10), 0x6c], i32(n)))
    const wasm = buildAgent({
      start: step(1),
      functions: { _initialize: { type: '->', code: step(2) }, _start: { type: '->', code: step(9) } },
      init: step(3),
      tick: [...step(4), ...i32(0)],
    })
    const agent = await bench.spawn(wasm)
    expect(peek32(agent.image, COUNT)).toBe(123)
    expect(agent.spawned).toMatchObject({ ticks: 0, more: false, taken: 0 })
    const elsewhere = await bench.place(wasm, agent.image, 0)
    await elsewhere.run()
    expect(peek32(elsewhere.image, COUNT)).toBe(1234)
  })

  it('runs _start where there is no _initialize', async () => {
    const wasm = buildAgent({ functions: { _start: { type: '->', code: store(COUNT, i32(5)) } }, tick: i32(0) })
    expect(peek32((await bench.spawn(wasm)).image, COUNT)).toBe(5)
  })

  it('gives everything: memory, globals, kv, logs, view', async () => {
    const wasm = buildAgent({
      imports: { ...LOG, ...KV, ...VIEW },
      globals: [3],
      data: [{ at: BUFFER, bytes: utf8('hello') }],
      init: [
        ...call('igor.log_emit', i32(BUFFER), i32(5)),
        ...call('igor.kv_put', i32(BUFFER), i32(1), i32(BUFFER), i32(2)),
        ...drop,
        ...call('igor.view_show', i32(0), i32(BUFFER), i32(4), i32(0), i32(0)),
        ...drop,
      ],
      tick: i32(0),
    })
    const agent = await bench.spawn(wasm)
    expect(agent.spawned).toMatchObject({
      logs: [{ tick: 0, text: 'hello' }],
      view: { tick: 0, bytes: utf8('hell') },
      delta: { memoryBytes: PAGE, globals: [Uint8Array.of(3, 0, 0, 0)], kv: [[utf8('h'), utf8('he')]] },
    })
    expect(peek(agent.image, BUFFER, 5)).toEqual(utf8('hello'))
  })

  it.each([
    [
      'agent_init',
      buildAgent({
        imports: LOG,
        init: [...call('igor.log_emit', i32(BUFFER), i32(4)), ...unreachable],
        tick: i32(0),
        data: [{ at: BUFFER, bytes: utf8('oops') }],
      }),
      /agent_init: the program reached .*its last words: oops/,
    ],
    ['start', buildAgent({ start: unreachable, tick: i32(0) }), /start function/],
    ['data', buildAgent({ tick: i32(0), data: [{ at: PAGE - 2, bytes: utf8('long') }] }), /data segments|out of bounds/],
  ])('refuses one that fails to start: %s', async (_, wasm, message) => {
    await expect(bench.spawn(wasm)).rejects.toMatchObject({ code: 'BAD_MODULE', message: expect.stringMatching(message) })
    const agent = await bench.spawn(fragile)
    expect((await agent.run()).ticks).toBe(1)
  })
})

describe('the memory cap', () => {
  it('is what memory.grow meets', async () => {
    const wasm = buildAgent({ tick: [...store(COUNT, grow(3)), ...store(COUNT + 4, grow(1)), ...i32(0)] })
    const agent = await bench.spawn(wasm, { maxMemoryBytes: 3 * PAGE })
    await agent.run()
    expect([peek32(agent.image, COUNT), peek32(agent.image, COUNT + 4)]).toEqual([-1, 1])
  })
})

describe('determinism', () => {
  const messages = ['one', 'two', 'three', 'four', 'five', 'six']
  /** Ticks in jobs of these sizes, each message there from the start; `move` says after which jobs it goes to another worker. */
  const play = async (sizes: readonly number[], moves: readonly boolean[], benches: readonly Bench[]): Promise<Image> => {
    let turn = 0
    let agent = await (benches[0] as Bench).spawn(stirrer)
    let inbox = messages
    for (const [i, maxTicks] of sizes.entries()) {
      const result = await agent.run(inbox, { maxTicks })
      expect(result.ticks).toBe(maxTicks)
      inbox = inbox.slice(result.taken)
      if (moves[i]) agent = await (benches[++turn % benches.length] as Bench).place(stirrer, agent.image, agent.tick)
    }
    return agent.image
  }

  it('does not depend on batches, nor on where it runs', async () => {
    const benches = [bench, createBench(inThreads(), { maxLive: 1 })]
    const once = await play([24], [], benches)
    expect(once.memoryBytes).toBeGreaterThan(PAGE)
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 23 }), { maxLength: 6 }),
        fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }),
        async (cuts, moves) => {
          const at = [0, ...new Set(cuts), 24].sort((a, b) => a - b)
          const sizes = at.slice(1).map((cut, i) => cut - (at[i] as number))
          expect(await play(sizes, moves, benches)).toEqual(once)
        },
      ),
      { numRuns: 25 },
    )
    await benches[1]?.executor.close()
  })

  it('gives the same delta, digests too, for the same inputs', async () => {
    const [a, b] = [await bench.spawn(stirrer), await bench.spawn(stirrer)]
    expect(a.spawned?.delta).toEqual(b.spawned?.delta)
    expect((await a.run(['x'], { maxTicks: 9 })).delta).toEqual((await b.run(['x'], { maxTicks: 9 })).delta)
  })

  it('names chunks by their SHA-256', async () => {
    const agent = await bench.spawn(stirrer)
    const { delta } = await agent.run([], { maxTicks: 3 })
    for (const [, bytes, digest] of delta.chunks) {
      if (bytes !== null) expect(digest).toEqual(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes.slice())))
    }
    expect(delta.chunks.length).toBeGreaterThan(1)
  })
})

describe('live instances', () => {
  it('are few, agents are many', async () => {
    const small = createBench(inThreads(), { maxLive: 4 })
    const agents = await Promise.all(Array.from({ length: 150 }, () => small.spawn(stirrer)))
    const order = agents.map((_, i) => (i * 37) % agents.length)
    for (const i of [...order, ...order.slice(0, 20), ...order]) await agents[i]?.run(['m'], { maxTicks: 2 })
    const [first] = agents
    const same = agents.filter((_, i) => !order.slice(0, 20).includes(i))
    for (const agent of same) {
      expect(agent.tick).toBe(4)
      expect(agent.image).toEqual(same[0]?.image)
    }
    expect(first?.tick).toBe(6)
    await small.executor.close()
  })
})

it('adds up: the image followed by deltas is what the worker holds', async () => {
  const agent = await bench.spawn(stirrer)
  let image = follow(emptyImage, agent.spawned?.delta ?? { memoryBytes: 0, chunks: [], globals: [] })
  for (let i = 0; i < 10; i++) image = follow(image, (await agent.run(['m'])).delta)
  const there = await bench.place(stirrer, image, agent.tick)
  expect((await there.run(['n'], { maxTicks: 3 })).delta).toEqual((await agent.run(['n'], { maxTicks: 3 })).delta)
})
