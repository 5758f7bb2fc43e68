/**
 * One agent in a worker: its last boundary, perhaps a live instance, and how a job takes it from one
 * boundary to the next.
 *
 * @module
 */
import { CHUNK_BYTES, type Compiled, SandboxError, Trap } from '@igor/sandbox'
import { messageOf } from '../thrown.ts'
import { advance, applyImage, type Boundary, deltaOf, emptyBoundary, ImageError } from './image.ts'
import type { Kv } from './kv.ts'
import { begin, callIf, createLive, fill, fits, type Live, resumeFrom, takeCheckpoint } from './live.ts'
import { Refusal } from './modules.ts'
import { type Bounds, exactly, play, type Ran } from './play.ts'
import type { Attempt, Delta, Image, ImagePatch, Job, JobResult, Place, Replayed, ReplayStep } from './protocol.ts'
import type { Sha256 } from './seed.ts'
import { createSession, type Session } from './session.ts'

export interface Tools {
  readonly sha256: Sha256
  /** Milliseconds; never goes back. The same as `Clock.elapsed` of the host tells, as well as the platform can. */
  readonly now: () => number
}

/** Live instances are few (engines limit live memories): an agent asks for one and may lose it between jobs. */
export interface Pool {
  /**
   * Makes room, then runs `make`; makes more room and tries again when the machine has no memory.
   * `spare` is an instance that another agent had to give up, at a boundary; `make` returns the bytes of its memory.
   */
  admit(agent: Agent, make: (spare: Live | undefined) => number): void
  /** Says that the agent's instance is used now, and the bytes of its memory. */
  touch(agent: Agent, bytes: number): void
  /** Forgets the agent's instance. */
  release(agent: Agent): void
}

export interface AgentSpec {
  readonly place: Place
  readonly compiled: Compiled
  readonly maxMemoryBytes: number
  readonly granted: readonly string[]
  readonly init: Uint8Array
}

export interface Agent {
  readonly place: Place
  /** Start export, `_initialize` or `_start`, `agent_init`. @throws Refusal when it fails, and what the machine throws */
  spawn(attempt: Attempt): JobResult
  /** @throws Refusal when the image does not fit the module */
  restore(image: Image): void
  /** @throws Refusal when the agent ran here, or the image does not fit */
  patch(image: ImagePatch): void
  /** @param alive called when the job starts anew after a failed tick */
  run(job: Job, alive: () => void): JobResult
  /** @param alive called between steps */
  replay(inbox: readonly Uint8Array[], steps: readonly ReplayStep[], alive: () => void): Replayed[]
  /** What an upgrade carries over. After it `discard`. @throws Trap */
  handOver(attempt: Attempt): Carried
  /** Starts with what another module carried over. @throws Trap */
  takeOver(attempt: Attempt, carried: Carried): JobResult
  /** Gives the instance up; what it did is kept. */
  rest(): Live | undefined
  /** Gives the instance up with all that it did. */
  discard(): void
}

/**
 * Fuel for each byte of memory that may be run again after a failed tick. Taking a boundary costs about one fuel a byte
 * (64 MiB: 20 to 50 ms), so that taking it costs a tenth of the ticks, and running them again ten times as much at most.
 */
const FUEL_PER_BYTE = 8n
/** Runs kept between two boundaries: each holds its messages. */
const MAX_KEPT = 16
const MAX_KEPT_BYTES = 1024 * 1024

/** What goes from one module to the next. */
export interface Carried {
  readonly bytes: Uint8Array
  readonly kv: Kv
  /** Fuel that is left of the attempt. */
  readonly fuel: bigint
}

interface Failure {
  readonly trap: string
  readonly lastWords: readonly string[]
}

const sizeOf = (messages: readonly Uint8Array[]): number => messages.reduce((sum, { length }) => sum + length, 0)

