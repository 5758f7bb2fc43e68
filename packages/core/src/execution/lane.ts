/**
 * One thread and what waits for it: requests go to it one at a time, runs that wait together go as one
 * batch, and a watchdog ends a thread that does not answer.
 *
 * @module
 */
import { IgorError } from '../errors.ts'
import type { Clock, Thread } from '../platform.ts'
import { messageOf } from '../thrown.ts'
import type { Job, JobResult, Reply, Request } from '../worker/protocol.ts'

/**
 * The watchdog looks this often, and counts only whole spans without a sign of life: a machine that slept
 * or a main thread that was busy counts as one span, however long it took.
 */
const SLICE_MS = 50
/** Jobs of one message: bounds what is lost together and how long others wait. */
const MAX_BATCH = 256
/** A thread says within this time (and one job) that it is alive; see `serve`. */
const REPORT_MS = 5

/** How far this request may have been the cause that the thread is no more. */
export type Guilt = 'sole' | 'suspect' | 'none'
export type Cause = 'hung' | 'exit' | 'closed'

/** The thread was ended, or ended by itself, before it answered. */
export class LaneLost extends Error {
  readonly reason: Cause
  readonly guilt: Guilt
  constructor(reason: Cause, guilt: Guilt, message: string) {
    super(message)
    this.reason = reason
    this.guilt = guilt
  }
}

type Asked = Exclude<Request, { type: 'run' | 'drop' | 'unload' }>
type Told = Extract<Request, { type: 'drop' | 'unload' }>
// Distributes over the union, which Omit does not.
type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never

interface Waiting<T> {
  readonly resolve: (value: T) => void
  readonly reject: (error: Error) => void
  /** Milliseconds that it may take, without slack. */
  readonly limitMs: number
}
interface AskWork extends Waiting<Reply> {
  readonly kind: 'ask'
  readonly request: WithoutId<Asked>
  readonly transfer: readonly ArrayBuffer[]
}
interface JobWork extends Waiting<JobResult> {
  readonly kind: 'job'
  readonly job: Job
  readonly alone: boolean
}
type Work = AskWork | JobWork

/** What the thread was handed and has not answered yet. */
interface Outstanding {
  readonly id: number
  readonly work: Work[]
  readonly limitMs: number
}

export interface Lane {
  readonly alive: boolean
  /** @throws LaneLost */
  ask(request: WithoutId<Asked>, limitMs: number, transfer?: readonly ArrayBuffer[]): Promise<Reply>
  /** @throws LaneLost */
  run(job: Job, limitMs: number, alone: boolean): Promise<JobResult>
  tell(message: Told): void
  /** Ends the thread at once. Everything that waits rejects with `LaneLost`. */
  end(reason: Cause, message: string): void
}

export interface LaneOptions {
  readonly thread: Thread
  readonly clock: Clock
  /** Milliseconds that an answer may be late: the machine may be busy with other things. */
  readonly slackMs: number
  /** Called once, before anything is rejected. */
  readonly onend: () => void
}

export const createLane = ({ thread, clock, slackMs, onend }: LaneOptions): Lane => {
  const queue: Work[] = []
  const ended = new AbortController()
  let outstanding: Outstanding | undefined
  let nextId = 1
  let signs = 0
  let watching = false
  let flushing = false

  const end = (reason: Cause, message: string): void => {
    if (ended.signal.aborted) return
    ended.abort()
    thread.onmessage = undefined
    thread.onexit = undefined
    thread.terminate()
    onend()
    const inside = outstanding?.work ?? []
    outstanding = undefined
    const guilt: Guilt = reason === 'closed' ? 'none' : inside.length === 1 ? 'sole' : 'suspect'
    for (const work of inside) work.reject(new LaneLost(reason, guilt, message))
    for (const work of queue.splice(0)) work.reject(new LaneLost(reason, 'none', message))
  }

  const watch = async (): Promise<void> => {
    watching = true
    let waited = 0
    while (outstanding !== undefined) {
      const before = outstanding
      const heard = signs
      await clock.sleep(SLICE_MS, ended.signal)
      waited = outstanding === before && signs === heard ? waited + SLICE_MS : 0
      if (waited > before.limitMs + slackMs) end('hung', `a worker did not answer for ${waited} ms and was ended`)
    }
    watching = false
  }

  const post = (work: Work[], limitMs: number, request: Request & { id: number }, transfer: readonly ArrayBuffer[]): void => {
    outstanding = { id: request.id, work, limitMs }
    try {
      thread.post(request, transfer)
    } catch (error) {
      // Only what cannot be cloned fails to be posted: a fault of this host, and of this request alone.
      outstanding = undefined
      const fault = new IgorError('HOST_FAULT', `a worker could not be asked: ${messageOf(error)}`)
      for (const one of work) one.reject(fault)
      flushSoon()
      return
    }
    // Rejects only when the lane ends, which has told everyone already.
    if (!watching) watch().catch(() => {})
  }

  const takeBatch = (first: JobWork): JobWork[] => {
    const batch = [first]
    if (first.alone) return batch
    for (let next = queue[0]; next?.kind === 'job' && !next.alone && batch.length < MAX_BATCH; next = queue[0]) {
      batch.push(next)
      queue.shift()
    }
    return batch
  }

  const flush = (): void => {
    if (outstanding !== undefined || ended.signal.aborted) return
    const first = queue.shift()
    if (first === undefined) return
    const id = nextId++
    if (first.kind === 'ask') {
      post([first], first.limitMs, { ...first.request, id } as Asked, first.transfer)
      return
    }
    const batch = takeBatch(first)
    const limitMs = Math.max(...batch.map((work) => work.limitMs)) + REPORT_MS
    post(batch, limitMs, { type: 'run', id, jobs: batch.map(({ job }) => job) }, [])
  }

  /** What is asked for in the same turn goes together. */
  const flushSoon = (): void => {
    if (flushing) return
    flushing = true
    void Promise.resolve().then(() => {
      flushing = false
      flush()
    })
  }

  const add = (work: Work): void => {
    if (ended.signal.aborted) {
      work.reject(new LaneLost('exit', 'none', 'the worker is gone'))
      return
    }
    queue.push(work)
    if (outstanding === undefined) flushSoon()
  }

  const settleJobs = (work: Work[], results: readonly JobResult[]): void => {
    for (const result of results) {
      const job = work.shift()
      if (job?.kind === 'job') job.resolve(result)
    }
  }

  thread.onmessage = (message) => {
    const reply = message as Reply
    if (outstanding === undefined || reply.id !== outstanding.id) return
    signs++
    const { work } = outstanding
    if (reply.type === 'ran') {
      settleJobs(work, reply.results)
      if (!reply.done) return
      if (work.length > 0) {
        end('exit', 'a worker left jobs without a result')
        return
      }
    } else if (work[0]?.kind === 'ask') work[0].resolve(reply)
    else {
      end('exit', reply.type === 'failed' ? reply.message : `a worker answered ${reply.type} to a run`)
      return
    }
    outstanding = undefined
    flushSoon()
  }
  thread.onexit = (reason) => end('exit', `a worker ended: ${reason}`)

  return {
    get alive() {
      return !ended.signal.aborted
    },
    ask: (request, limitMs, transfer = []) =>
      new Promise((resolve, reject) => add({ kind: 'ask', request, transfer, limitMs, resolve, reject })),
    run: (job, limitMs, alone) => new Promise((resolve, reject) => add({ kind: 'job', job, alone, limitMs, resolve, reject })),
    tell: (message) => {
      if (!ended.signal.aborted) thread.post(message)
    },
    end,
  }
}
