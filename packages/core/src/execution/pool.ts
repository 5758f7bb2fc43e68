/**
 * The pool of threads behind `Executor`: agents are spread evenly, a module is loaded once in each thread
 * that needs it, and a thread that hangs costs its neighbours a new placement and nothing else.
 *
 * @module
 */
import { CURRENT, sameVersion, type Version } from '@igor/sandbox'
import { type ErrorCode, IgorError } from '../errors.ts'
import type { Clock, Threads } from '../platform.ts'
import { nameOfKey } from '../worker/module-key.ts'
import type { ModuleKey, Reply, Request } from '../worker/protocol.ts'
import type { Executor, ModuleLimits, Placed, PlaceSpec, RunOutcome } from './executor.ts'
import { createLane, type Lane, LaneLost } from './lane.ts'
import { packAttempt, packBytes, packImage } from './pack.ts'

export interface ExecutorOptions {
  /** Default and most: what the machine runs at once, and at most 8. */
  readonly maxThreads?: number
  /** Live instances in all threads together. Default: what the threads' engine takes, or 100: Chromium allows about 125 memories in a page. */
  readonly maxLive?: number
  /** By which runs what names no version. Default: the current one. */
  readonly version?: Version
  /** Milliseconds that an answer may be late before a thread counts as hung. Default 500. */
  readonly slackMs?: number
}

/** A thread costs some 9 MB; agents are many and small. */
const MAX_THREADS = 8
const DEFAULT_LIVE = 100
const DEFAULT_SLACK_MS = 500
/** A thread has to load its code, on a machine that may be busy. */
const BOOT_MS = 15_000
/** Instrumenting and compiling: 40 MB a second where it is slow, plus waiting for a core. */
const LOAD_MS = 10_000
const LOAD_MS_PER_MIB = 500
/** Start function, constructors and `agent_init`: once in a life, so more than a tick may take. */
const SPAWN_MS = 3000
/** Copying and restoring an image of 64 MiB takes a fraction of it. */
const IMAGE_MS = 10_000
/** Modules without an agent that a thread, and the pool, remembers: for the next one, and for those being moved. */
const MAX_IDLE_MODULES = 16
/** Going back after failed ticks takes some time of its own. */
const REPLAY_MS = 10_000
/** More than any batch can use. */
const MAX_ALLOWANCE = 2n ** 63n - 1n
/** Threads lost under one request before it is given up. */
const MAX_TRIES = 3

interface Known {
  readonly key: ModuleKey
  readonly bytes: () => Promise<Uint8Array>
  uses: number
}

interface LoadedModule {
  readonly key: ModuleKey
  readonly loading: Promise<number>
  uses: number
}

interface Seat {
  readonly lane: Lane
  readonly modules: Map<string, LoadedModule>
  /** Placements, those under way too. */
  agents: number
}

interface Placement extends Placed {
  readonly seat: Seat
  name: string
  readonly tickMs: number
  gone: string | undefined
}

const keyOf = (module: string, { maxMemoryBytes, granted, version = CURRENT }: ModuleLimits): ModuleKey => ({
  module,
  maxMemoryBytes,
  granted: [...granted].sort(),
  ...(sameVersion(version, CURRENT) ? {} : { version }),
})

const closedError = (): IgorError => new IgorError('NODE_STOPPED', 'this node is stopping: nothing runs here any more')

/** Why the thread did not do as it was asked. */
const failure = (reply: Reply): IgorError => {
  if (reply.type === 'refused') return new IgorError(reply.code as ErrorCode, reply.message)
  return new IgorError('HOST_FAULT', reply.type === 'failed' ? reply.message : `a worker answered ${reply.type}`)
}

/** Forgets the longest unused of those that no agent needs. */
const trim = <T extends { readonly uses: number }>(entries: Map<string, T>, forget: (entry: T) => void = () => {}): void => {
  let idle = [...entries.values()].filter(({ uses }) => uses === 0).length
  for (const [name, entry] of entries) {
    if (idle <= MAX_IDLE_MODULES) return
    if (entry.uses > 0) continue
    entries.delete(name)
    forget(entry)
    idle--
  }
}

