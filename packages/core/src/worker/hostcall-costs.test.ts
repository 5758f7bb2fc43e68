import { afterEach, beforeEach, expect, it } from 'vitest'
import { WASI } from './capabilities.ts'
import { type Bench, createBench, peek32 } from './fixtures/bench.ts'
import { buildAgent, type Code, call, count, drop, HOSTCALLS, i32, i64, store } from './fixtures/wasm.ts'
import { MAX_LINE } from './session.ts'

const IMPORTS = {
  ...HOSTCALLS,
  'igor.wallet_balance': '-> i64',
  'igor.wallet_receipt_count': '-> i32',
  'igor.wallet_receipt': 'i32 i32 i32 -> i32',
  'igor.node_price': '-> i64',
  [`${WASI}.clock_time_get`]: 'i32 i64 i32 -> i32',
  [`${WASI}.clock_res_get`]: 'i32 i32 -> i32',
  [`${WASI}.random_get`]: 'i32 i32 -> i32',
  [`${WASI}.fd_write`]: 'i32 i32 i32 i32 -> i32',
  [`${WASI}.fd_fdstat_get`]: 'i32 i32 -> i32',
  [`${WASI}.args_sizes_get`]: 'i32 i32 -> i32',
  [`${WASI}.poll_oneoff`]: 'i32 i32 i32 i32 -> i32',
  [`${WASI}.sched_yield`]: '-> i32',
  [`${WASI}.fd_seek`]: 'i32 i64 i32 i32 -> i32',
}
/** Of the instruction. */
const CALL = 6n
const BUFFER = 4096
/** `key`, which has the value of 10 bytes. */
const KEY = 256
/** A list of two buffers: `a\nb`, and nothing. */
const IOVS = 512
const TEXT = 640
const DATA = [
  { at: KEY, bytes: new TextEncoder().encode('key') },
  { at: IOVS, bytes: Uint8Array.of(TEXT & 255, TEXT >> 8, 0, 0, 3, 0, 0, 0) },
  { at: TEXT, bytes: new TextEncoder().encode('a\nb') },
]

const to =
  (module: string) =>
  (name: string, ...args: readonly (number | bigint)[]): Code =>
    call(`${module}.${name}`, ...args.map((arg) => (typeof arg === 'number' ? i32(arg) : i64(arg))))
const igor = to('igor')
const wasi = to(WASI)
const dropped = (code: Code): Code => [...code, ...drop]

let bench: Bench
beforeEach(() => {
  bench = createBench()
})
afterEach(() => bench.executor.close())

const spawn = (tick: Code) =>
  bench.spawn(
    buildAgent({
      imports: IMPORTS,
      memory: 2,
      data: DATA,
      init: dropped(igor('kv_put', KEY, 3, BUFFER, 10)),
      tick: [...tick, ...i32(0)],
    }),
    { init: new Uint8Array(100) },
  )

/** What a tick of these instructions used. */
const fuelOf = async (code: Code): Promise<bigint> => {
  const agent = await spawn(code)
  const { ticks, fuel } = await agent.run(['a message of 21 bytes'], { receipts: [new Uint8Array(300)] })
  expect(ticks).toBe(1)
  return fuel
}

