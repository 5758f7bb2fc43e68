/**
 * How well the fuel of hostcalls stands for their time: nanoseconds per fuel of each, short and long, which have to lie
 * within the spread of ordinary code's (packages/sandbox/bench/cost.bench.ts).
 *
 * @module
 */
import { compile, type Instance, instantiate, instrument } from '@igor/sandbox'
import { sha256 } from '@noble/hashes/sha2.js'
import { report } from '../../../scripts/bench-report.mjs'
import { CAPABILITIES, WASI } from '../src/worker/capabilities.ts'
import { buildModule, type Code, call, drop, HOSTCALLS, i32, i64 } from '../src/worker/fixtures/wasm.ts'
import { type Host, igorImports } from '../src/worker/hostcalls.ts'
import { emptyKv } from '../src/worker/kv.ts'
import { createSession, type Session } from '../src/worker/session.ts'
import { wasiImports } from '../src/worker/wasi.ts'

const IMPORTS = {
  ...HOSTCALLS,
  'igor.wallet_balance': '-> i64',
  'igor.wallet_receipt': 'i32 i32 i32 -> i32',
  [`${WASI}.clock_time_get`]: 'i32 i64 i32 -> i32',
  [`${WASI}.fd_write`]: 'i32 i32 i32 i32 -> i32',
  [`${WASI}.poll_oneoff`]: 'i32 i32 i32 i32 -> i32',
  [`${WASI}.fd_seek`]: 'i32 i64 i32 i32 -> i32',
}
const args = (...values: readonly number[]): Code => values.flatMap((value) => i32(value))
const igor = (name: string, ...values: readonly number[]): Code => call(`igor.${name}`, args(...values))
const wasi = (name: string, ...values: readonly number[]): Code => call(`${WASI}.${name}`, args(...values))
const AT = 1 << 20
const NEWLINES = 1 << 21
const LETTERS = NEWLINES + 65_536
/** Lists of buffers. */
const ONE = 1024
const MANY = 2048
const BREAKS = 1032
const EMPTY = 16_384

/** One call of each kind, what it answers dropped, and how often. */
const CALLS: readonly (readonly [name: string, code: Code, times: number])[] = [
  ['clock_now', [...igor('clock_now'), ...drop], 20_000],
  ['wallet_balance', [...igor('wallet_balance'), ...drop], 20_000],
  ['clock_time_get', [...call(`${WASI}.clock_time_get`, i32(0), i64(0n), i32(AT)), ...drop], 20_000],
  ['fd_seek (ENOSYS)', [...call(`${WASI}.fd_seek`, i32(0), i64(0n), i32(0), i32(0)), ...drop], 20_000],
  ['init_read 8', [...igor('init_read', 0, AT, 8), ...drop], 20_000],
  ['init_read 64 KiB', [...igor('init_read', 0, AT, 65_536), ...drop], 500],
  ['rand_bytes 8', [...igor('rand_bytes', AT, 8), ...drop], 20_000],
  ['rand_bytes 64 KiB', [...igor('rand_bytes', AT, 65_536), ...drop], 20],
  ['log_emit 0', igor('log_emit', LETTERS, 0), 100],
  ['log_emit 100', igor('log_emit', LETTERS, 100), 100],
  ['log_emit 4096', igor('log_emit', LETTERS, 4096), 100],
  ['log_emit 4096, not ASCII', igor('log_emit', AT, 4096), 100],
  ['log_emit, beyond the last line', igor('log_emit', LETTERS, 0), 20_000],
  ['view_show 8', [...igor('view_show', 0, AT, 8, 0, 0), ...drop], 10_000],
  ['view_show 1 MiB', [...igor('view_show', 0, AT, 1 << 20, 0, 0), ...drop], 20],
  ['inbox_next 8', [...igor('inbox_next', AT, 8), ...drop], 2000],
  ['inbox_next, none', [...igor('inbox_next', AT, 0), ...drop], 20_000],
  ['wallet_receipt 300', [...igor('wallet_receipt', 0, AT, 300), ...drop], 20_000],
  ['kv_get, 1 and none', [...igor('kv_get', 0, 1, AT, 0), ...drop], 20_000],
  ['kv_get, 256 and 8', [...igor('kv_get', 512, 256, AT, 64), ...drop], 5000],
  ['kv_get, 1 and 64 KiB', [...igor('kv_get', 256, 1, AT, 65_536), ...drop], 500],
  ['kv_put, 1 and 8', [...igor('kv_put', 0, 1, AT, 8), ...drop], 20_000],
  ['kv_put, 256 and 8', [...igor('kv_put', 0, 256, AT, 8), ...drop], 5000],
  ['kv_put, 1 and 64 KiB', [...igor('kv_put', 0, 1, AT, 65_536), ...drop], 200],
  ['kv_put, kv_delete', [...igor('kv_put', 0, 1, AT, 8), ...drop, ...igor('kv_delete', 0, 1), ...drop], 10_000],
  ['fd_write 100', [...wasi('fd_write', 1, ONE, 1, 8), ...drop], 5000],
  ['fd_write 64 KiB of newlines', [...wasi('fd_write', 1, BREAKS, 1, 8), ...drop], 10],
  ['fd_write of 1024 empty buffers', [...wasi('fd_write', 1, EMPTY, 1024, 8), ...drop], 100],
  ['fd_write of 1024 single letters', [...wasi('fd_write', 1, MANY, 1024, 8), ...drop], 100],
  ['poll_oneoff 1', [...wasi('poll_oneoff', AT, AT + 65_536, 1, 8), ...drop], 900],
  ['poll_oneoff 1024', [...wasi('poll_oneoff', AT, AT + 65_536, 1024, 8), ...drop], 20],
]

