/**
 * Judging a history: what its retained journals cover is run again from each retained state, and every claim
 * on the way is compared (docs/design.md, section 5: "Proof of a lie"). Nothing of the history is believed
 * but its signatures; what is missing, or cannot be run here, convicts nobody.
 *
 * @module
 */
import { type Chain, type JournalEntry, LineageError, type LineageRecord } from '@igor/lineage'
import { CURRENT, isKnownVersion, sameVersion, VERSIONS, type Version, versionText } from '@igor/sandbox'
import { createRoots } from '../agent/present.ts'
import { IgorError } from '../errors.ts'
import type { Executor } from '../execution/executor.ts'
import { granted } from '../manifest.ts'
import type { Crypto } from '../platform.ts'
import type { Replay, ReplayDoubt, ReplayGuilt, ReplayOptions } from '../replay-report.ts'
import { createLibrary, type Library, MissingBlock, type ReadBlocks } from './blocks.ts'
import { fuelIn, ticksIn } from './claims.ts'
import { beBorn, Lie, runStep, type Stage, type Standing, standAt } from './run.ts'
import { type Span, spansOf, ticksOf } from './spans.ts'

const MAX_FUEL = 1_000_000_000_000n
const MAX_BYTES = 256 * 1024 * 1024
const CHUNK_BYTES = 4096

export interface History {
  readonly chain: Chain
  /** Verified, oldest first; plain checkpoints may have been pruned. */
  readonly records: readonly LineageRecord[]
}

export interface Judge {
  /** Best one of its own: what it is given may hang a worker. */
  readonly executor: Executor
  readonly crypto: Pick<Crypto, 'sha256'>
}

/** A span whose parts are all there. */
interface Ready {
  readonly span: Span
  readonly segments: readonly (readonly JournalEntry[])[]
  readonly ticks: number
  readonly fuel: bigint
}

type Doubt = Pick<ReplayDoubt, 'code' | 'message'>

/** What stands in the way of a judgement; undefined: it is a failure of another kind. */
const doubtOf = (error: unknown): Doubt | undefined => {
  if (error instanceof MissingBlock) return { code: 'missing', message: error.message }
  if (error instanceof LineageError)
    return {
      code: error.code === 'MISSING_BLOCK' ? 'missing' : 'version',
      message: `this version cannot read it: ${error.message}`,
    }
  if (!(error instanceof Error)) return undefined
  if (error instanceof IgorError && error.code === 'NODE_STOPPED') return undefined
  return { code: 'machine', message: `this machine could not run it again: ${error.message}` }
}

/** Why a span cannot be judged, before anything of it is read. */
const obstacle = async ({ start, steps, pruned }: Span, library: Library): Promise<Doubt | undefined> => {
  const first = start === undefined ? steps[0]?.record.body.journal : start.body.state
  if (first == null || !(await library.has(first)))
    return {
      code: 'not kept',
      message: start === undefined ? 'its first journal is not kept' : 'the state before it is not kept',
    }
  if (pruned) return { code: 'not kept', message: 'records of it were dropped, and the journals that they name' }
  for (const { record } of steps) {
    const { seq } = record.body
    const unknown = isKnownVersion(record.body) ? undefined : `this judge has ${VERSIONS.map(versionText).join(', ')}`
    // A new version takes effect at a state: where it changed in between, nobody knows.
    const mixed = sameVersion(record.body, versionOf(steps)) ? undefined : 'the record before it by another one'
    const why = unknown ?? mixed
    if (why !== undefined) return { code: 'version', message: `record ${seq} was made by ${versionText(record.body)}; ${why}` }
  }
  return undefined
}

const versionOf = (steps: Span['steps']): Version => {
  const body = steps[0]?.record.body
  return body === undefined ? CURRENT : { instrument: body.instrument, costTable: body.costTable }
}

