/**
 * Many agents in one process: what a tick costs within a batch beside the bare call, what ten thousand that tick
 * once a second take, and how many journaled ticks a second one disk makes durable.
 *
 * @module
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Clock, createCoreNode, openLogStore } from '@igor/core'
import { median, report, spread } from '../../../scripts/bench-report.mjs'
import { createExecutor } from '../../core/src/execution/pool.ts'
import { createMemoryHub } from '../../core/src/network/memory-hub.ts'
import { buildAgent, count, i32 } from '../../core/src/worker/fixtures/wasm.ts'
import { nodeClock, nodeCrypto, nodeThreads, openFiles } from '../src/index.ts'

const AGENTS = Number(process.env.IGOR_BENCH_AGENTS ?? 10_000)
const SECONDS = 10
const TICKS = 500_000
const ROUNDS = 7
/** Agents that always have more to do. */
const BUSY = 16
/** What is promised. */
const TICK_US = 1.5
const CORE_PERCENT = 60
const AGENT_KB = 100
const DURABLE_PER_SECOND = 20_000

const COUNTER_AT = 8
const clock: Clock = nodeClock()
const crypto = nodeCrypto()
const trivial = (answer: number): Uint8Array => buildAgent({ memory: 1, tick: [...count(COUNTER_AT), ...i32(answer)] })

/** Microseconds of one tick, in batches of a real worker with everything on. */
const ticks = async (): Promise<number[]> => {
  const executor = createExecutor(nodeThreads(), clock)
  const limits = { maxMemoryBytes: 65_536, granted: [] }
  await executor.load('trivial', async () => trivial(1), limits)
  const terms = { time: 1n, root: new Uint8Array(32), messages: [], limit: 10n ** 8n, price: 0n, balance: 0n, receipts: [] }
  const { placed } = await executor.place({
    module: 'trivial',
    ...limits,
    init: new Uint8Array(),
    tickMs: 1000,
    attempt: { ...terms, tick: 0 },
  })
  const times: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const outcome = await executor.run(placed, { ...terms, tick: 1, maxTicks: TICKS, maxMs: 10_000 })
    if (outcome.kind !== 'ran') throw new Error(outcome.message)
    times.push((1000 * (outcome.result.endedAt - outcome.result.startedAt)) / outcome.result.ticks)
  }
  await executor.close()
  return times.slice(1)
}

/** Microseconds of the export alone, as it was compiled. */
const bareCalls = async (): Promise<number[]> => {
  const { instance } = await WebAssembly.instantiate(trivial(1) as Uint8Array<ArrayBuffer>)
  const call = instance.exports.agent_tick as () => number
  const times: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const from = performance.now()
    for (let i = 0; i < TICKS; i++) call()
    times.push((1000 * (performance.now() - from)) / TICKS)
  }
  return times.slice(1)
}

const startNode = async (folder: string) => {
  const store = await openLogStore(await openFiles(folder), { random: (length) => crypto.random(length) })
  const hub = createMemoryHub()
  const platform = { clock, crypto, store, threads: nodeThreads(), network: async (seed: Uint8Array) => hub.join(seed) }
  return createCoreNode(platform, { kind: 'server', policy: { maxAgents: 1_000_000 } })
}

const seconds = (n: number): Promise<void> => clock.sleep(n * 1000)
const memory = (): number => {
  globalThis.gc?.()
  const { heapUsed, external, arrayBuffers } = process.memoryUsage()
  return heapUsed + external + arrayBuffers
}

const folder = await mkdtemp(join(tmpdir(), 'igor-bench-'))
try {
  const [bare, tick] = [await bareCalls(), await ticks()]
  report({ what: 'bare: the export called', value: median(bare), unit: 'us', note: spread(bare) })
  report({ what: 'a tick within a batch, all on', value: median(tick), unit: 'us', note: spread(tick), atMost: TICK_US })

  const node = await startNode(join(folder, 'many'))
  const before = memory()
  const module = trivial(0)
  const agents = []
  for (let i = 0; i < AGENTS; i++) {
    agents.push(node.spawn({ module, manifest: { tick_interval_ms: 1000 }, name: `agent ${i}` }))
    if (i % 100 === 99) await Promise.all(agents)
  }
  const all = await Promise.all(agents)
  await seconds(5)
  const [cpu, from, tickOf] = [
    process.cpuUsage(),
    clock.elapsed(),
    (): number => all.reduce((sum, { status }) => sum + status.tick, 0),
  ]
  const done = tickOf()
  const paused = clock.elapsed() - from
  await seconds(SECONDS)
  const used = process.cpuUsage(cpu)
  const wall = clock.elapsed() - from
  const made = tickOf() - done
  const percent = (used.user + used.system) / 10 / wall
  report({
    what: `${AGENTS} agents at 1 Hz: of one core`,
    value: percent,
    unit: '%',
    atMost: CORE_PERCENT,
    note: `${Math.round((1000 * made) / (wall - paused))} ticks a second`,
  })
  const each = (memory() - before) / AGENTS / 1024 - 64
  report({ what: '  beside its 64 KiB each (this thread)', value: each, unit: 'KB', atMost: AGENT_KB })
  await node.stop()

  const busy = await startNode(join(folder, 'busy'))
  const workers = await Promise.all(
    Array.from({ length: BUSY }, (_, i) =>
      busy.spawn({ module: trivial(1), manifest: { tick_interval_ms: 10 }, name: `busy ${i}` }),
    ),
  )
  await seconds(2)
  const ticked = (): number => workers.reduce((sum, { status }) => sum + status.tick, 0)
  const [first, since] = [ticked(), clock.elapsed()]
  await seconds(SECONDS)
  const perTick = (1_000_000 * (clock.elapsed() - since)) / (ticked() - first)
  report({
    what: `durable ticks of ${BUSY} busy agents`,
    value: perTick / 1000,
    unit: 'us each',
    atMost: 1_000_000 / DURABLE_PER_SECOND,
    note: `${Math.round(1_000_000_000 / perTick)} a second`,
  })
  await busy.stop()
} finally {
  await rm(folder, { recursive: true, force: true })
}