export const createAgent = (spec: AgentSpec, tools: Tools, pool: Pool): Agent => {
  /** Where a failed tick goes back to: the present, or what leads to it by `kept`. */
  let boundary: Boundary = emptyBoundary()
  let kept: { readonly attempt: Attempt; readonly ticks: number; readonly fuel: bigint }[] = []
  let keptFuel = 0n
  let keptBytes = 0
  /** At the present. */
  let kv: Kv = boundary.kv
  /** Chunks that may differ from the state that was handed out last, and its kv. */
  const dirty = new Set<number>()
  let kvBefore: Kv = boundary.kv
  let live: Live | undefined
  let ran = false

  const create = (): Live => createLive(spec.compiled, spec.granted)
  const open = (attempt: Attempt): Session => createSession(attempt, spec.init, kv, tools.sha256)
  /** What the ticks did is not kept yet. */
  const playFrom = (attempt: Attempt, there: Live, bounds: Bounds): Ran => play(open(attempt), attempt, there, bounds, tools.now)

  /** An instance that stands at the present. */
  const wake = (): Live => {
    if (live !== undefined) {
      pool.touch(agent, live.instance.memory().length)
      return live
    }
    pool.admit(agent, (spare) => {
      const next = spare !== undefined && fits(spare, spec.compiled, boundary) ? spare : create()
      fill(next, boundary)
      live = next
      return boundary.memory.bytes
    })
    const there = live as unknown as Live
    kv = boundary.kv
    for (const { attempt, ticks, fuel } of kept) {
      const again = playFrom(attempt, there, exactly(ticks))
      if (again.ticks !== ticks || again.fuel !== fuel || again.failed !== undefined) {
        discard()
        throw new Error('this machine did not run the same ticks again as it had run them: nothing of it is kept')
      }
      kv = again.session.kv.settle()
    }
    return there
  }

  /** The present becomes the boundary. */
  const capture = (): void => {
    if (live === undefined || kept.length === 0) return
    boundary = advance(boundary, live.instance.memory(), live.instance.globals(), kv, dirty)
    kept = []
    keptFuel = 0n
    keptBytes = 0
  }

  const rest = (): Live | undefined => {
    capture()
    const given = live
    discard()
    return given
  }

  const discard = (): void => {
    live = undefined
    pool.release(agent)
  }

  /** What changed since the last time. */
  const settle = (): Delta => {
    if (kept.length > 0) wake()
    capture()
    const delta = deltaOf(boundary, dirty, kvBefore, tools.sha256)
    dirty.clear()
    kvBefore = boundary.kv
    return delta
  }

  const keep = (attempt: Attempt, { session, ticks, fuel }: Ran): void => {
    if (ticks === 0) return
    kv = session.kv.settle()
    kept.push({ attempt, ticks, fuel })
    keptFuel += fuel
    keptBytes += sizeOf(attempt.messages)
    const { bytes } = boundary.memory
    if (keptFuel >= FUEL_PER_BYTE * BigInt(bytes) || kept.length >= MAX_KEPT || keptBytes >= MAX_KEPT_BYTES) capture()
  }

  /**
   * A failed tick leaves memory and globals as they were when it stopped: go back and do again what had completed.
   * The same inputs give the same ticks; should they not, fewer are kept.
   */
  const attemptTicks = (attempt: Attempt, bounds: Bounds, alive: () => void): { done: Ran; failure?: Failure } => {
    let failure: Failure | undefined
    let done = playFrom(attempt, wake(), bounds)
    while (done.failed !== undefined) {
      failure ??= { trap: done.failed, lastWords: done.session.lastWords() }
      discard()
      alive()
      if (done.ticks === 0) return { done: { ...done, session: open(attempt) }, failure }
      done = playFrom(attempt, wake(), exactly(done.ticks))
    }
    return failure === undefined ? { done } : { done, failure }
  }

  const result = (done: Ran, state: boolean): JobResult => {
    const view = done.session.view()
    return {
      place: spec.place,
      ticks: done.ticks,
      more: done.more,
      taken: done.session.taken(),
      fuel: done.fuel,
      logs: done.session.logs,
      longestMs: done.longest,
      startedAt: done.started,
      endedAt: done.ended,
      ...(state ? { delta: settle() } : {}),
      memoryBytes: live?.instance.memory().length ?? boundary.memory.bytes,
      ...(view === undefined ? {} : { view }),
    }
  }

  const run = (job: Job, alive: () => void): JobResult => {
    ran = true
    const { maxTicks, maxMs, allowance, place: _place, state, ...attempt } = job
    if (maxTicks === 0) return { ...nothing(), ...(state ? { delta: settle() } : {}) }
    const { done, failure } = attemptTicks(attempt, { maxTicks, end: tools.now() + maxMs, allowance }, alive)
    keep(attempt, done)
    return { ...result(done, state), ...failure }
  }

  /** Nothing happened; why is for the caller to add. */
  const nothing = (): JobResult => ({
    place: spec.place,
    ticks: 0,
    more: false,
    taken: 0,
    fuel: 0n,
    memoryBytes: boundary.memory.bytes,
    logs: [],
    longestMs: 0,
    startedAt: tools.now(),
    endedAt: tools.now(),
  })

  const tryRun = (job: Job, alive: () => void): JobResult => {
    try {
      return run(job, alive)
    } catch (error) {
      discard()
      return { ...nothing(), fault: messageOf(error) }
    }
  }

  const replay = (inbox: readonly Uint8Array[], steps: readonly ReplayStep[], alive: () => void): Replayed[] => {
    ran = true
    const results: Replayed[] = []
    let waiting = [...inbox]
    for (const { ticks, fuel, failed, messages, ...header } of steps) {
      waiting = [...waiting, ...messages]
      const attempt: Attempt = { ...header, messages: waiting }
      const { done, failure } = attemptTicks(attempt, exactly(failed ? ticks + 1 : ticks, fuel), alive)
      keep(attempt, done)
      const taken = done.session.taken()
      waiting = waiting.slice(taken)
      results.push({ ticks: done.ticks, fuel: done.fuel, taken, failed: failure !== undefined })
      if (done.ticks !== ticks || done.fuel !== fuel || (failure !== undefined) !== failed) break
      alive()
    }
    return results
  }

  const spawn = (attempt: Attempt): JobResult => {
    const session = open(attempt)
    const from = tools.now()
    session.begin(attempt.tick)
    let step = 'its data segments'
    try {
      pool.admit(agent, () => {
        live = create()
        return live.instance.memory().length
      })
      const { instance, use } = live as unknown as Live
      use(session)
      instance.setFuel(attempt.limit)
      const onstep = (name: string): void => {
        step = name
      }
      begin(instance, onstep)
      callIf(instance, 'agent_init', onstep)
      const fuel = attempt.limit - instance.fuel()
      session.end()
      const ended = tools.now()
      kv = session.kv.settle()
      boundary = advance(boundary, instance.memory(), instance.globals(), kv, dirty)
      return result({ session, ticks: 0, more: false, fuel, longest: ended - from, started: from, ended }, true)
    } catch (error) {
      discard()
      if (!(error instanceof Trap)) throw error
      const last = session.lastWords().at(-1)
      const said = last === undefined ? '' : `; its last words: ${last}`
      throw new Refusal('BAD_MODULE', `the agent failed to start: ${step}: ${error.message}${said}`, { cause: error })
    }
  }

  const handOver = (attempt: Attempt): Carried => {
    const { instance, use } = wake()
    const session = open(attempt)
    use(session)
    session.begin(attempt.tick)
    instance.setFuel(attempt.limit)
    const bytes = takeCheckpoint(instance)
    return { bytes, kv: session.kv.settle(), fuel: instance.fuel() }
  }

  const takeOver = (attempt: Attempt, carried: Carried): JobResult => {
    const { bytes } = carried
    kv = carried.kv
    // Another one than any: the whole kv is told.
    kvBefore = { entries: new Map(), bytes: 0 }
    const session = open(attempt)
    const from = tools.now()
    session.begin(attempt.tick)
    pool.admit(agent, () => {
      live = create()
      return live.instance.memory().length
    })
    const { instance, use } = live as unknown as Live
    use(session)
    instance.setFuel(carried.fuel)
    begin(instance)
    resumeFrom(instance, bytes)
    const fuel = attempt.limit - instance.fuel()
    session.end()
    const ended = tools.now()
    kv = session.kv.settle()
    boundary = advance(boundary, instance.memory(), instance.globals(), kv, dirty)
    return result({ session, ticks: 0, more: false, fuel, longest: ended - from, started: from, ended }, true)
  }

  /** From here on this is the state that changes are measured against. */
  const stand = (next: Boundary): void => {
    boundary = next
    kv = next.kv
    kvBefore = next.kv
    dirty.clear()
  }

  /** Touches what changed and no more: a move waits for it. */
  const patch = (image: ImagePatch): void => {
    stand(applyImage(boundary, image, spec.maxMemoryBytes))
    const { memory, globals } = boundary
    if (live === undefined) {
      wake()
      return
    }
    const chunks = image.chunks.map(([index]) => [index, memory.chunks.get(index) ?? new Uint8Array(CHUNK_BYTES)] as const)
    live.instance.patch({ memoryBytes: memory.bytes, chunks, globals })
  }

  /** Restores at once: what does not fit is found before the agent counts as placed. */
  const adopt = (change: () => void): void => {
    try {
      change()
    } catch (error) {
      discard()
      const misfit = error instanceof ImageError || (error instanceof SandboxError && error.code === 'BAD_IMAGE')
      if (!misfit) throw error
      throw new Refusal('BAD_FILE', `the state does not fit the module: ${error.message}`, { cause: error })
    }
  }

  const agent: Agent = {
    place: spec.place,
    spawn,
    restore: (image) =>
      adopt(() => {
        stand(applyImage(emptyBoundary(), image, spec.maxMemoryBytes))
        wake()
      }),
    patch: (image) => {
      if (ran) throw new Refusal('BAD_REQUEST', 'an agent that ran here is not patched')
      adopt(() => patch(image))
    },
    run: tryRun,
    replay,
    handOver,
    takeOver,
    rest,
    discard,
  }
  return agent
}
