import { sha256 } from '@noble/hashes/sha2.js'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Bench, createBench, peek, peek32, ROOT, TIME } from './fixtures/bench.ts'
import { buildAgent, type Code, call, count, drop, i32, i64, less, load, store } from './fixtures/wasm.ts'
import { randomStream, tickSeed } from './seed.ts'
import { MAX_LINE } from './session.ts'
import { MAX_WAITS } from './wasi-poll.ts'

const WASI = 'wasi_snapshot_preview1'
const IMPORTS = {
  [`${WASI}.clock_time_get`]: 'i32 i64 i32 -> i32',
  [`${WASI}.clock_res_get`]: 'i32 i32 -> i32',
  [`${WASI}.random_get`]: 'i32 i32 -> i32',
  [`${WASI}.fd_write`]: 'i32 i32 i32 i32 -> i32',
  [`${WASI}.fd_fdstat_get`]: 'i32 i32 -> i32',
  [`${WASI}.fd_prestat_get`]: 'i32 i32 -> i32',
  [`${WASI}.fd_seek`]: 'i32 i64 i32 i32 -> i32',
  [`${WASI}.path_open`]: 'i32 i32 i32 i32 i32 i64 i64 i32 i32 -> i32',
  [`${WASI}.args_sizes_get`]: 'i32 i32 -> i32',
  [`${WASI}.environ_get`]: 'i32 i32 -> i32',
  [`${WASI}.sched_yield`]: '-> i32',
  [`${WASI}.proc_exit`]: 'i32 ->',
  [`${WASI}.poll_oneoff`]: 'i32 i32 i32 i32 -> i32',
}
const ANSWER = 8
const BUFFER = 4096
const IOVS = 1024
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
const wasi = (name: string, ...args: readonly (number | bigint)[]): Code =>
  call(`${WASI}.${name}`, ...args.map((arg) => (typeof arg === 'number' ? i32(arg) : i64(arg))))
const answer = (n: number, code: Code): Code => store(ANSWER + 4 * n, code)

let bench: Bench
beforeEach(() => {
  bench = createBench()
})
afterEach(() => bench.executor.close())

const tick = async (code: Code, data: { at: number; bytes: Uint8Array }[] = []) => {
  const agent = await bench.spawn(buildAgent({ imports: IMPORTS, tick: [...code, ...i32(0)], data }))
  const result = await agent.run()
  return { result, agent, answer: (n = 0) => peek32(agent.image, ANSWER + 4 * n) }
}

/** Writes texts that stand one after the other, each an iov of its own. */
const written = async (...texts: string[]) => {
  let at = BUFFER
  const data: { at: number; bytes: Uint8Array }[] = []
  let code: Code = []
  for (const [i, text] of texts.entries()) {
    const bytes = utf8(text)
    data.push({ at, bytes })
    code = [...code, ...store(IOVS + 8 * i, i32(at)), ...store(IOVS + 8 * i + 4, i32(bytes.length))]
    at += bytes.length
  }
  return tick([...code, ...answer(0, wasi('fd_write', 1, IOVS, texts.length, ANSWER + 4))], data)
}

