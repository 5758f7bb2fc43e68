/**
 * What it takes to commit a tick of a 16 MiB agent that changed one chunk, beside one that changed all: from the
 * tick's end in the worker until the checkpoint is durable in the real store.
 *
 * @module
 */
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { didOf, publicKeyOf, signerOfSeed } from '@igor/lineage'
import { median, report, spread } from '../../../scripts/bench-report.mjs'
import { bear } from '../../core/src/agent/birth.ts'
import { emptyHostPart, type HostPart } from '../../core/src/agent/host-part.ts'
import { moduleRows } from '../../core/src/agent/modules.ts'
import { createExecutor } from '../../core/src/execution/pool.ts'
import { parseManifest } from '../../core/src/manifest.ts'
import { nodeThreads } from '../src/index.ts'
import { benchContext } from './context.ts'

const MIB = 1024 * 1024
const TIMES = 20
const WARM_UP = 5
/** A chunk is 1/4096 of it. */
const TARGET_PERCENT = 5

const { context, folder, close } = await benchContext()
const { clock, crypto } = context

const executor = createExecutor(nodeThreads(), clock)
const wasm = await readFile(new URL('../../../agents/ballast/ballast.wasm', import.meta.url))
const manifest = parseManifest({
  capabilities: { log: { version: 1 } },
  resource_limits: { max_memory_bytes: 64 * MIB },
})

const header = { attempt: 0, epoch: 1, limit: 10n ** 9n, price: 0n, balance: 0n, receipts: [] }
const terms = { ...header, messages: [] }

/** Milliseconds of each checkpoint of an agent that changes so many chunks a tick. */
const checkpoints = async (chunks: number): Promise<number[]> => {
  const { cid, rows } = moduleRows(wasm)
  const limits = { maxMemoryBytes: manifest.limits.maxMemoryBytes, granted: ['log'] }
  const { instrument } = await executor.load(cid.toString(), async () => wasm, limits)
  const init = new TextEncoder().encode(`16 ${chunks}`)
  const nonce = crypto.random(32)
  const { placed, result } = await executor.place({
    module: cid.toString(),
    ...limits,
    init,
    tickMs: 100,
    attempt: { ...terms, tick: 0, time: clock.now(), root: nonce },
  })
  if (result?.delta === undefined) throw new Error('it was not spawned')
  const agentSeed = crypto.random(32)
  const ledger = await bear(context, {
    agent: didOf(publicKeyOf(agentSeed)),
    nonce,
    name: 'ballast',
    module: cid,
    moduleRows: rows,
    manifest: manifest.bytes,
    init,
    budget: 0n,
    witness: null,
    sign: signerOfSeed(agentSeed),
    delta: result.delta,
    host: emptyHostPart,
    instrument,
    start: { kind: 'start', header: { ...header, tick: 0, time: 1n }, fuel: result.fuel },
  })
  const times: number[] = []
  for (let tick = 1; tick <= TIMES + WARM_UP; tick++) {
    const time = clock.now()
    const spec = { ...terms, tick, time, root: nonce, maxTicks: 1, maxMs: 50, state: true }
    const outcome = await executor.run(placed, spec)
    if (outcome.kind !== 'ran') throw new Error(outcome.message)
    const host: HostPart = { ...emptyHostPart, tick }
    const { ticks, fuel, taken, delta } = outcome.result
    if (delta === undefined) throw new Error('no state was made')
    const entry = { kind: 'run', header: { ...header, tick, time }, ticks, fuel, taken, failed: null } as const
    await ledger.checkpoint({ delta, host, orders: [], entries: [entry] })
    if (tick > WARM_UP) times.push(clock.elapsed() - outcome.result.endedAt)
  }
  executor.drop(placed)
  return times
}

/** The same bytes, written and synced by themselves. */
const bareWrite = async (): Promise<number[]> => {
  const bytes = crypto.random(16 * MIB)
  const times: number[] = []
  for (let i = 0; i < TIMES; i++) {
    const file = await open(join(folder, 'bare'), 'w')
    const from = clock.elapsed()
    await file.write(bytes)
    await file.datasync()
    times.push(clock.elapsed() - from)
    await file.close()
  }
  return times
}

try {
  const whole = await checkpoints(4096)
  const one = await checkpoints(1)
  const bare = await bareWrite()
  report({ what: 'bare: 16 MiB written and synced', value: median(bare), unit: 'ms', note: spread(bare) })
  report({ what: 'checkpoint of 16 MiB, all changed', value: median(whole), unit: 'ms', note: spread(whole) })
  report({ what: 'checkpoint of 16 MiB, one chunk changed', value: median(one), unit: 'ms', note: spread(one) })
  report({ what: '  of all changed', value: (100 * median(one)) / median(whole), unit: '%', atMost: TARGET_PERCENT })
} finally {
  await executor.close()
  await close()
}
