import { sha256 } from '@noble/hashes/sha2.js'
import { afterEach, describe, expect, it } from 'vitest'
import { type Bench, createBench, peek, peek32, ROOT, TIME } from './fixtures/bench.ts'
import { add, buildAgent, type Code, call, count, drop, HOSTCALLS, i32, load, store, store64, when } from './fixtures/wasm.ts'
import { MAX_RANDOM, MAX_VIEW } from './hostcalls.ts'
import { MAX_KV_BYTES, MAX_KV_VALUE } from './kv.ts'
import { randomStream, tickSeed } from './seed.ts'
import { MAX_LINE, MAX_LINES } from './session.ts'

const IMPORTS = HOSTCALLS
const END = 65_536
/** Where answers go, and where bytes go. */
const ANSWER = 8
const BUFFER = 4096
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

const igor = (name: keyof typeof IMPORTS extends `igor.${infer N}` ? N : never, ...args: readonly (number | Code)[]): Code =>
  call(`igor.${name}`, ...args.map((arg) => (typeof arg === 'number' ? i32(arg) : arg)))

/** Runs one tick of an agent made of these instructions and answers 0. */
const agentOf = (code: Code, data: { at: number; bytes: Uint8Array }[] = []): Uint8Array =>
  buildAgent({ imports: IMPORTS, tick: [...code, ...i32(0)], data })

let bench: Bench
const tick = async (
  code: Code,
  options: { init?: Uint8Array; data?: { at: number; bytes: Uint8Array }[]; messages?: (string | Uint8Array)[] } = {},
) => {
  bench = createBench()
  const agent = await bench.spawn(agentOf(code, options.data), { init: options.init ?? new Uint8Array() })
  const result = await agent.run(options.messages)
  return {
    result,
    agent,
    answer: (n = 0) => peek32(agent.image, ANSWER + 4 * n),
    bytes: (length: number, at = BUFFER) => peek(agent.image, at, length),
  }
}
afterEach(() => bench.executor.close())

/** Stores what a call answers as the nth answer. */
const answer = (n: number, code: Code): Code => store(ANSWER + 4 * n, code)

describe('init_read', () => {
  it('gives the init bytes from an offset on, as many as fit', async () => {
    const { answer: at, bytes } = await tick(
      [
        ...answer(0, igor('init_read', 0, BUFFER, 100)),
        ...answer(1, igor('init_read', 3, BUFFER + 50, 2)),
        ...answer(2, igor('init_read', 6, BUFFER, 9)),
      ],
      { init: utf8('abcdef') },
    )
    expect([at(0), at(1), at(2)]).toEqual([6, 2, 0])
    expect(bytes(6)).toEqual(utf8('abcdef'))
    expect(bytes(2, BUFFER + 50)).toEqual(utf8('de'))
  })
})

describe('clock_now', () => {
  it('is the time of the job', async () => {
    const { bytes } = await tick(store64(BUFFER, igor('clock_now')))
    expect(new DataView(bytes(8).buffer).getBigInt64(0, true)).toBe(TIME)
  })
})

describe('rand_bytes', () => {
  it("is one stream over the tick's seed", async () => {
    const { answer: at, bytes } = await tick([
      ...answer(0, igor('rand_bytes', BUFFER, 5)),
      ...answer(1, igor('rand_bytes', BUFFER + 5, 1500)),
      ...answer(2, igor('rand_bytes', BUFFER + 1505, 0)),
      ...answer(3, igor('rand_bytes', BUFFER + 1505, 3)),
    ])
    const expected = new Uint8Array(1508)
    randomStream(tickSeed(sha256, ROOT, 1))(expected)
    expect([at(0), at(1), at(2), at(3)]).toEqual([0, 0, 0, 0])
    expect(bytes(1508)).toEqual(expected)
  })

  it('differs from tick to tick', async () => {
    const { agent, bytes } = await tick([...igor('rand_bytes', BUFFER, 16), ...drop])
    const first = bytes(16)
    await agent.run()
    expect(peek(agent.image, BUFFER, 16)).not.toEqual(first)
  })

  it('refuses more than it gives at once', async () => {
    bench = createBench()
    const wasm = buildAgent({
      imports: IMPORTS,
      memory: 3,
      tick: [...store(ANSWER, igor('rand_bytes', 0, MAX_RANDOM + 1)), ...i32(0)],
    })
    const agent = await bench.spawn(wasm)
    await agent.run()
    expect(peek32(agent.image, ANSWER)).toBe(-2)
  })
})