const renew = <T>(entries: Map<string, T>, name: string, entry: T): void => {
  entries.delete(name)
  entries.set(name, entry)
}

/**
 * @param threads spawned when first needed, ended by `close`
 */
export const createExecutor = (threads: Threads, clock: Clock, options: ExecutorOptions = {}): Executor => {
  const maxThreads = Math.max(1, Math.min(options.maxThreads ?? MAX_THREADS, threads.parallelism, MAX_THREADS))
  const live = Math.max(1, Math.floor((options.maxLive ?? threads.maxLive ?? DEFAULT_LIVE) / maxThreads))
  const slackMs = options.slackMs ?? DEFAULT_SLACK_MS
  const byDefault = options.version === undefined ? {} : { version: options.version }
  const seats = new Set<Seat>()
  const known = new Map<string, Known>()
  const placements = new Map<number, Placement>()
  let nextPlace = 1
  let closed = false

  const openSeat = (): Seat => {
    const lane = createLane({
      thread: threads.spawn(),
      clock,
      slackMs,
      onend: () => {
        seats.delete(seat)
        for (const placement of placements.values()) if (placement.seat === seat) forget(placement, 'its worker was lost')
      },
    })
    const seat: Seat = { lane, modules: new Map(), agents: 0 }
    seats.add(seat)
    // Goes first; whoever comes next waits behind it, and learns when the thread does not start.
    lane.ask({ type: 'setup', live }, BOOT_MS).catch(() => {})
    return seat
  }

  /** The emptiest, among equals one that knows the module; a new thread rather than a second agent in one. */
  const chooseSeat = (name: string): Seat => {
    let best: Seat | undefined
    for (const seat of seats) {
      const better = best === undefined || seat.agents < best.agents
      if (better || (seat.agents === best?.agents && seat.modules.has(name) && !best.modules.has(name))) best = seat
    }
    return best === undefined || (best.agents > 0 && seats.size < maxThreads) ? openSeat() : best
  }

  const forget = (placement: Placement, why: string): void => {
    placement.gone = why
    placements.delete(placement.place)
    const { seat, name } = placement
    seat.agents--
    const module = seat.modules.get(name)
    if (module !== undefined) module.uses--
    const entry = known.get(name)
    if (entry !== undefined) entry.uses--
    trimSeat(seat)
    trim(known)
  }

  const trimSeat = (seat: Seat): void => trim(seat.modules, ({ key }) => seat.lane.tell({ type: 'unload', ...key }))

  const sendModule = async (seat: Seat, { key, bytes }: Known): Promise<number> => {
    const source = await bytes()
    // A buffer of its own that can be given away (slice() of a Node.js Buffer copies nothing).
    const copy = new Uint8Array(source)
    const limit = LOAD_MS + LOAD_MS_PER_MIB * (copy.length / (1024 * 1024))
    const reply = await seat.lane.ask({ type: 'load', ...key, bytes: copy }, limit, [copy.buffer])
    if (reply.type !== 'loaded') throw failure(reply)
    return reply.instrument
  }

  const ensureModule = (seat: Seat, name: string): LoadedModule => {
    const there = seat.modules.get(name)
    if (there !== undefined) {
      renew(seat.modules, name, there)
      return there
    }
    const entry = known.get(name)
    if (entry === undefined) throw new IgorError('HOST_FAULT', `module ${name.split(' ')[0]} was not loaded before it was placed`)
    const module: LoadedModule = { key: entry.key, loading: sendModule(seat, entry), uses: 0 }
    seat.modules.set(name, module)
    module.loading.catch(() => {
      if (seat.modules.get(name) === module) seat.modules.delete(name)
    })
    return module
  }

  /** Tries again on another thread when this one was lost through no fault of `task`. */
  const steadily = async <T>(name: string, task: (seat: Seat) => Promise<T>, hung: (lost: LaneLost) => IgorError): Promise<T> => {
    for (let tries = 1; ; tries++) {
      if (closed) throw closedError()
      try {
        return await task(chooseSeat(name))
      } catch (error) {
        if (!(error instanceof LaneLost)) throw error
        if (closed) throw closedError()
        if (error.reason === 'hung' && error.guilt === 'sole') throw hung(error)
        if (tries >= MAX_TRIES)
          throw new IgorError('HOST_FAULT', `${tries} workers were lost in a row: ${error.message}`, { cause: error })
      }
    }
  }

  const load: Executor['load'] = async (module, bytes, limits) => {
    const key = keyOf(module, { ...byDefault, ...limits })
    const name = nameOfKey(key)
    renew(known, name, { key, bytes, uses: known.get(name)?.uses ?? 0 })
    const task = async (seat: Seat) => {
      const loading = ensureModule(seat, name)
      // Counted while it loads, so that it is not forgotten meanwhile.
      loading.uses++
      try {
        return { instrument: await loading.loading }
      } finally {
        loading.uses--
        trimSeat(seat)
      }
    }
    try {
      const loaded = await steadily(
        name,
        task,
        (lost) => new IgorError('BAD_MODULE', `the module takes too long to compile: ${lost.message}`),
      )
      trim(known)
      return loaded
    } catch (error) {
      if (known.get(name)?.uses === 0) known.delete(name)
      throw error
    }
  }

  const askPlace = async (spec: PlaceSpec, seat: Seat, place: number, key: ModuleKey): Promise<Reply> => {
    const init = packBytes(spec.init)
    const base = { type: 'place', place, init, ...key } as const
    if (spec.image !== undefined) {
      const { value, transfer } = packImage(spec.image)
      return seat.lane.ask({ ...base, image: value }, IMAGE_MS, transfer)
    }
    if (spec.attempt === undefined)
      throw new IgorError('BAD_REQUEST', 'an agent is placed from an image, or spawned with an attempt')
    return seat.lane.ask({ ...base, attempt: packAttempt(spec.attempt) }, SPAWN_MS)
  }

  const place: Executor['place'] = (spec) => {
    const key = keyOf(spec.module, { ...byDefault, ...spec })
    const name = nameOfKey(key)
    const task = async (seat: Seat) => {
      const module = ensureModule(seat, name)
      const placement: Placement = { place: nextPlace++, seat, name, tickMs: spec.tickMs, gone: undefined }
      placements.set(placement.place, placement)
      seat.agents++
      module.uses++
      const entry = known.get(name)
      if (entry !== undefined) entry.uses++
      try {
        await module.loading
        const reply = await askPlace(spec, seat, placement.place, key)
        if (reply.type !== 'placed') throw failure(reply)
        return { placed: placement, ...(reply.result === undefined ? {} : { result: reply.result }) }
      } catch (error) {
        if (placement.gone === undefined) forget(placement, 'it was not placed')
        throw error
      }
    }
    return steadily(name, task, () =>
      spec.image === undefined
        ? new IgorError(
            'BAD_MODULE',
            `the agent did not finish to start within ${SPAWN_MS} ms: its start function or agent_init loops`,
          )
        : new IgorError('HOST_FAULT', 'a worker did not take the agent in within its time'),
    )
  }

  const lostTo = (lost: LaneLost, tickMs: number): RunOutcome => {
    const hung = lost.reason === 'hung' && lost.guilt === 'sole'
    const message = hung ? `its tick did not end within ${tickMs} ms: its worker was ended and the tick undone` : lost.message
    return { kind: 'lost', reason: hung ? 'hung' : 'worker', suspect: lost.guilt !== 'none', message }
  }

  const run: Executor['run'] = async (placed, spec) => {
    const placement = placements.get(placed.place)
    if (placement === undefined) {
      return { kind: 'lost', reason: 'worker', suspect: false, message: (placed as Placement).gone ?? 'it was never placed here' }
    }
    const { seat, tickMs } = placement
    const { alone = false, maxTicks, maxMs, allowance = MAX_ALLOWANCE, state = false } = spec
    const job = { ...packAttempt(spec), place: placed.place, maxTicks, maxMs, allowance, state }
    try {
      const result = await seat.lane.run(job, maxMs + tickMs, alone)
      if (result.fault === undefined) return { kind: 'ran', result }
      drop(placed)
      return { kind: 'lost', reason: 'worker', suspect: false, message: `this machine could not run it: ${result.fault}` }
    } catch (error) {
      if (error instanceof LaneLost) return lostTo(error, tickMs)
      throw error
    }
  }

  const patch: Executor['patch'] = async (placed, image) => {
    const placement = placements.get(placed.place)
    if (placement === undefined) throw new IgorError('HOST_FAULT', 'the worker that held the agent was lost: place it again')
    const { value, transfer } = packImage(image)
    try {
      const reply = await placement.seat.lane.ask({ type: 'patch', place: placed.place, image: value }, IMAGE_MS, transfer)
      if (reply.type !== 'patched') throw failure(reply)
    } catch (error) {
      if (!(error instanceof LaneLost)) throw error
      throw closed ? closedError() : new IgorError('HOST_FAULT', `${error.message}: place it again`, { cause: error })
    }
  }

  const replay: Executor['replay'] = async (placed, inbox, steps) => {
    const placement = placements.get(placed.place)
    if (placement === undefined) throw new IgorError('HOST_FAULT', 'the worker that held the agent was lost: place it again')
    const ticks = steps.reduce((sum, step) => sum + step.ticks + 1, 0)
    const packed = steps.map((step) => ({ ...packAttempt(step), ticks: step.ticks, fuel: step.fuel, failed: step.failed }))
    try {
      const request = { type: 'replay', place: placed.place, inbox: inbox.map(packBytes), steps: packed } as const
      const reply = await placement.seat.lane.ask(request, REPLAY_MS + ticks * placement.tickMs)
      if (reply.type !== 'replayed') throw failure(reply)
      return reply.results
    } catch (error) {
      if (!(error instanceof LaneLost)) throw error
      throw closed ? closedError() : new IgorError('HOST_FAULT', `${error.message}: place it again`, { cause: error })
    }
  }

  const upgrade: Executor['upgrade'] = async (placed, spec) => {
    const placement = placements.get(placed.place)
    if (placement === undefined) throw new IgorError('HOST_FAULT', 'the worker that held the agent was lost: place it again')
    const { seat } = placement
    const key = keyOf(spec.module, { ...byDefault, ...spec })
    const name = nameOfKey(key)
    const module = ensureModule(seat, name)
    module.uses++
    try {
      await module.loading
      const request = {
        type: 'upgrade',
        place: placed.place,
        ...key,
        init: packBytes(spec.init),
        attempt: packAttempt(spec.attempt),
      }
      const reply = await seat.lane.ask(request as Extract<Request, { type: 'upgrade' }>, SPAWN_MS + placement.tickMs)
      if (reply.type !== 'upgraded') throw failure(reply)
      if (reply.failed !== null) return { failed: reply.failed }
      const before = seat.modules.get(placement.name)
      if (before !== undefined) before.uses--
      const left = known.get(placement.name)
      if (left !== undefined) left.uses--
      module.uses++
      const entry = known.get(name)
      if (entry !== undefined) entry.uses++
      placement.name = name
      return { result: reply.result }
    } catch (error) {
      if (!(error instanceof LaneLost)) throw error
      throw closed ? closedError() : new IgorError('HOST_FAULT', `${error.message}: place it again`, { cause: error })
    } finally {
      module.uses--
      trimSeat(seat)
    }
  }

  const drop = (placed: Placed): void => {
    const placement = placements.get(placed.place)
    if (placement === undefined) return
    placement.seat.lane.tell({ type: 'drop', place: placed.place })
    forget(placement, 'it was dropped')
  }

  const close = async (): Promise<void> => {
    closed = true
    for (const seat of [...seats]) seat.lane.end('closed', 'this node is stopping')
  }

  return { load, place, run, patch, replay, upgrade, drop, close }
}
