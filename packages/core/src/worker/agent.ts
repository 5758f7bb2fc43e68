/**
 * One agent in a worker: its last boundary, perhaps a live instance, and how a job takes it from one
 * boundary to the next.
 *
 * @module
 */
import { CHUNK_BYTES, type Compiled, type Instance, instantiate, SandboxError, Trap } from '@igor/sandbox'
import { WASI } from './capabilities.ts'
import { igorImports } from './hostcalls.ts'
import { advance, applyImage, type Boundary, emptyBoundary, ImageError, nonZeroChunks, stillDelta } from './image.ts'
import { Refusal } from './modules.ts'
import type { Attempt, Image, ImagePatch, Job, JobResult, Place } from './protocol.ts'
import type { Sha256 } from './seed.ts'
import { createSession, MAX_JOB_LOG, type Session } from './session.ts'
import { wasiImports } from './wasi.ts'

export interface Tools {
  readonly sha256: Sha256
  /** Milliseconds; never goes back. The same as `Clock.elapsed` of the host tells, as well as the platform can. */
  readonly now: () => number
}

/** An instance and the session that its hostcalls answer from. */
export interface Live {
  readonly compiled: Compiled
  readonly instance: Instance
  readonly use: (session: Session) => void
}

/** Live instances are few (engines limit live memories): an agent asks for one and may lose it between jobs. */
export interface Pool {
  /**
   * Makes room, then runs `make`; makes more room and tries again when the machine has no memory.
   * `spare` is an instance that another agent had to give up, at a boundary.
   */
  admit(agent: Agent, make: (spare: Live | undefined) => void): void
  /** Says that the agent's instance was used just now. */
  touch(agent: Agent): void
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
  /** Gives the instance up; the boundary stays. */
  rest(): Live | undefined
}