describe('the WASI shim', () => {
  it("tells the tick's time, by either clock", async () => {
    const { agent, answer: at } = await tick([
      ...answer(0, wasi('clock_time_get', 0, 1n, BUFFER)),
      ...answer(1, wasi('clock_time_get', 1, 0n, BUFFER + 8)),
      ...answer(2, wasi('clock_time_get', 2, 0n, BUFFER + 16)),
      ...answer(3, wasi('clock_res_get', 0, BUFFER + 24)),
      ...answer(4, wasi('clock_res_get', 9, BUFFER + 24)),
    ])
    expect([0, 1, 2, 3, 4].map(at)).toEqual([0, 0, 28, 0, 28])
    const view = new DataView(peek(agent.image, BUFFER, 32).buffer)
    expect([0, 8, 16, 24].map((offset) => view.getBigInt64(offset, true))).toEqual([TIME, TIME, 0n, 1n])
  })

  it("draws from the tick's randomness", async () => {
    const { agent, answer: at } = await tick([
      ...answer(0, wasi('random_get', BUFFER, 40)),
      ...answer(1, wasi('random_get', BUFFER + 40, 2)),
    ])
    expect([at(0), at(1)]).toEqual([0, 0])
    const expected = new Uint8Array(42)
    randomStream(tickSeed(sha256, ROOT, 1))(expected)
    expect(peek(agent.image, BUFFER, 42)).toEqual(expected)
  })

  it('makes log lines of what is written', async () => {
    const { result, answer: at } = await written('one\ntw', 'o\n', '\nthree')
    expect(at()).toBe(0)
    expect(at(1)).toBe(14)
    expect(result.logs.map(({ text }) => text)).toEqual(['one', 'two', '', 'three'])
  })

  it('cuts a line that is too long', async () => {
    const { result } = await written('x'.repeat(MAX_LINE), 'xx\nnext')
    expect(result.logs.map(({ text }) => text)).toEqual(['x'.repeat(MAX_LINE), 'next'])
  })

  it('takes a large write in parts', async () => {
    const code = [...store(IOVS, i32(BUFFER)), ...store(IOVS + 4, i32(100_000)), ...wasi('fd_write', 2, IOVS, 1, ANSWER), ...drop]
    const agent = await bench.spawn(buildAgent({ imports: IMPORTS, memory: 3, tick: [...code, ...i32(0)] }))
    await agent.run()
    expect(peek32(agent.image, ANSWER)).toBe(65_536)
  })

  it('has no arguments, no environment, no files', async () => {
    const { agent, answer: at } = await tick([
      ...store(BUFFER, i32(-1)),
      ...answer(0, wasi('args_sizes_get', BUFFER, BUFFER + 4)),
      ...answer(1, wasi('environ_get', 0, 0)),
      ...answer(2, wasi('fd_prestat_get', 3, BUFFER)),
      ...answer(3, wasi('path_open', 3, 0, 0, 0, 0, 0n, 0n, 0, 0)),
      ...answer(4, wasi('fd_seek', 1, 0n, 0, 0)),
      ...answer(5, wasi('fd_write', 3, 0, 0, 0)),
      ...answer(6, wasi('fd_fdstat_get', 1, BUFFER + 8)),
      ...answer(7, wasi('fd_fdstat_get', 3, BUFFER + 8)),
      ...answer(8, wasi('sched_yield')),
    ])
    expect([0, 1, 2, 3, 4, 5, 6, 7, 8].map(at)).toEqual([0, 0, 8, 52, 52, 8, 0, 8, 0])
    expect(peek(agent.image, BUFFER, 9)).toEqual(Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 2))
  })

  it.each([0, 3])('ends the tick at proc_exit(%i), and undoes it', async (code) => {
    const { result, answer: at } = await tick([...store(ANSWER, i32(7)), ...wasi('proc_exit', code)])
    expect(result.trap).toMatch(new RegExp(`proc_exit\\(${code}\\); an agent returns from agent_tick`))
    expect([result.ticks, at()]).toEqual([0, 0])
  })

  it('tells the words of a tick that ends itself within a line', async () => {
    const code = [...store(IOVS, i32(BUFFER)), ...store(IOVS + 4, i32(4)), ...wasi('fd_write', 2, IOVS, 1, ANSWER), ...drop]
    const { result } = await tick([...code, ...wasi('proc_exit', 2)], [{ at: BUFFER, bytes: utf8('oops') }])
    expect([result.logs, result.lastWords]).toEqual([[], ['oops']])
  })

  it('ends a line with its tick, however many ticks run in one go', async () => {
    const code = [...store(IOVS, i32(BUFFER)), ...store(IOVS + 4, i32(4)), ...wasi('fd_write', 1, IOVS, 1, ANSWER), ...drop]
    const agent = await bench.spawn(
      buildAgent({ imports: IMPORTS, tick: [...code, ...i32(1)], data: [{ at: BUFFER, bytes: utf8('half') }] }),
    )
    const { logs } = await agent.run([], { maxTicks: 3 })
    expect(logs).toEqual([1, 2, 3].map((n) => ({ tick: n, text: 'half' })))
  })

  it('goes on with chance where it was, by either way, and starts anew with each tick', async () => {
    const draws = [...wasi('random_get', BUFFER, 5), ...drop, ...call('igor.rand_bytes', i32(BUFFER + 5), i32(5)), ...drop]
    const agent = await bench.spawn(
      buildAgent({ imports: { ...IMPORTS, 'igor.rand_bytes': 'i32 i32 -> i32' }, tick: [...draws, ...i32(1)] }),
    )
    await agent.run([], { maxTicks: 2 })
    const expected = new Uint8Array(10)
    randomStream(tickSeed(sha256, ROOT, 2))(expected)
    expect(peek(agent.image, BUFFER, 10)).toEqual(expected)
  })

  it('gives no more chance at once than it says', async () => {
    expect((await tick(answer(0, wasi('random_get', 0, 65_536)))).result.trap).toBeUndefined()
    const wide = buildAgent({ imports: IMPORTS, memory: 2, tick: [...answer(0, wasi('random_get', 0, 65_537)), ...i32(0)] })
    const agent = await bench.spawn(wide)
    await agent.run()
    expect(peek32(agent.image, ANSWER)).toBe(28)
  })

  it.each([
    ['fd_fdstat_get', 'i64 i32 -> i32'],
    ['args_sizes_get', 'i32 f64 -> i32'],
    ['environ_sizes_get', 'i32 -> i32'],
    ['poll_oneoff', 'i64 i64 i64 i64 -> i32'],
    ['proc_exit', 'i64 ->'],
    ['fd_read', 'i32 i32 i32 i32 -> i64'],
  ])('refuses %s of another type', async (name, type) => {
    const wasm = buildAgent({ imports: { [`${WASI}.${name}`]: type }, tick: i32(0) })
    await expect(bench.spawn(wasm)).rejects.toMatchObject({ code: 'BAD_MODULE', message: expect.stringContaining(name) })
  })

  it.each<[string, Code]>([
    ['clock_time_get', wasi('clock_time_get', 0, 0n, 65_532)],
    ['random_get', wasi('random_get', 65_530, 8)],
    ['fd_write, list', wasi('fd_write', 1, 65_532, 1, 0)],
    ['fd_write, answer', wasi('fd_write', 1, 0, 0, 65_533)],
    ['args_sizes_get', wasi('args_sizes_get', -4, 0)],
    ['fd_fdstat_get', wasi('fd_fdstat_get', 1, 65_520)],
    ['poll_oneoff, subscriptions', wasi('poll_oneoff', 65_500, 0, 1, 0)],
    ['poll_oneoff, events', wasi('poll_oneoff', 0, 65_510, 1, 0)],
    ['poll_oneoff, answer', wasi('poll_oneoff', 0, 0, 1, 65_533)],
  ])('ends the tick at a bad pointer: %s', async (_, code) => {
    expect((await tick([...code, ...drop])).result.trap).toMatch(/the memory ends at 65536/)
  })

  it('ends the tick where a buffer lies beyond the memory', async () => {
    const { result } = await tick([
      ...store(IOVS, i32(65_000)),
      ...store(IOVS + 4, i32(1000)),
      ...wasi('fd_write', 1, IOVS, 1, ANSWER),
      ...drop,
    ])
    expect(result.trap).toMatch(/1000 bytes at 65000/)
  })
})

