/**
 * Running one span again, claim by claim.
 *
 * @module
 */
import {
  billedFuel,
  cborCid,
  changedChunks,
  costOf,
  decodeOrder,
  encodeState,
  type JournalEntry,
  type LineageRecord,
  type StartEntry,
  type StateBlock,
  type UpgradeEntry,
} from '@igor/lineage'
import type { Version } from '@igor/sandbox'
import type { CID } from 'multiformats/cid'
import { advanceHost } from '../agent/advance.ts'
import { hangMs } from '../agent/attempt.ts'
import { emptyHostPart, encodeHostPart, type HostPart } from '../agent/host-part.ts'
import { applyOrders, type PendingOrder } from '../agent/orders.ts'
import { ReplayDiffers, replayEntries } from '../agent/present.ts'
import { blockAfter } from '../agent/state.ts'
import type { Executor, ModuleLimits, Placed } from '../execution/executor.ts'
import type { Manifest } from '../manifest.ts'
import type { ReplayClaim, ReplayGuilt } from '../replay-report.ts'
import type { Delta } from '../worker/protocol.ts'
import type { Library } from './blocks.ts'
import { objection } from './claims.ts'
import type { Step } from './spans.ts'

/** Entries and fuel between two looks at the signal. */
const MAX_ENTRIES = 256
const MAX_FUEL = 200_000_000n

/** A signed claim that does not come out again. */
export class Lie extends Error {
  readonly guilt: ReplayGuilt
  constructor(guilt: ReplayGuilt) {
    super(guilt.message)
    this.guilt = guilt
  }
}

/** The agent in a worker, and what is known of it there. */
export interface Standing {
  readonly placed: Placed
  /** By which it runs there. */
  readonly version: Version
  readonly block: StateBlock
  readonly host: HostPart
  /** It ran since `block`. */
  readonly ticked: boolean
}

export interface Stage {
  readonly agent: string
  /** Makes a module known to the executor; what it says goes with each placement. */
  readonly load: (module: CID, version: Version) => Promise<ModuleLimits & { readonly module: string }>
  readonly manifest: Manifest
  readonly init: Uint8Array
  readonly executor: Executor
  readonly library: Library
  readonly records: readonly LineageRecord[]
  readonly rootOf: (records: readonly LineageRecord[], epoch: number) => Promise<Uint8Array>
  /** Rejects as soon as the replay is given up. */
  readonly wait: <T>(task: Promise<T>) => Promise<T>
  readonly onran: (ticks: number, fuel: bigint) => void
}

const accuse = (
  { record, signer }: Step,
  claim: ReplayClaim,
  tick: number,
  agreedTick: number,
  message: string,
  more: Partial<Pick<ReplayGuilt, 'chunk' | 'part'>> = {},
): Lie => {
  const { epoch, seq } = record.body
  return new Lie({ record: record.id.toString(), epoch, seq, signer, claim, tick, agreedTick, message, ...more })
}

/** Puts the agent where a state says it stood. */
export const standAt = async (
  stage: Stage,
  module: CID,
  version: Version,
  block: StateBlock,
  host: HostPart,
): Promise<Standing> => {
  const { executor, library, manifest, init, wait } = stage
  const loaded = await stage.load(module, version)
  const image = await wait(library.image(block, host))
  const { placed } = await wait(executor.place({ ...loaded, init, tickMs: hangMs(manifest), image }))
  return { placed, version, block, host, ticked: false }
}

const EMPTY: StateBlock = { version: 1, memory: { bytes: 0, runs: [] }, globals: [], host: cborCid(new Uint8Array()) }

/** Lets it be born again. */
export const beBorn = async (
  stage: Stage,
  module: CID,
  version: Version,
  step: Step,
  entry: JournalEntry | undefined,
): Promise<Standing> => {
  if (entry === undefined) throw accuse(step, 'journal', 0, 0, 'a life begins with a start, and its journal is empty')
  const wrong = objection(entry, { host: emptyHostPart, since: 0n, first: true, manifest: stage.manifest }, step)
  if (wrong !== undefined) throw accuse(step, 'journal', 0, 0, wrong)
  const { header, fuel } = entry as StartEntry
  const { executor, manifest, init, wait, rootOf, records } = stage
  const loaded = await stage.load(module, version)
  const { tick, time, limit, price, balance, receipts, epoch } = header
  const root = await rootOf(records, epoch)
  const attempt = { tick, time, limit, price, balance, receipts, root, messages: [] }
  const { placed, result } = await wait(executor.place({ ...loaded, init, tickMs: hangMs(manifest), attempt }))
  if (result?.delta === undefined) throw new Error('the worker did not say what it began with')
  if (result.fuel !== fuel)
    throw accuse(step, 'fuel', 0, 0, `its start is said to have used ${fuel} fuel; running it again used ${result.fuel}`)
  const host = { ...emptyHostPart, time, kv: result.delta.kv ?? [] }
  return { placed, version, block: blockAfter(EMPTY, cborCid(encodeHostPart(host)), result.delta), host, ticked: false }
}