// Whoever has to change a number here raises COST_TABLE_VERSION.
it.each<[string, Code, bigint]>([
  ['clock_now', dropped(igor('clock_now')), 300n],
  ['wallet_balance', dropped(igor('wallet_balance')), 300n],
  ['wallet_receipt_count', dropped(igor('wallet_receipt_count')), 300n],
  ['node_price', dropped(igor('node_price')), 300n],
  ['init_read', dropped(igor('init_read', 0, BUFFER, 81)), 1021n],
  ['init_read, from an offset', dropped(igor('init_read', 60, BUFFER, 81)), 1010n],
  ['rand_bytes', dropped(igor('rand_bytes', BUFFER, 1000)), 21_000n],
  ['rand_bytes, too many', dropped(igor('rand_bytes', 0, 65_537)), 1000n],
  ['log_emit', igor('log_emit', BUFFER, 100), 3900n],
  ['log_emit, too long', igor('log_emit', BUFFER, MAX_LINE + 100), 2300n + 16n * BigInt(MAX_LINE)],
  ['view_show', dropped(igor('view_show', 0, BUFFER, 5000, 0, 0)), 6000n],
  ['view_show, refused', dropped(igor('view_show', 7, BUFFER, 5000, 0, 0)), 1000n],
  ['inbox_next', dropped(igor('inbox_next', BUFFER, 100)), 1006n],
  ['inbox_next, too small', dropped(igor('inbox_next', BUFFER, 1)), 1000n],
  ['wallet_receipt', dropped(igor('wallet_receipt', 0, BUFFER, 1000)), 1075n],
  ['wallet_receipt, none', dropped(igor('wallet_receipt', 1, BUFFER, 1000)), 1000n],
  ['kv_get', dropped(igor('kv_get', KEY, 3, BUFFER, 100)), 1593n],
  ['kv_get, none', dropped(igor('kv_get', KEY, 2, BUFFER, 100)), 1560n],
  ['kv_get, no key', dropped(igor('kv_get', KEY, 0, BUFFER, 100)), 1500n],
  ['kv_put', dropped(igor('kv_put', KEY, 2, BUFFER, 1000)), 3560n],
  ['kv_delete', dropped(igor('kv_delete', KEY, 3)), 1590n],
  ['clock_time_get', dropped(wasi('clock_time_get', 0, 0n, BUFFER)), 1000n],
  ['clock_res_get', dropped(wasi('clock_res_get', 0, BUFFER)), 1000n],
  ['random_get', dropped(wasi('random_get', BUFFER, 1000)), 21_000n],
  // Two buffers, two parts of lines, and two letters of them.
  ['fd_write', dropped(wasi('fd_write', 1, IOVS, 2, BUFFER)), 1000n + 1200n + 3000n + 32n],
  ['fd_write, refused', dropped(wasi('fd_write', 3, IOVS, 2, BUFFER)), 1000n],
  ['fd_fdstat_get', dropped(wasi('fd_fdstat_get', 1, BUFFER)), 1000n],
  ['args_sizes_get', dropped(wasi('args_sizes_get', BUFFER, BUFFER)), 1500n],
  ['poll_oneoff', dropped(wasi('poll_oneoff', BUFFER, BUFFER, 3, 8)), 9800n],
  ['sched_yield', dropped(wasi('sched_yield')), 300n],
  ['what answers ENOSYS', dropped(wasi('fd_seek', 0, 0n, 0, 0)), 300n],
])('charges %s', async (_, code, cost) => {
  const without = await fuelOf([])
  expect((await fuelOf(code)) - without).toBe(CALL + cost)
})

it('charges the same in one batch as tick by tick', async () => {
  const code = [...dropped(igor('kv_put', KEY, 2, BUFFER, 100)), ...dropped(igor('rand_bytes', BUFFER, 64))]
  const wasm = buildAgent({ imports: IMPORTS, tick: [...code, ...i32(1)] })
  const [one, other] = [await bench.spawn(wasm), await bench.spawn(wasm)]
  const { fuel } = await one.run([], { maxTicks: 10 })
  let sum = 0n
  for (let i = 0; i < 10; i++) sum += (await other.run()).fuel
  expect(sum).toBe(fuel)
})

it('takes a tick back that cannot pay for a call', async () => {
  const agent = await spawn([
    ...count(8),
    ...dropped(igor('inbox_next', BUFFER, 100)),
    ...igor('log_emit', BUFFER, 21),
    ...dropped(igor('kv_put', KEY, 3, BUFFER, 21)),
    ...store(12, igor('kv_get', KEY, 3, BUFFER, 100)),
  ])
  const other = await spawn([])
  const before = agent.image
  const needed = 1006n + 2636n + 2500n + 90n + 21n + 1590n + 6n
  for (const limit of [400n, 1500n, 4000n, 6200n, needed]) {
    const { ticks, taken, trap, delta, logs } = await agent.run(['a message of 21 bytes'], { limit })
    expect({ ticks, taken, trap, logs }).toEqual({ ticks: 0, taken: 0, trap: 'the program ran out of fuel', logs: [] })
    expect(delta.chunks).toEqual([])
    expect(delta.kv).toBeUndefined()
    expect(agent.image).toEqual(before)
  }
  const { ticks, fuel } = await agent.run(['a message of 21 bytes'])
  expect(ticks).toBe(1)
  expect([peek32(agent.image, 8), peek32(agent.image, 12)]).toEqual([1, 21])
  expect(agent.image.kv[0]?.[1].length).toBe(21)
  // Exactly so much is enough, and one less is not.
  await other.run()
  const again = await bench.place(
    buildAgent({ imports: IMPORTS, tick: [...dropped(igor('kv_get', KEY, 3, BUFFER, 100)), ...i32(0)] }),
    { ...agent.image, globals: [] },
    1,
  )
  const exact = (await again.run()).fuel
  expect(exact).toBeLessThan(fuel)
  expect(await again.run([], { limit: exact })).toMatchObject({ ticks: 1, fuel: exact })
  expect(await again.run([], { limit: exact - 1n })).toMatchObject({ ticks: 0, trap: 'the program ran out of fuel' })
})
