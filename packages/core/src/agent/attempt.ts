/**
 * One agent in its worker: brought to the present when it is needed, tried, and dropped when it was lost.
 *
 * @module
 */
import { type Header, type JournalEntry, MAX_FAILURE, plainText, type RunEntry, type UpgradeEntry } from '@igor/lineage'
import { sameVersion } from '@igor/sandbox'
import type { CID } from 'multiformats/cid'
import { IgorError } from '../errors.ts'
import type { Executor, ModuleLimits, Placed, RunOutcome } from '../execution/executor.ts'
import { granted, type Manifest } from '../manifest.ts'
import { checkVersion } from '../versions.ts'
import type { Delta, JobResult } from '../worker/protocol.ts'
import type { Context } from './context.ts'
import type { HostPart } from './host-part.ts'
import type { Ledger } from './ledger.ts'
import { readModule } from './modules.ts'
import { createRoots, readImage, replayEntries } from './present.ts'
import { createReceipts } from './receipts.ts'

/** Ticks that one batch may run when the agent asks for more at once … */
const BATCH_TICKS = 4096
/** … and for how long: what was done is committed at least this often. */
const BATCH_MS = 50
/** The least of it: where several ask for more at once, each has shorter turns, so that those who tick now and then wait little. */
const SHORT_BATCH_MS = 4
/** Hung workers in a row after which an agent is put aside at this node. */
const MAX_HANGS = 3
/** The most that a tick may use here, whatever its manifest asks for: one nominal second, in which its neighbours wait. */
const MAX_TICK_FUEL = 1_000_000_000n
/** Start function, constructors and `agent_init` come once in a life: they may take so many ticks' fuel. */
const START_TICKS = 10n
/**
 * No mix of instructions takes more than eight times as long as another, but for loads that miss every cache: who does
 * nothing else for a whole nominal second counts as hung, too.
 */
const SLOWEST = 8
const FUEL_PER_MS = 1_000_000

/** Wall-clock milliseconds after which a tick counts as hung: fuel ends it long before. */
export const hangMs = ({ limits }: Manifest): number =>
  Math.max(limits.maxTickMs, (SLOWEST * Number(tickFuel(limits.maxFuelPerTick))) / FUEL_PER_MS)

const limitsOf = (manifest: Manifest): ModuleLimits => ({
  maxMemoryBytes: manifest.limits.maxMemoryBytes,
  granted: granted(manifest),
})

const tickFuel = (asked: number): bigint => {
  const fuel = BigInt(asked)
  return fuel < MAX_TICK_FUEL ? fuel : MAX_TICK_FUEL
}

/** @param payable what the budget pays for; undefined: all */
export const startFuel = ({ limits }: Manifest, payable: bigint | undefined): bigint => {
  const fuel = START_TICKS * tickFuel(limits.maxFuelPerTick)
  return payable !== undefined && payable < fuel ? payable : fuel
}

export interface Tried {
  readonly result: JobResult
  readonly entry: RunEntry
  /** By the clock's `elapsed`. */
  readonly ended: number
}

export interface Runner {
  /** Why this node does not run it for now. */
  readonly aside: string | undefined
  /** Hung workers in a row. */
  readonly hangs: number
  /**
   * Ticks. Undefined: this node's fault, there is no trace of it.
   * @param state whether the result has to have a delta
   */
  attempt(host: HostPart, state: boolean): Promise<Tried | undefined>
  /** What changed since the last state. @throws IgorError HOST_FAULT */
  delta(): Promise<Delta>
  /** Goes on with another module, or undoes the attempt. @throws IgorError HOST_FAULT */
  upgrade(host: HostPart, module: CID): Promise<{ readonly entry: UpgradeEntry; readonly delta: Delta }>
  /** Gives up its worker's copy: the next one is made from what is committed. */
  unplace(): void
  /** Tries again what was put aside. */
  forgive(): void
}

export interface RunnerOptions {
  readonly context: Context
  readonly ledger: Ledger
  readonly executor: Executor
  readonly manifest: Manifest
  readonly init: Uint8Array
  readonly placed?: Placed
  readonly onbegin?: () => void
  readonly onfirst?: (at: number) => void
}