/** How the orders that a record names leave the host's part. */
const afterOrders = (host: HostPart, orders: readonly Uint8Array[]): HostPart =>
  orders.reduce((before, bytes) => {
    const { kind, n } = decodeOrder(bytes).order
    // Where it lives and who orders its history are no part of its state.
    if (kind === 'move' || kind === 'witness') return before
    return applyOrders(before, -1, [{ value: { kind: kind as PendingOrder['kind'], n, bytes } }]).host
  }, host)

/** What changed in the worker since it was asked last. */
const deltaOf = async ({ executor, wait }: Stage, placed: Placed): Promise<Delta> => {
  const nothing = { tick: 0, time: 0n, limit: 0n, price: 0n, balance: 0n, receipts: [], root: new Uint8Array(32), messages: [] }
  const outcome = await wait(executor.run(placed, { ...nothing, maxTicks: 0, maxMs: 0, state: true }))
  if (outcome.kind === 'ran' && outcome.result.delta !== undefined) return outcome.result.delta
  throw new Error(outcome.kind === 'lost' ? outcome.message : 'the worker did not say what changed')
}

/** The tick at which an entry went otherwise, as far as its sums tell. */
const tickOf = ({ entry, found }: ReplayDiffers): number => {
  const { header, ticks, fuel } = entry
  if (found === undefined || (found.ticks <= ticks && found.fuel > fuel)) return header.tick
  return found.ticks === ticks && found.failed === (entry.failed !== null)
    ? header.tick
    : header.tick + Math.min(found.ticks, ticks)
}

/** Runs a record's segment; nothing of it is believed. */
const runSegment = async (stage: Stage, placed: Placed, before: HostPart, step: Step, entries: readonly JournalEntry[]) => {
  const { executor, agent, manifest, records, rootOf, wait, onran } = stage
  let since = 0n
  let ran = before
  let at = before
  let some: JournalEntry[] = []
  let someFuel = 0n
  const flush = async (): Promise<void> => {
    if (some.length === 0) return
    const ticks = at.tick - ran.tick
    try {
      ran = await wait(replayEntries(executor, placed, agent, ran, some, (epoch) => rootOf(records, epoch)))
    } catch (error) {
      if (!(error instanceof ReplayDiffers)) throw error
      const { entry, found } = error
      const fuelAlone = found?.ticks === entry.ticks && found.taken === entry.taken && found.failed === (entry.failed !== null)
      throw accuse(step, fuelAlone ? 'fuel' : 'journal', tickOf(error), entry.header.tick - 1, error.message)
    }
    onran(ticks, someFuel)
    some = []
    someFuel = 0n
  }
  for (const entry of entries) {
    const first = entry.kind === 'start' && step.before.tick === 0 && step.record.body.seq === 1 && entry === entries[0]
    // The birth was judged already.
    const wrong = first ? undefined : objection(entry, { host: at, since, first: false, manifest }, step)
    if (wrong !== undefined) {
      // What comes before it may be a lie too, and that one is the first.
      await flush()
      throw accuse(step, 'journal', at.tick + 1, at.tick, `its journal cannot be true: ${wrong}`)
    }
    since += billedFuel(entry)
    someFuel += billedFuel(entry)
    some.push(entry)
    at = advanceHost(at, entry)
    if (some.length >= MAX_ENTRIES || someFuel >= MAX_FUEL) await flush()
  }
  await flush()
  return { host: ran, since }
}

/**
 * Lets another module take over, as the order that the record applies asks.
 *
 * @returns the whole state after it; undefined: the old module stays, as it was claimed
 */