describe('log_emit', () => {
  it('writes lines, cut between characters', async () => {
    const long = `${'a'.repeat(MAX_LINE - 1)}é!`
    const { result } = await tick(
      [...igor('log_emit', BUFFER, 3), ...igor('log_emit', 8192, MAX_LINE + 2), ...igor('log_emit', BUFFER, 0)],
      {
        data: [
          { at: BUFFER, bytes: utf8('hé!') },
          { at: 8192, bytes: utf8(long) },
        ],
      },
    )
    expect(result.logs).toEqual([
      { tick: 1, text: 'hé' },
      { tick: 1, text: 'a'.repeat(MAX_LINE - 1) },
      { tick: 1, text: '' },
    ])
  })

  it('makes text of whatever it is handed', async () => {
    const { result } = await tick(igor('log_emit', BUFFER, 3), { data: [{ at: BUFFER, bytes: Uint8Array.of(0xff, 0x41, 0xc3) }] })
    expect(result.logs).toEqual([{ tick: 1, text: '\ufffdA\ufffd' }])
  })

  it('counts what is too much for one tick', async () => {
    const { result } = await tick(Array.from({ length: MAX_LINES + 7 }, () => igor('log_emit', 0, 1)).flat())
    expect(result.logs.length).toBe(MAX_LINES + 1)
    expect(result.logs.at(-1)?.text).toBe('(7 more lines of this tick were left out)')
  })
})

describe('view_show', () => {
  it('shows text and frames; the last one wins', async () => {
    const { result, answer: at } = await tick(
      [...answer(0, igor('view_show', 0, BUFFER, 2, 0, 0)), ...answer(1, igor('view_show', 1, BUFFER, 16, 2, 2))],
      {
        data: [{ at: BUFFER, bytes: Uint8Array.from({ length: 16 }, (_, i) => i) }],
      },
    )
    expect([at(0), at(1)]).toEqual([0, 0])
    expect(result.view).toEqual({
      kind: 'rgba',
      tick: 1,
      width: 2,
      height: 2,
      bytes: Uint8Array.from({ length: 16 }, (_, i) => i),
    })
  })

  it.each([
    ['an unknown kind', [2, BUFFER, 4, 1, 1], -1],
    ['a frame of another size', [1, BUFFER, 16, 2, 3], -1],
    ['an empty frame', [1, BUFFER, 0, 0, 0], -1],
    ['negative sides', [1, BUFFER, 16, -2, -2], -1],
    ['huge sides', [1, BUFFER, 0, 1 << 16, 1 << 16], -1],
  ])('refuses %s', async (_, args, expected) => {
    const { result, answer: at } = await tick(answer(0, igor('view_show', ...args)))
    expect(at()).toBe(expected)
    expect(result.view).toBeUndefined()
  })

  it('refuses a frame that is too large', async () => {
    bench = createBench()
    const code = store(ANSWER, igor('view_show', 0, 0, MAX_VIEW + 1, 0, 0))
    const agent = await bench.spawn(buildAgent({ imports: IMPORTS, memory: 17, tick: [...code, ...i32(0)] }), {
      maxMemoryBytes: 4 * MAX_VIEW,
    })
    await agent.run()
    expect(peek32(agent.image, ANSWER)).toBe(-2)
  })
})

describe('inbox_next', () => {
  it('gives messages in order, then none', async () => {
    const next = (n: number) => answer(n, igor('inbox_next', BUFFER + 16 * n, 16))
    const { result, answer: at, bytes } = await tick([...next(0), ...next(1), ...next(2)], { messages: ['one', 'three'] })
    expect([at(0), at(1), at(2)]).toEqual([3, 5, 0])
    expect(bytes(3)).toEqual(utf8('one'))
    expect(bytes(5, BUFFER + 16)).toEqual(utf8('three'))
    expect(result.taken).toBe(2)
  })

  it('keeps a message that does not fit', async () => {
    const {
      result,
      answer: at,
      bytes,
    } = await tick([...answer(0, igor('inbox_next', BUFFER, 2)), ...answer(1, igor('inbox_next', BUFFER, 3))], {
      messages: ['one'],
    })
    expect([at(0), at(1)]).toEqual([-4, 3])
    expect(bytes(3)).toEqual(utf8('one'))
    expect(result.taken).toBe(1)
  })

  it('passes over an empty message', async () => {
    const { result, answer: at } = await tick(answer(0, igor('inbox_next', BUFFER, 8)), { messages: ['', 'x'] })
    expect(at()).toBe(1)
    expect(result.taken).toBe(2)
  })

  it('leaves the rest for the next job', async () => {
    const { result } = await tick([...igor('inbox_next', BUFFER, 8), ...drop], { messages: ['a', 'b', 'c'] })
    expect(result.taken).toBe(1)
  })
})

