/**
 * What ten thousand agents that tick once a second take, per agent and tick, split by part:
 * `node --conditions=source packages/nodejs/bench/split-many.ts [agents] [seconds]`.
 *
 * @module
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createCoreNode, createMemoryHub, openLogStore } from '@igor/core'
import { buildAgent, count, i32 } from '../../core/src/worker/fixtures/wasm.ts'
import { nodeClock, nodeCrypto, nodeThreads, openFiles } from '../src/index.ts'
import { startSplit } from './split.ts'

const AGENTS = Number(process.argv[2] ?? 10_000)
const SECONDS = Number(process.argv[3] ?? 10)
/** Smaller parts are not worth a line. */
const LEAST_US = 0.3

const clock = nodeClock()
const crypto = nodeCrypto()
const folder = await mkdtemp(join(tmpdir(), 'igor-bench-'))
try {
  const store = await openLogStore(await openFiles(folder), { random: (length) => crypto.random(length) })
  const hub = createMemoryHub()
  const threads = nodeThreads(new URL('./split-worker.ts', import.meta.url))
  const node = await createCoreNode(
    { clock, crypto, store, threads, network: async (seed: Uint8Array) => hub.join(seed) },
    { kind: 'server', policy: { maxAgents: AGENTS } },
  )
  const module = buildAgent({ memory: 1, tick: [...count(8), ...i32(0)] })
  const started = clock.elapsed()
  const agents = []
  for (let i = 0; i < AGENTS; i++) {
    agents.push(node.spawn({ module, manifest: { tick_interval_ms: 1000 }, name: `agent ${i}` }))
    if (i % 100 === 99) await Promise.all(agents.slice(-100))
  }
  const all = await Promise.all(agents)
  console.log(`spawned in ${((clock.elapsed() - started) / AGENTS).toFixed(2)} ms each`)
  await clock.sleep(5000)
  const tickOf = (): number => all.reduce((sum, { status }) => sum + status.tick, 0)
  const done = tickOf()
  const from = clock.elapsed()
  const stop = await startSplit(threads.parallelism)
  await clock.sleep(SECONDS * 1000)
  const { shares, total } = await stop()
  const wall = clock.elapsed() - from
  const made = tickOf() - done
  console.log(
    `${made} ticks in ${wall.toFixed(0)} ms (${Math.round((made * 1000) / wall)} a second), ${(total / made).toFixed(1)} us of processor each, ${(total / 10 / wall).toFixed(0)} % of a core, RSS ${Math.round(process.memoryUsage().rss / 2 ** 20)} MiB`,
  )
  const threadsOwn = shares.reduce((sum, { cpu }) => sum + cpu, 0)
  for (const { thread, cpu, parts } of shares) {
    console.log(`${thread}: ${(cpu / made).toFixed(2)} us a tick`)
    for (const [part, share] of parts) {
      const each = (share * cpu) / made
      if (each >= LEAST_US) console.log(`  ${each.toFixed(2).padStart(6)}  ${part}`)
    }
  }
  console.log(`the rest, disk and collecting garbage beside: ${((total - threadsOwn) / made).toFixed(2)} us a tick`)
  await node.stop()
} finally {
  await rm(folder, { recursive: true, force: true })
}