const runUpgrade = async (
  stage: Stage,
  { placed, version }: Standing,
  { host, since }: { readonly host: HostPart; readonly since: bigint },
  step: Step,
  entry: UpgradeEntry,
): Promise<Delta | undefined> => {
  const { executor, init, manifest, records, rootOf, wait } = stage
  const tick = host.tick + 1
  const lie = (claim: ReplayClaim, message: string): Lie => accuse(step, claim, tick, host.tick, message)
  const wrong = objection(entry, { host, since, first: false, manifest }, step)
  if (wrong !== undefined) throw lie('journal', `its journal cannot be true: ${wrong}`)
  const modules = step.record.body.orders.flatMap((bytes) => {
    const { order } = decodeOrder(bytes)
    return order.kind === 'upgrade' ? [order.module] : []
  })
  const [module] = modules
  if (module === undefined || modules.length > 1) throw lie('journal', 'an upgrade was made that no order asked for')
  const { time, limit, price, balance, receipts, epoch } = entry.header
  const attempt = { tick, time, limit, price, balance, receipts, root: await rootOf(records, epoch), messages: [] }
  const done = await wait(executor.upgrade(placed, { ...(await stage.load(module, version)), init, attempt }))
  if ('failed' in done) {
    if (entry.failed === null)
      throw lie('journal', `the new module is said to have taken over; running it again it failed: ${done.failed}`)
    return undefined
  }
  if (entry.failed !== null)
    throw lie('journal', `the upgrade is said to have failed (${entry.failed}); running it again it did not`)
  if (done.result.fuel !== entry.fuel)
    throw lie('fuel', `the upgrade is said to have used ${entry.fuel} fuel; running it again used ${done.result.fuel}`)
  if (done.result.delta === undefined) throw new Error('the worker did not say what changed')
  return done.result.delta
}

/** Where two states differ first. */
const difference = (claimed: StateBlock, found: StateBlock): Pick<ReplayGuilt, 'chunk' | 'part'> => {
  if (claimed.memory.bytes !== found.memory.bytes) return { part: 'memory size' }
  const [chunk] = changedChunks(claimed, found)
  if (chunk !== undefined) return { part: 'memory', chunk: chunk[0] }
  return { part: claimed.host.equals(found.host) ? 'globals' : 'host' }
}

const checkState = async (stage: Stage, step: Step, block: StateBlock, agreed: number): Promise<void> => {
  const { state, tick } = step.record.body
  const { cid } = encodeState(block)
  if (state === null || state.equals(cid)) return
  const claimed = await stage.library.state(state).catch(() => undefined)
  const where = claimed === undefined ? {} : difference(claimed.block, block)
  const place =
    where.part === 'memory' ? `, first in chunk ${where.chunk} of the memory` : where.part ? `, in its ${where.part}` : ''
  throw accuse(step, 'state', tick, agreed, `its state is said to be ${state}; running it again gave ${cid}${place}`, where)
}

/**
 * Runs what one record claims again.
 *
 * @param agreed the last tick whose state was found true
 * @throws Lie, and what the executor throws
 */
export const runStep = async (
  stage: Stage,
  standing: Standing,
  step: Step,
  entries: readonly JournalEntry[],
  agreed: number,
): Promise<Standing> => {
  const { body } = step.record
  const { before, billed } = step
  const { placed } = standing
  const last = entries.at(-1)
  const upgrade = last?.kind === 'upgrade' ? last : undefined
  const plain = upgrade === undefined ? entries : entries.slice(0, -1)
  const segment = await runSegment(stage, placed, standing.host, step, plain)
  const { host: ran } = segment
  const upgraded = upgrade === undefined ? undefined : await runUpgrade(stage, standing, segment, step, upgrade)
  const since = segment.since + (upgrade === undefined ? 0n : billedFuel(upgrade))
  if (body.tick !== ran.tick)
    throw accuse(step, 'tick', body.tick, ran.tick, `it names tick ${body.tick}, its journal ends at tick ${ran.tick}`)
  if (body.fuel !== before.fuel + since)
    throw accuse(step, 'fuel', body.tick, agreed, `it bills ${body.fuel} fuel in all, its journal ${before.fuel + since}`)
  const cost = billed.cost + costOf(body.fuel - billed.fuel, body.price)
  if (body.cost !== cost)
    throw accuse(step, 'cost', body.tick, agreed, `it bills ${body.cost} microcents in all, its fuel costs ${cost}`)
  const host = afterOrders(ran, body.orders)
  const ticked = standing.ticked || entries.some(({ kind }) => kind === 'run')
  if (body.state === null) return { ...standing, host, ticked }
  const delta = upgraded ?? (ticked ? await deltaOf(stage, placed) : undefined)
  const part = { ...host, kv: delta?.kv ?? standing.host.kv }
  const block = blockAfter(upgraded === undefined ? standing.block : EMPTY, cborCid(encodeHostPart(part)), delta)
  await checkState(stage, step, block, agreed)
  return { placed, version: standing.version, block, host: part, ticked: false }
}
