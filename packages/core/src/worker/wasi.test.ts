import { sha256 } from '@noble/hashes/sha2.js'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Bench, createBench, peek, peek32, ROOT, TIME } from './fixtures/bench.ts'
import { buildAgent, type Code, call, drop, i32, i64, store } from './fixtures/wasm.ts'
import { randomStream, tickSeed } from './seed.ts'
import { MAX_LINE } from './session.ts'

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

  it('ends the tick at proc_exit, whatever the code', async () => {
    expect((await tick(wasi('proc_exit', 0))).result.trap).toMatch(/proc_exit\(0\)/)
  })

  it.each<[string, Code]>([
    ['clock_time_get', wasi('clock_time_get', 0, 0n, 65_532)],
    ['random_get', wasi('random_get', 65_530, 8)],
    ['fd_write, list', wasi('fd_write', 1, 65_532, 1, 0)],
    ['fd_write, answer', wasi('fd_write', 1, 0, 0, 65_533)],
    ['args_sizes_get', wasi('args_sizes_get', -4, 0)],
    ['fd_fdstat_get', wasi('fd_fdstat_get', 1, 65_520)],
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
