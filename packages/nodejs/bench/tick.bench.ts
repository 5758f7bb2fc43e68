/**
 * One tick of an agent that does next to nothing, within a batch, with everything on: fuel, journal entry, what a trap goes
 * back to. Beside it the same export called bare, and called through Extism and ao-loader, where these are installed.
 *
 * @module
 */
import { median, report, spread } from '../../../scripts/bench-report.mjs'
import { openJournal } from '../../core/src/agent/journal.ts'
import { createExecutor } from '../../core/src/execution/pool.ts'
import { nodeClock, nodeThreads } from '../src/index.ts'
import { callAo, callExtism, INSTALL } from './others.ts'
import { trivial } from './trivial.ts'

/** As a node's batches are. */
const BATCH_TICKS = 4096
const BATCHES = 100
const CALLS = 500_000
const ROUNDS = 7
/** What is promised, microseconds. */
const TICK_US = 1.5

const clock = nodeClock()
const limits = { maxMemoryBytes: 65_536, granted: [] }
const terms = { time: 1n, root: new Uint8Array(32), messages: [], limit: 10n ** 8n, price: 0n, balance: 0n, receipts: [] }

/** Microseconds of processor, both threads', for a tick: in batches as a node makes them, each journaled. */
const worker = async () => {
  const executor = createExecutor(nodeThreads(), clock)
  await executor.load('trivial', async () => trivial(1), limits)
  const attempt = { ...terms, tick: 0 }
  const place = { module: 'trivial', ...limits, init: new Uint8Array(), tickMs: 1000, attempt }
  const { placed } = await executor.place(place)
  const journal = openJournal('did:key:trivial', { epoch: 1, seq: 1 })
  let tick = 1
  return {
    round: async (): Promise<number> => {
      const before = process.cpuUsage()
      for (const end = tick + BATCHES * BATCH_TICKS; tick < end; ) {
        const outcome = await executor.run(placed, { ...terms, tick, maxTicks: BATCH_TICKS, maxMs: 10_000 })
        if (outcome.kind !== 'ran') throw new Error(outcome.message)
        const { ticks, fuel, taken } = outcome.result
        const header = { ...terms, tick, attempt: 0, epoch: 1 }
        journal.append([{ kind: 'run', header, ticks, fuel, taken, failed: null }]).keep(true)
        tick += ticks
      }
      const { user, system } = process.cpuUsage(before)
      return (user + system) / (BATCHES * BATCH_TICKS)
    },
    close: () => executor.close(),
  }
}

const bare = async (): Promise<() => number> => {
  const { instance } = await WebAssembly.instantiate(trivial(1) as Uint8Array<ArrayBuffer>)
  const call = instance.exports.agent_tick as () => number
  return () => {
    const from = performance.now()
    for (let i = 0; i < CALLS; i++) call()
    return (1000 * (performance.now() - from)) / CALLS
  }
}

const [ours, call] = [await worker(), await bare()]
const ticks: number[] = []
const calls: number[] = []
// The first round compiles.
for (let round = 0; round <= ROUNDS; round++) {
  const [tick, one] = [await ours.round(), call()]
  if (round === 0) continue
  ticks.push(tick)
  calls.push(one)
}
await ours.close()
report({ what: 'bare: the export called', value: 1000 * median(calls), unit: 'ns' })
report({
  what: 'a tick within a batch, everything on',
  value: median(ticks),
  unit: 'us',
  note: `${Math.round(1_000_000 / median(ticks))} a second; ${spread(ticks)}`,
  atMost: TICK_US,
})
const others = [
  ['Extism', await callExtism()],
  ['ao-loader', await callAo()],
] as const
for (const [name, us] of others) {
  if (us === undefined) console.error(`${name} is not installed, and left out of the comparison: ${INSTALL}`)
  else
    report({ what: `  the same through ${name}`, value: us, unit: 'us', note: `${Math.round(us / median(ticks))} times a tick` })
}
