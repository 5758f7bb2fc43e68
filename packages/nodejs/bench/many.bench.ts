/**
 * Ten thousand agents in one process that tick once a second: what they take of a core and of memory, and what it does
 * to their punctuality when one in a hundred never ends a tick by itself.
 *
 * @module
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Agent, createCoreNode, createMemoryHub, openLogStore } from '@igor/core'
import { quantile, report } from '../../../scripts/bench-report.mjs'
import { buildAgent } from '../../core/src/worker/fixtures/wasm.ts'
import { nodeClock, nodeCrypto, nodeThreads, openFiles } from '../src/index.ts'
import { trivial } from './trivial.ts'

const AGENTS = Number(process.env.IGOR_BENCH_AGENTS ?? 10_000)
const AT_ONCE = 100
const SECONDS = 10
/** What is promised. */
const CORE_PERCENT = 60
const AGENT_KB = 100
const LATE_TIMES = 2
/** One in so many runs away, each tick up to its fuel. */
const RUNAWAY = 100
const RUNAWAY_FUEL = 1_000_000

const clock = nodeClock()
const crypto = nodeCrypto()
const folder = await mkdtemp(join(tmpdir(), 'igor-bench-'))
const store = await openLogStore(await openFiles(folder), { random: (length) => crypto.random(length) })
const hub = createMemoryHub()
const platform = { clock, crypto, store, threads: nodeThreads(), network: async (seed: Uint8Array) => hub.join(seed) }
const node = await createCoreNode(platform, { kind: 'server', policy: { maxAgents: 2 * AGENTS } })

const seconds = (n: number): Promise<void> => clock.sleep(n * 1000)
const spawnMany = async (count: number, module: Uint8Array, limits: object = {}): Promise<Agent[]> => {
  const agents: Agent[] = []
  const lane = async (): Promise<void> => {
    while (agents.length < count) {
      const slot = agents.length++
      agents[slot] = await node.spawn({ module, manifest: { tick_interval_ms: 1000, resource_limits: limits } })
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, lane))
  return agents
}
const ticksOf = (agents: readonly Agent[]): number => agents.reduce((sum, { status }) => sum + status.tick, 0)
const memory = (): number => {
  globalThis.gc?.()
  return process.memoryUsage().rss
}

/** How late ticks of some agents are seen, ms: by how far apart they are seen beyond a second. */
const lateness = async (agents: readonly Agent[]): Promise<number[]> => {
  const late: number[] = []
  const some = agents.filter((_, i) => i % Math.ceil(agents.length / 100) === 0)
  const last = some.map(({ status }) => ({ tick: status.tick, at: clock.elapsed() }))
  const end = clock.elapsed() + SECONDS * 1000
  while (clock.elapsed() < end) {
    for (const [i, agent] of some.entries()) {
      const { tick } = agent.status
      const before = last[i]
      if (before === undefined || tick === before.tick) continue
      const at = clock.elapsed()
      late.push(Math.max(0, at - before.at - 1000 * (tick - before.tick)))
      last[i] = { tick, at }
    }
    await clock.sleep(5)
  }
  return late
}

try {
  await spawnMany(AT_ONCE, trivial(0))
  const before = memory()
  const agents = await spawnMany(AGENTS, trivial(0))
  await seconds(5)
  const [cpu, from, done] = [process.cpuUsage(), clock.elapsed(), ticksOf(agents)]
  await seconds(SECONDS)
  const used = process.cpuUsage(cpu)
  const wall = clock.elapsed() - from
  const made = ticksOf(agents) - done
  const each = (used.user + used.system) / made
  report({
    what: `${AGENTS} agents at 1 Hz: of one core`,
    value: (each * AGENTS) / 10_000,
    unit: '%',
    atMost: CORE_PERCENT,
    note: `${each.toFixed(1)} us of processor a tick, all threads; ${Math.round((1000 * made) / wall)} ticks a second came to pass`,
  })
  const kb = (memory() - before) / AGENTS / 1024 - 64
  report({ what: '  resident memory of each, beside its 64 KiB', value: kb, unit: 'KB', atMost: AGENT_KB })

  const calm = quantile(await lateness(agents), 0.99)
  await spawnMany(AGENTS / RUNAWAY, buildAgent({ memory: 1, tick: [0x03, 0x40, 0x0c, 0, 0x0b, 0x41, 0] }), {
    max_fuel_per_tick: RUNAWAY_FUEL,
  })
  const wild = quantile(await lateness(agents), 0.99)
  report({ what: 'p99 of a tick’s delay, all well', value: calm, unit: 'ms' })
  report({
    what: `  with ${AGENTS / RUNAWAY} that never end a tick, of that`,
    value: wild / calm,
    unit: 'x',
    atMost: LATE_TIMES,
    note: `${wild.toFixed(1)} ms`,
  })
} finally {
  await node.stop()
  await rm(folder, { recursive: true, force: true })
}