const readSpan = async (span: Span, library: Library): Promise<Ready | Doubt> => {
  const segments = await Promise.all(
    span.steps.map(({ record }) => (record.body.journal === null ? [] : library.segment(record.body.journal))),
  )
  const all = segments.flat()
  return { span, segments, ticks: ticksIn(all), fuel: fuelIn(all) }
}

const isReady = (one: Ready | Doubt): one is Ready => 'segments' in one

/** Settles with the task, or rejects with the signal's reason as soon as that aborts. */
const waiting =
  (signal: AbortSignal | undefined) =>
  async <T>(task: Promise<T>): Promise<T> => {
    if (signal === undefined) return task
    task.catch(() => {})
    signal.throwIfAborted()
    let off = (): void => {}
    const aborted = new Promise<never>((_, reject) => {
      const end = (): void => reject(signal.reason)
      signal.addEventListener('abort', end)
      off = () => signal.removeEventListener('abort', end)
    })
    try {
      return await Promise.race([task, aborted])
    } finally {
      off()
    }
  }

/**
 * Runs again what a history's retained states and journals cover, newest first as far as the caps go, and
 * compares journal, tick, fuel, cost and state of every record on the way. Stops at the first lie.
 *
 * It convicts only by what its signer signed: a state, a sum or a journal that contradict each other when the same
 * module runs. Time, when to tick, and what was let in are the host's word: no replay can tell.
 *
 * @param history verified (`verifyChain`)
 * @param read gives blocks by name; each is hashed
 * @throws the signal's reason; IgorError NODE_STOPPED when the executor is closed
 */
