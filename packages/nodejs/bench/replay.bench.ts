/**
 * How quickly a history is judged, beside how quickly it was made: ticks of an agent that does little, each journaled
 * durably as at one a second, and ticks that compute. Both in the same run, by turns, each in a worker of its own.
 *
 * @module
 */
import { didOf, publicKeyOf, signerOfSeed } from '@igor/lineage'
import { median, report } from '../../../scripts/bench-report.mjs'
import { advanceHost } from '../../core/src/agent/advance.ts'
import { createRunner } from '../../core/src/agent/attempt.ts'
import { bear } from '../../core/src/agent/birth.ts'
import { hexOf } from '../../core/src/agent/blocks.ts'
import { emptyHostPart } from '../../core/src/agent/host-part.ts'
import type { Ledger } from '../../core/src/agent/ledger.ts'
import { moduleRows } from '../../core/src/agent/modules.ts'
import { createExecutor } from '../../core/src/execution/pool.ts'
import { keys } from '../../core/src/keys.ts'
import { parseManifest } from '../../core/src/manifest.ts'
import { replay } from '../../core/src/replay/replay.ts'
import { buildAgent, type Code, count, i32, less, load, store } from '../../core/src/worker/fixtures/wasm.ts'
import { nodeThreads } from '../src/index.ts'
import { benchContext } from './context.ts'

const ROUNDS = 5
/** Five times the speed, and eight tenths of it. */
const TARGET_LIGHT = 20
const TARGET_HEAVY = 125

const { context, close } = await benchContext()
const { clock, crypto, store: disk } = context

const host = createExecutor(nodeThreads(), clock, { maxThreads: 1 })
const judge = createExecutor(nodeThreads(), clock, { maxThreads: 1 })
const manifest = parseManifest({ resource_limits: { max_fuel_per_tick: 1_000_000_000 } })
const init = new Uint8Array()

/** Counts in memory, so often. */
const counting = (times: number): Code => [
  ...store(8, i32(0)),
  ...[0x03, 0x40, ...count(8), ...less(load(8), i32(times)), 0x0d, 0, 0x0b],
]

interface Life {
  readonly ledger: Ledger
  readonly ms: number
}

/** Lives so many ticks, each one durable before the next, and ends in a state. */
const live = async (wasm: Uint8Array, ticks: number): Promise<Life> => {
  const { cid, rows } = moduleRows(wasm)
  const limits = { maxMemoryBytes: manifest.limits.maxMemoryBytes, granted: [] }
  const { instrument } = await host.load(cid.toString(), async () => wasm, limits)
  const nonce = crypto.random(32)
  const time = clock.now()
  const terms = { tick: 0, time, limit: 10n ** 9n, price: 0n, balance: 0n, receipts: [] }
  const attempt = { ...terms, root: nonce, messages: [] }
  const { placed, result } = await host.place({ module: cid.toString(), ...limits, init, tickMs: 8000, attempt })
  if (result?.delta === undefined) throw new Error('it was not spawned')
  const agentSeed = crypto.random(32)
  const ledger = await bear(context, {
    agent: didOf(publicKeyOf(agentSeed)),
    nonce,
    name: 'judged',
    module: cid,
    moduleRows: rows,
    manifest: manifest.bytes,
    init,
    budget: 0n,
    witness: null,
    sign: signerOfSeed(agentSeed),
    delta: result.delta,
    host: { ...emptyHostPart, time },
    instrument,
    start: { kind: 'start', header: { ...terms, attempt: 0, epoch: 1 }, fuel: result.fuel },
  })
  const runner = createRunner({ context, ledger, executor: host, manifest, init, placed })
  const from = clock.elapsed()
  let part = ledger.present ?? emptyHostPart
  for (let tick = 1; tick <= ticks; tick++) {
    const ran = await runner.attempt(part, false)
    if (ran === undefined || ran.entry.failed !== null) throw new Error('a tick failed')
    await ledger.commit([ran.entry], true)
    part = advanceHost(part, ran.entry)
  }
  await ledger.checkpoint({ delta: await runner.delta(), host: part, orders: [], entries: [] })
  const ms = clock.elapsed() - from
  runner.unplace()
  return { ledger, ms }
}

const judged = async ({ chain, records, agent }: Ledger, ticks: number): Promise<number> => {
  const from = clock.elapsed()
  const found = await replay(
    { chain, records },
    (cids) =>
      Promise.all(
        cids.map(
          async (cid) =>
            (await disk.get(keys.block(agent, hexOf(cid.multihash.digest)))) ?? disk.get(keys.module(cid.toString())),
        ),
      ),
    { executor: judge, crypto },
  )
  if (found.verdict !== 'consistent' || found.ticks !== ticks) throw new Error(`not consistent: ${JSON.stringify(found.doubts)}`)
  return clock.elapsed() - from
}

const compare = async (wasm: Uint8Array, ticks: number): Promise<{ percent: number; made: number; judged: number }> => {
  const made: number[] = []
  const again: number[] = []
  for (let round = 0; round <= ROUNDS; round++) {
    const { ledger, ms } = await live(wasm, ticks)
    const took = await judged(ledger, ticks)
    // The first one compiles.
    if (round === 0) continue
    made.push(ms)
    again.push(took)
  }
  return {
    percent: median(made.map((ms, i) => (100 * (again[i] ?? 0)) / ms)),
    made: median(made) / ticks,
    judged: median(again) / ticks,
  }
}

try {
  const light = await compare(buildAgent({ memory: 1, tick: [...count(16), ...i32(0)] }), 1000)
  const us = (ms: number): string => `${(ms * 1000).toFixed(0)} us`
  report({
    what: 'judging ticks that do little, of running them first',
    value: light.percent,
    unit: '%',
    atMost: TARGET_LIGHT,
    note: `${us(light.made)} a tick to run and journal durably, ${us(light.judged)} to judge: at one a second ${Math.round(1000 / light.judged)} times real time`,
  })
  const heavy = await compare(buildAgent({ memory: 1, tick: [...counting(10_000_000), ...i32(0)] }), 10)
  report({
    what: 'judging ticks that compute, of running them first',
    value: heavy.percent,
    unit: '%',
    atMost: TARGET_HEAVY,
    note: `${heavy.made.toFixed(1)} ms a tick to run, ${heavy.judged.toFixed(1)} ms to judge`,
  })
} finally {
  await host.close()
  await judge.close()
  await close()
}