/** A subscription: to a clock (timeout, flags) or to a file. */
const subscription = (userdata: bigint, tag: number, subject: number, timeout = 0n, flags = 0): Uint8Array => {
  const at = new DataView(new ArrayBuffer(48))
  at.setBigUint64(0, userdata, true)
  at.setUint8(8, tag)
  at.setUint32(16, subject, true)
  at.setBigUint64(24, timeout, true)
  at.setUint16(40, flags, true)
  return new Uint8Array(at.buffer)
}

/** What poll_oneoff says of some subscriptions: user data, error and type of each event. */
const polled = async (...subscriptions: readonly Uint8Array[]) => {
  const bytes = new Uint8Array(subscriptions.flatMap((one) => [...one]))
  const EVENTS = 8192
  const {
    agent,
    result,
    answer: at,
  } = await tick(answer(0, wasi('poll_oneoff', BUFFER, EVENTS, subscriptions.length, ANSWER + 4)), [{ at: BUFFER, bytes }])
  expect([result.trap, at()]).toEqual([undefined, 0])
  return Array.from({ length: at(1) }, (_, n) => {
    const event = new DataView(peek(agent.image, EVENTS + 32 * n, 32).buffer)
    return [event.getBigUint64(0, true), event.getUint16(8, true), event.getUint8(10)]
  })
}

describe("the WASI shim's poll_oneoff", () => {
  it('finds everything come that needs no time', async () => {
    expect(
      await polled(
        subscription(1n, 0, 1, 0n),
        subscription(2n, 0, 0, TIME, 1),
        subscription(3n, 2, 1),
        subscription(4n, 2, 9),
        subscription(5n, 1, 0),
        subscription(6n, 0, 3),
        subscription(7n, 77, 0),
        subscription(8n, 0, 1, 1n),
        subscription(2n ** 64n - 1n, 0, 0, TIME + 1n, 1),
      ),
    ).toEqual([
      [1n, 0, 0],
      [2n, 0, 0],
      [3n, 0, 2],
      [4n, 8, 2],
      [5n, 8, 1],
      [6n, 28, 0],
      [7n, 8, 77],
    ])
  })

  it('lets a sleep be over at once', async () => {
    expect(await polled(subscription(1n, 0, 1, 10n ** 9n), subscription(2n, 0, 0, TIME + 5n, 1))).toEqual([
      [1n, 0, 0],
      [2n, 0, 0],
    ])
  })

  it('refuses none at all, and too many', async () => {
    const { answer: at } = await tick([
      ...answer(0, wasi('poll_oneoff', 0, 0, 0, 0)),
      ...answer(1, wasi('poll_oneoff', 0, 0, 1025, 0)),
      ...answer(2, wasi('poll_oneoff', 0, 0, -1, 0)),
    ])
    expect([0, 1, 2].map(at)).toEqual([28, 28, 28])
  })

  it('stops a program that waits over and over, and counts anew in each tick', async () => {
    const sleeps = (times: number): Code => {
      const once = [...wasi('poll_oneoff', BUFFER, 8192, 1, ANSWER), ...drop]
      // loop: sleep; count; again while fewer
      return [...store(4, i32(0)), 0x03, 0x40, ...once, ...count(4), ...less(load(4), i32(times)), 0x0d, 0, 0x0b]
    }
    const data = [{ at: BUFFER, bytes: subscription(1n, 0, 1, 1n) }]
    const patient = await bench.spawn(buildAgent({ imports: IMPORTS, tick: [...sleeps(MAX_WAITS), ...i32(1)], data }))
    expect(await patient.run([], { maxTicks: 3 })).toMatchObject({ ticks: 3 })
    expect((await tick(sleeps(MAX_WAITS + 1), data)).result.trap).toMatch(/time stands still during a tick/)
  })
})