/** `longest` is the time of the longest tick, ms, `started` when the first did, `ended` when the last one did; `failed` what stopped the tick after the completed ones. */
interface Ran {
  readonly session: Session
  readonly ticks: number
  readonly more: boolean
  readonly longest: number
  readonly started: number
  readonly ended: number
  readonly failed?: string
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

export const createAgent = (spec: AgentSpec, tools: Tools, pool: Pool): Agent => {
  let boundary: Boundary = emptyBoundary
  let live: Live | undefined
  let ran = false

  const create = (): Live => {
    let current: Session | undefined
    let instance: Instance | undefined
    const host = {
      memory: () => {
        if (instance === undefined) throw new Error('a hostcall before the instance stood')
        return instance.memory()
      },
      session: () => {
        if (current === undefined) throw new Error('a hostcall outside of a tick')
        return current
      },
    }
    instance = instantiate(spec.compiled, { igor: igorImports(host, spec.granted), [WASI]: wasiImports(host, spec.granted) })
    return {
      compiled: spec.compiled,
      instance,
      use: (session) => {
        current = session
      },
    }
  }

  /**
   * Making an instance costs several times as much as filling one, and engines are slow to give memories
   * back. Restoring overwrites all that a program can see, but cannot shrink a memory or undo a dropped segment.
   */
  const fits = ({ compiled, instance }: Live): boolean =>
    compiled === spec.compiled &&
    compiled.instrumented.layout.droppable === 0 &&
    instance.memory().length <= boundary.memory.length

  const fill = ({ instance }: Live): void => {
    const { memory, globals } = boundary
    instance.restore({ memoryBytes: memory.length, chunks: nonZeroChunks(memory), globals })
  }

  const wake = (): Live => {
    if (live === undefined) {
      pool.admit(agent, (spare) => {
        const next = spare !== undefined && fits(spare) ? spare : create()
        fill(next)
        live = next
      })
    } else pool.touch(agent)
    return live as unknown as Live
  }

  const rest = (): Live | undefined => {
    const given = live
    live = undefined
    pool.release(agent)
    return given
  }

  const settle = (instance: Instance, session: Session) => {
    const step = advance(boundary, instance.memory(), instance.globals(), session.kv.settle(), tools.sha256)
    boundary = step.boundary
    return step.delta
  }

  const result = (done: Ran, delta: JobResult['delta']): JobResult => {
    const view = done.session.view()
    return {
      place: spec.place,
      ticks: done.ticks,
      more: done.more,
      taken: done.session.taken(),
      logs: done.session.logs,
      longestMs: done.longest,
      startedAt: done.started,
      endedAt: done.ended,
      delta,
      ...(view === undefined ? {} : { view }),
    }
  }

  /** Nothing happened; why is for the caller to add. */
  const nothing = (): JobResult => ({
    place: spec.place,
    ticks: 0,
    more: false,
    taken: 0,
    logs: [],
    longestMs: 0,
    startedAt: tools.now(),
    endedAt: tools.now(),
    delta: stillDelta(boundary),
  })

  const ticks = (job: Job, { instance, use }: Live, maxTicks: number, maxMs: number): Ran => {
    const session = createSession(job, spec.init, boundary.kv, tools.sha256)
    use(session)
    const end = tools.now() + maxMs
    let done = 0
    let more = false
    let longest = 0
    const started = tools.now()
    let before = started
    while (done < maxTicks) {
      session.begin(job.tick + done)
      try {
        more = instance.call('agent_tick') !== 0
      } catch (error) {
        if (!(error instanceof Trap)) throw error
        return { session, ticks: done, more: false, longest, started, ended: before, failed: error.message }
      }
      session.end()
      done++
      const after = tools.now()
      longest = Math.max(longest, after - before)
      before = after
      if (!more || after >= end || session.logBytes() >= MAX_JOB_LOG) break
    }
    return { session, ticks: done, more, longest, started, ended: before }
  }

  const run = (job: Job, alive: () => void): JobResult => {
    ran = true
    let failure: { trap: string; lastWords: readonly string[] } | undefined
    let maxTicks = job.maxTicks
    let maxMs = job.maxMs
    // A failed tick leaves memory and globals as they were when it stopped: go back to the job's start and do
    // again what had completed. The same inputs give the same ticks; should they not, fewer are kept.
    while (maxTicks > 0) {
      const there = wake()
      const done = ticks(job, there, maxTicks, maxMs)
      if (done.failed === undefined) return { ...result(done, settle(there.instance, done.session)), ...failure }
      failure ??= { trap: done.failed, lastWords: done.session.lastWords() }
      rest()
      maxTicks = done.ticks
      maxMs = Number.POSITIVE_INFINITY
      alive()
    }
    return { ...nothing(), ...failure }
  }

  const tryRun = (job: Job, alive: () => void): JobResult => {
    try {
      return run(job, alive)
    } catch (error) {
      rest()
      return { ...nothing(), fault: messageOf(error) }
    }
  }

  const spawn = (attempt: Attempt): JobResult => {
    const session = createSession(attempt, spec.init, boundary.kv, tools.sha256)
    const from = tools.now()
    session.begin(attempt.tick)
    let step = 'its data segments'
    try {
      pool.admit(agent, () => {
        live = create()
      })
      const { instance, use } = live as unknown as Live
      use(session)
      step = 'its start function'
      instance.start()
      for (const name of [instance.has('_initialize') ? '_initialize' : '_start', 'agent_init']) {
        step = name
        if (instance.has(name)) instance.call(name)
      }
      session.end()
      const ended = tools.now()
      const done = { session, ticks: 0, more: false, longest: ended - from, started: from, ended }
      return result(done, settle(instance, session))
    } catch (error) {
      rest()
      if (!(error instanceof Trap)) throw error
      const last = session.lastWords().at(-1)
      const said = last === undefined ? '' : `; its last words: ${last}`
      throw new Refusal('BAD_MODULE', `the agent failed to start: ${step}: ${error.message}${said}`, { cause: error })
    }
  }

  /** Touches what changed and no more: a move waits for it. */
  const patch = (image: ImagePatch): void => {
    boundary = applyImage(boundary, image, spec.maxMemoryBytes)
    const { memory, globals } = boundary
    if (live === undefined) {
      wake()
      return
    }
    const chunks = image.chunks.map(
      ([index]) => [index, memory.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES)] as const,
    )
    live.instance.patch({ memoryBytes: memory.length, chunks, globals })
  }

  /** Restores at once: what does not fit is found before the agent counts as placed. */
  const adopt = (change: () => void): void => {
    try {
      change()
    } catch (error) {
      rest()
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
        boundary = applyImage(emptyBoundary, image, spec.maxMemoryBytes)
        wake()
      }),
    patch: (image) => {
      if (ran) throw new Refusal('BAD_REQUEST', 'an agent that ran here is not patched')
      adopt(() => patch(image))
    },
    run: tryRun,
    rest,
  }
  return agent
}