describe('kv', () => {
  const KEY = { at: 256, bytes: utf8('key') }
  const VALUE = { at: 512, bytes: utf8('value') }

  it('keeps, gives and forgets', async () => {
    const {
      result,
      answer: at,
      bytes,
    } = await tick(
      [
        ...answer(0, igor('kv_get', 256, 3, BUFFER, 100)),
        ...answer(1, igor('kv_put', 256, 3, 512, 5)),
        ...answer(2, igor('kv_get', 256, 3, BUFFER, 4)),
        ...answer(3, igor('kv_get', 256, 3, BUFFER, 5)),
        ...answer(4, igor('kv_put', 256, 2, 512, 0)),
        ...answer(5, igor('kv_delete', 256, 1)),
        ...answer(6, igor('kv_put', 256, 1, 512, 1)),
        ...answer(7, igor('kv_delete', 256, 1)),
      ],
      { data: [KEY, VALUE] },
    )
    expect([0, 1, 2, 3, 4, 5, 6, 7].map(at)).toEqual([-5, 0, -4, 5, 0, -5, 0, 0])
    expect(bytes(5)).toEqual(utf8('value'))
    expect(result.delta.kv).toEqual([
      [utf8('ke'), utf8('')],
      [utf8('key'), utf8('value')],
    ])
  })

  it('is part of the state and silent when nothing changed', async () => {
    bench = createBench()
    const step = store(ANSWER, igor('kv_get', 256, 3, BUFFER, 100))
    const wasm = buildAgent({
      imports: IMPORTS,
      data: [KEY, VALUE],
      init: [...igor('kv_put', 256, 3, 512, 5), ...drop],
      tick: [...step, ...i32(0)],
    })
    const agent = await bench.spawn(wasm)
    expect(agent.image.kv).toEqual([[utf8('key'), utf8('value')]])
    const elsewhere = await bench.place(wasm, agent.image, 0)
    const result = await elsewhere.run()
    expect(peek32(elsewhere.image, ANSWER)).toBe(5)
    expect(result.delta.kv).toBeUndefined()
  })

  it('refuses keys and values that are too long, and no key', async () => {
    bench = createBench()
    const code = [
      ...answer(0, igor('kv_put', 256, 257, 512, 1)),
      ...answer(1, igor('kv_put', 256, 0, 512, 1)),
      ...answer(2, igor('kv_put', 256, 1, 512, MAX_KV_VALUE + 1)),
      ...answer(3, igor('kv_get', 256, 257, 512, 1)),
      ...answer(4, igor('kv_delete', 256, 257)),
    ]
    const agent = await bench.spawn(buildAgent({ imports: IMPORTS, memory: 3, tick: [...code, ...i32(0)] }))
    await agent.run()
    expect([0, 1, 2, 3, 4].map((n) => peek32(agent.image, ANSWER + 4 * n))).toEqual([-2, -2, -2, -2, -2])
  })

  it('is bounded as a whole', async () => {
    bench = createBench()
    // Each tick puts a value of the largest size under a key of its own.
    const code = [...count(256), ...store(ANSWER, igor('kv_put', 256, 4, 1024, MAX_KV_VALUE))]
    const agent = await bench.spawn(buildAgent({ imports: IMPORTS, memory: 3, tick: [...code, ...i32(0)] }))
    const fits = Math.floor(MAX_KV_BYTES / (MAX_KV_VALUE + 4))
    const answers: number[] = []
    for (let i = 0; i < fits + 2; i++) {
      await agent.run()
      answers.push(peek32(agent.image, ANSWER))
    }
    expect(answers).toEqual([...Array(fits).fill(0), -5, -5])
    expect(agent.image.kv.length).toBe(fits)
  })
})

describe('a pointer beyond the memory', () => {
  const far = -16
  it.each<[string, Code]>([
    ['init_read', igor('init_read', 0, END - 3, 4)],
    ['rand_bytes', igor('rand_bytes', far, 4)],
    ['rand_bytes with a huge length', igor('rand_bytes', 0, -1)],
    ['inbox_next', igor('inbox_next', END, 1)],
    ['view_show', igor('view_show', 1, END - 3, 4, 1, 1)],
    ['kv_get, key', igor('kv_get', END, 1, 0, 1)],
    ['kv_get, value', igor('kv_get', 0, 1, far, 100)],
    ['kv_put, key', igor('kv_put', far, 100, 0, 1)],
    ['kv_put, value', igor('kv_put', 0, 1, END - 1, 2)],
    ['kv_delete', igor('kv_delete', END, 1)],
  ])('ends the tick: %s', async (_, code) => {
    const { result, agent } = await tick([...count(ANSWER), ...code, ...drop], { messages: ['m'] })
    expect(result).toMatchObject({ ticks: 0, taken: 0, trap: expect.stringMatching(/the memory ends at 65536/) })
    expect(result.delta.chunks).toEqual([])
    expect(peek32(agent.image, ANSWER)).toBe(0)
  })

  it('ends the tick: log_emit', async () => {
    const { result } = await tick(igor('log_emit', END - 1, 2))
    expect(result.trap).toMatch(/2 bytes at 65535/)
  })

  it('may lie at the very end, with no bytes', async () => {
    const { answer: at } = await tick(answer(0, add(igor('rand_bytes', END, 0), igor('init_read', 0, END, 0))))
    expect(at()).toBe(0)
  })
})

it('takes a trap in one tick and goes on in the next', async () => {
  const poison = when(load(BUFFER), igor('log_emit', END, 9))
  const { result, agent } = await tick([...igor('inbox_next', BUFFER, 8), ...drop, ...count(ANSWER), ...poison], {
    messages: ['!'],
  })
  expect(result.trap).toBeDefined()
  expect(await agent.run()).toMatchObject({ ticks: 1 })
  expect(peek32(agent.image, ANSWER)).toBe(1)
})
