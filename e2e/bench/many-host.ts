/**
 * The page of a bench: many agents in one tab, and ticks as fast as IndexedDB makes them durable.
 *
 * @module
 */
import { createNode } from '@igor/browser'
import { openIdbStore } from '../../packages/browser/src/store.ts'
import { journalTicks } from '../../packages/nodejs/bench/journaling.ts'

declare global {
  /** Spawns so many agents that tick once a second. */
  var spawnMany: (count: number, wasm: string) => Promise<void>
  /** Ticks of all of them. */
  var ticksOfMany: () => number
  var journalInTab: (agents: number, ms: number) => Promise<number>
}

const AT_ONCE = 20

globalThis.spawnMany = async (count, wasm) => {
  const module = Uint8Array.from(atob(wasm), (char) => char.charCodeAt(0))
  const node = await createNode({ workerUrl: '/worker.js', clockWorkerUrl: '/clock-worker.js', policy: { maxAgents: 2 * count } })
  let left = count
  const lane = async (): Promise<void> => {
    while (left-- > 0) await node.spawn({ module, manifest: { tick_interval_ms: 1000 } })
  }
  await Promise.all(Array.from({ length: AT_ONCE }, lane))
  globalThis.ticksOfMany = () => node.agents().reduce((sum, { tick }) => sum + tick, 0)
}

globalThis.journalInTab = async (agents, ms) => {
  const store = await openIdbStore('bench')
  const rate = await journalTicks(store, agents, ms)
  await store.close()
  return rate
}