export const replay = async (history: History, read: ReadBlocks, judge: Judge, options: ReplayOptions = {}): Promise<Replay> => {
  const { chain, records } = history
  const { executor, crypto } = judge
  const { signal, onprogress, maxFuel = MAX_FUEL, maxBytes = MAX_BYTES, since = -1 } = options
  const wait = waiting(signal)
  const library = createLibrary(read, crypto)
  const doubts: ReplayDoubt[] = []
  const doubt = (span: Span, why: Doubt): void => {
    const [fromTick, toTick] = ticksOf(span)
    doubts.push({ ...why, fromTick, toTick })
  }

  let isKnown = false
  const plan = async (): Promise<Ready[]> => {
    const ready: Ready[] = []
    let fuel = 0n
    let bytes = 0
    for (const span of spansOf(chain, records).reverse()) {
      if ((span.steps.at(-1)?.record.body.seq ?? 0) <= since) {
        isKnown = true
        break
      }
      const found = (await obstacle(span, library)) ?? (await readSpan(span, library).catch(orDoubt))
      signal?.throwIfAborted()
      if (!isReady(found)) {
        doubt(span, found)
        continue
      }
      fuel += found.fuel
      bytes += await sizeOf(found, library)
      if (fuel > maxFuel || bytes > maxBytes) {
        const what =
          fuel > maxFuel
            ? `${fuel} fuel, this judge spends at most ${maxFuel}`
            : `${bytes} bytes, this judge reads at most ${maxBytes}`
        doubt(span, { code: 'caps', message: `to run it again takes ${what}` })
      } else ready.unshift(found)
    }
    // A hole between what is kept is no matter of age.
    const [oldest] = ready
    for (const [i, one] of doubts.entries())
      if (one.code === 'not kept' && oldest !== undefined && one.toTick > ticksOf(oldest.span)[1])
        doubts[i] = { ...one, code: 'missing' }
    return ready
  }

  const ready = await wait(plan())
  const total = {
    ofTicks: ready.reduce((sum, { ticks }) => sum + ticks, 0),
    ofFuel: ready.reduce((sum, one) => sum + one.fuel, 0n),
  }
  let fromTick: number | null = null
  let toTick: number | null = null
  let ticks = 0
  let fuel = 0n
  let states = 0
  let spans = 0
  let guilt: ReplayGuilt | undefined
  let standing: Standing | undefined
  let stands: Span['start']

  const leave = (): void => {
    if (standing !== undefined) executor.drop(standing.placed)
    standing = undefined
  }

  const open = async (): Promise<Stage> => {
    const { manifest: manifestCid, init } = chain.genesis.body
    const manifest = await wait(library.manifest(manifestCid))
    const limits = { maxMemoryBytes: manifest.limits.maxMemoryBytes, granted: granted(manifest) }
    return {
      agent: chain.agent,
      load: async (module, version) => {
        const key = { ...limits, version }
        await wait(executor.load(module.toString(), () => library.module(module), key))
        return { module: module.toString(), ...key }
      },
      manifest,
      init: await wait(library.bytes(init)),
      executor,
      library,
      records,
      rootOf: createRoots({ crypto }),
      wait,
      onran: (ranTicks, ranFuel) => {
        ticks += ranTicks
        fuel += ranFuel
        onprogress?.({ ticks, fuel, ...total })
      },
    }
  }

  const begin = async (stage: Stage, { span, segments }: Ready): Promise<Standing> => {
    const [first] = span.steps
    const version = versionOf(span.steps)
    if (span.start === undefined && first !== undefined)
      return beBorn(stage, chain.genesis.body.module, version, first, segments[0]?.[0])
    const { block, host } = await wait(library.state(span.start?.body.state as NonNullable<typeof first>['record']['id']))
    return standAt(stage, span.start?.body.module ?? chain.genesis.body.module, version, block, host)
  }

  const runSpan = async (stage: Stage, ready: Ready): Promise<void> => {
    const { span, segments } = ready
    const goesOn = standing !== undefined && span.start !== undefined && stands === span.start
    if (standing === undefined || !goesOn || !sameVersion(standing.version, versionOf(span.steps))) {
      leave()
      standing = await begin(stage, ready)
    }
    const agreed = standing.host.tick
    for (const [i, step] of span.steps.entries()) {
      standing = await runStep(stage, standing, step, segments[i] ?? [], agreed)
      if (step.record.body.state === null) continue
      states++
      stands = step.record
    }
    const [from, to] = ticksOf(span)
    spans++
    if (span.start === undefined || from <= (span.steps.at(-1)?.record.body.tick ?? 0)) {
      fromTick ??= from
      toTick = to
    }
  }

  try {
    const stage = ready.length === 0 ? undefined : await open().catch(orDoubt)
    for (const one of ready) {
      if (stage === undefined) break
      if (!('executor' in stage)) {
        doubt(one.span, stage)
        continue
      }
      try {
        await runSpan(stage, one)
      } catch (error) {
        if (error instanceof Lie) {
          guilt = error.guilt
          break
        }
        if (signal?.aborted) throw error
        doubt(one.span, orDoubt(error))
        leave()
      }
    }
  } finally {
    leave()
  }
  doubts.sort((a, b) => a.fromTick - b.fromTick)
  const doubtful = (spans === 0 && !isKnown) || doubts.some(({ code }) => code !== 'not kept')
  const verdict = guilt !== undefined ? 'guilty' : doubtful ? 'cannot judge' : 'consistent'
  return { verdict, fromTick, toTick, ticks, fuel, states, ...(guilt === undefined ? {} : { guilt }), doubts }
}

/** @throws what is no reason to doubt */
const orDoubt = (error: unknown): Doubt => {
  const found = doubtOf(error)
  if (found === undefined) throw error
  return found
}

/** Of the state that it begins at, and its journals as they run. */
const sizeOf = async ({ span, segments }: Ready, library: Library): Promise<number> => {
  const messages = segments.flat().reduce((sum, entry) => sum + (entry.kind === 'message' ? entry.message.length : 0), 0)
  const state = span.start?.body.state
  if (state == null) return messages
  const { block } = await library.state(state).catch(() => ({ block: undefined }))
  const chunks = block?.memory.runs.reduce((sum, [, digests]) => sum + digests.length / 32, 0) ?? 0
  return messages + chunks * CHUNK_BYTES
}