export const createRunner = (options: RunnerOptions): Runner => {
  const { context, ledger, executor, manifest } = options
  const { clock } = context
  const roots = createRoots(context)
  const receipts = createReceipts()
  let { placed, onbegin, onfirst } = options
  let placedBy = ledger.version
  let aside: string | undefined
  let hangs = 0
  let alone = false
  let batchMs = BATCH_MS

  const ensurePlaced = async (): Promise<Placed> => {
    const { version } = ledger
    if (placed !== undefined && sameVersion(placedBy, version)) return placed
    unplace()
    checkVersion(version, `what ${ledger.agent} did since its last state`)
    const { module } = ledger.chain
    const limits = { ...limitsOf(manifest), version }
    await executor
      .load(module.toString(), () => readModule(context.store, module), limits)
      .catch((cause) => {
        if (!(cause instanceof IgorError) || cause.code !== 'STORE_DAMAGED') throw cause
        // Nothing of the agent's own is in doubt: with its module it can go on, here or elsewhere.
        throw new IgorError('HOST_FAULT', `the module of ${ledger.agent} is damaged in the store of this node`, { cause })
      })
    const { current } = ledger
    const { placed: at } = await executor.place({
      module: module.toString(),
      ...limits,
      init: options.init,
      tickMs: hangMs(manifest),
      image: await readImage(ledger),
    })
    const entries: readonly JournalEntry[] = ledger.entries()
    try {
      if (current !== undefined)
        await replayEntries(executor, at, ledger.agent, current.host, entries, (epoch) => roots(ledger.records, epoch))
    } catch (error) {
      executor.drop(at)
      throw error
    }
    placed = at
    placedBy = version
    return at
  }

  const unplace = (): void => {
    if (placed !== undefined) executor.drop(placed)
    placed = undefined
  }

  const lost = (outcome: Extract<RunOutcome, { kind: 'lost' }>): void => {
    placed = undefined
    alone = outcome.suspect
    if (outcome.reason === 'hung') hangs++
    context.report({ level: 'warn', code: 'WORKER_LOST', agent: ledger.agent, message: outcome.message })
    if (hangs >= MAX_HANGS)
      aside = `its tick hung its worker ${hangs} times, past ${hangMs(manifest)} ms: put aside at this node; resume it to try again, or move it`
  }

  const headerOf = (host: HostPart): Header => {
    const now = clock.now()
    const { payable, meter, chain } = ledger
    const fuel = tickFuel(manifest.limits.maxFuelPerTick)
    return {
      tick: host.tick + 1,
      attempt: host.failures,
      epoch: chain.epoch,
      time: now > host.time ? now : host.time,
      limit: payable !== undefined && payable < fuel ? payable : fuel,
      price: chain.price,
      balance: meter.budget,
      receipts: manifest.capabilities.has('wallet') ? receipts(ledger.records) : [],
    }
  }

  const delta = async (): Promise<Delta> => {
    const at = await ensurePlaced()
    const outcome = await executor.run(at, {
      ...{ tick: 0, time: 0n, limit: 0n, price: 0n, balance: 0n, receipts: [], root: new Uint8Array(32), messages: [] },
      maxTicks: 0,
      maxMs: 0,
      state: true,
    })
    const changed = outcome.kind === 'ran' ? outcome.result.delta : undefined
    if (changed !== undefined) return changed
    placed = undefined
    throw new IgorError('HOST_FAULT', outcome.kind === 'lost' ? outcome.message : 'the worker did not say what changed')
  }

  return {
    get aside() {
      return aside
    },
    get hangs() {
      return hangs
    },
    attempt: async (host, state) => {
      const at = await ensurePlaced()
      const header = headerOf(host)
      const root = await roots(ledger.records, header.epoch)
      const { payable } = ledger
      const posted = clock.elapsed()
      const { tick, time, limit, price, balance } = header
      const running = executor.run(at, {
        ...{ tick, time, limit, price, balance, receipts: header.receipts, root },
        messages: host.inbox,
        maxTicks: BATCH_TICKS,
        maxMs: batchMs,
        ...(payable === undefined ? {} : { allowance: payable }),
        state,
        alone,
      })
      onbegin?.()
      onbegin = undefined
      const outcome = await running
      const back = clock.elapsed()
      // A thread's clock may differ from this one; what it says lies between question and answer.
      const stamp = (one: number): number => Math.min(Math.max(one, posted), back)
      onfirst?.(outcome.kind === 'ran' ? stamp(outcome.result.startedAt) : posted)
      onfirst = undefined
      if (outcome.kind === 'lost') {
        lost(outcome)
        return undefined
      }
      hangs = 0
      alone = false
      const { result } = outcome
      // How long it waited for its turn tells how many others take theirs.
      const waited = back - posted - (result.endedAt - result.startedAt)
      batchMs = waited > batchMs ? Math.max(SHORT_BATCH_MS, batchMs / 2) : Math.min(BATCH_MS, batchMs * 2)
      const { ticks, fuel, taken, trap } = result
      const failed = trap === undefined ? null : plainText(trap, MAX_FAILURE)
      return { result, entry: { kind: 'run', header, ticks, fuel, taken, failed }, ended: stamp(result.endedAt) }
    },
    delta,
    upgrade: async (host, module) => {
      const at = await ensurePlaced()
      const { payable } = ledger
      const header = { ...headerOf(host), limit: startFuel(manifest, payable) }
      const { tick, time, limit, price, balance } = header
      const root = await roots(ledger.records, header.epoch)
      const done = await executor.upgrade(at, {
        module: module.toString(),
        ...limitsOf(manifest),
        version: ledger.version,
        init: options.init,
        attempt: { tick, time, limit, price, balance, receipts: header.receipts, root, messages: [] },
      })
      if ('failed' in done) {
        const failed = plainText(done.failed, MAX_FAILURE)
        return { entry: { kind: 'upgrade', header, fuel: 0n, failed }, delta: await delta() }
      }
      const { result } = done
      if (result.delta === undefined) throw new IgorError('HOST_FAULT', 'the worker did not say what changed')
      return { entry: { kind: 'upgrade', header, fuel: result.fuel, failed: null }, delta: result.delta }
    },
    unplace,
    forgive: () => {
      aside = undefined
      hangs = 0
    },
  }
}