/** Calls over and over, as often as its argument says. */
const loopOf = (code: Code): Code => [0x03, 0x40, ...code, 0x20, 0, 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, 0x0b]
const wasm = buildModule({
  imports: IMPORTS,
  memory: 64,
  functions: Object.fromEntries(CALLS.map(([name, code]) => [name, { type: 'i32 ->', code: loopOf(code) }])),
})

let instance: Instance
let session: Session
const host: Host = {
  memory: () => instance.memory(),
  session: () => session,
  charge: (fuel) => instance.charge(fuel),
}
const compiled = await compile(instrument(wasm, { maxMemoryBytes: 2 ** 24, allowImport: () => true }))
instance = instantiate(compiled, { igor: igorImports(host, CAPABILITIES), [WASI]: wasiImports(host, CAPABILITIES) })
const memory = instance.memory()
const view = new DataView(memory.buffer)
memory.fill(10, NEWLINES, NEWLINES + 65_536)
memory.fill(97, LETTERS, LETTERS + 65_536)
for (let at = 0; at < 4096; at += 2) memory.set([0xc3, 0xa9], AT + at)
view.setUint32(ONE, LETTERS, true)
view.setUint32(ONE + 4, 100, true)
view.setUint32(BREAKS, NEWLINES, true)
view.setUint32(BREAKS + 4, 65_536, true)
for (let i = 0; i < 1024; i++) {
  view.setUint32(MANY + 8 * i, LETTERS, true)
  view.setUint32(MANY + 8 * i + 4, 1, true)
}

const base = { tick: 1, time: 1n, root: new Uint8Array(32), limit: 2n ** 62n, price: 0n, balance: 0n }
const attempt = {
  ...base,
  messages: Array.from({ length: 2000 }, () => new Uint8Array(8)),
  receipts: [new Uint8Array(300)],
}
const found: { name: string; value: number }[] = []
for (const [name, , times] of CALLS) {
  let best = Number.POSITIVE_INFINITY
  let fuel = 0n
  for (let round = 0; round < 40; round++) {
    session = createSession(attempt, new Uint8Array(65_536), emptyKv, sha256)
    session.begin(1)
    session.random(new Uint8Array(1))
    session.kv.put(memory.subarray(256, 257), new Uint8Array(65_536))
    session.kv.put(memory.subarray(512, 768), new Uint8Array(8))
    instance.setFuel(2n ** 62n)
    const start = performance.now()
    instance.call(name, times)
    best = Math.min(best, performance.now() - start)
    fuel = 2n ** 62n - instance.fuel()
  }
  const value = (best * 1e6) / Number(fuel)
  found.push({ name, value })
  const each = `${((best * 1e6) / times).toFixed(0)} ns and ${Number(fuel) / times} fuel a call`
  report({ what: `nanoseconds per fuel, ${name}`, value, unit: 'ns', note: each })
}
const values = found.map(({ value }) => value)
const logs = values.reduce((sum, value) => sum + Math.log(value), 0)
report({ what: 'nanoseconds per fuel of hostcalls, geometric mean', value: Math.exp(logs / values.length), unit: 'ns' })
// A long line pays as if no letter of it were ASCII: never too little.
const fair = found.filter(({ name }) => name !== 'log_emit 4096').sort((a, b) => a.value - b.value)
const [least, most] = [fair[0], fair.at(-1)]
if (least !== undefined && most !== undefined) {
  const note = `${most.name} / ${least.name}`
  report({ what: 'dearest / cheapest fuel of hostcalls', value: most.value / least.value, unit: 'x', atMost: 8, note })
}
