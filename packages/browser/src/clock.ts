/**
 * Time in a tab. Browsers slow a hidden page's own timers down to one a minute, but not those of its
 * workers: every sleep is one of theirs.
 *
 * @module
 */
import { type Clock, IgorError } from '@igor/core'

/** What the page asks of the clock worker, and its answer: the number of the sleep that is over. */
export type ClockRequest = { readonly sleep: number; readonly ms: number } | { readonly cancel: number }

/** Longest delay in ms of one timer: a larger one would fire at once (HTML: a signed 32-bit integer). */
const LONGEST = 2 ** 31 - 1

const NANOSECONDS = 1_000_000n

export interface WorkerClockOptions {
  /** Script of the worker: `clock-worker.ts`, bundled by itself. Same origin (the CSP allows no other). Default: beside this module. */
  readonly workerUrl?: string | URL
}

export interface WorkerClock extends Clock {
  /** Ends the worker; who still sleeps is rejected with IgorError NODE_STOPPED. */
  close(): void
}

/** One small worker serves all sleeps. A worker that cannot start rejects them (IgorError HOST_FAULT). */
export function workerClock(options: WorkerClockOptions = {}): WorkerClock {
  const worker =
    options.workerUrl === undefined
      ? new Worker(new URL('./clock-worker.js', import.meta.url), { type: 'module', name: 'igor-clock' })
      : new Worker(options.workerUrl, { type: 'module', name: 'igor-clock' })
  const sleepers = new Map<number, { wake(): void; fail(error: unknown): void }>()
  let last = 0
  let ended: IgorError | undefined

  const end = (error: IgorError) => {
    ended ??= error
    worker.terminate()
    for (const sleeper of [...sleepers.values()]) sleeper.fail(ended)
  }
  worker.onmessage = ({ data }: MessageEvent<number>) => sleepers.get(data)?.wake()
  worker.onerror = (event) => {
    event.preventDefault()
    end(
      new IgorError(
        'HOST_FAULT',
        `the clock's worker could not run: ${event.message || 'its script did not load'}; reload the page`,
      ),
    )
  }

  const nap = (ms: number, signal: AbortSignal | undefined): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const sleep = ++last
    const leave = () => {
      sleepers.delete(sleep)
      signal?.removeEventListener('abort', abort)
    }
    const fail = (error: unknown) => {
      leave()
      reject(error)
    }
    const abort = () => {
      worker.postMessage({ cancel: sleep } satisfies ClockRequest)
      fail(signal?.reason)
    }
    const wake = () => {
      leave()
      resolve()
    }
    sleepers.set(sleep, { wake, fail })
    signal?.addEventListener('abort', abort)
    worker.postMessage({ sleep, ms } satisfies ClockRequest)
    return promise
  }

  return {
    // Not timeOrigin + performance.now(): that does not follow a clock that is set, and stands still while the machine sleeps.
    now: () => BigInt(Date.now()) * NANOSECONDS,
    // From the origin, which is another one in each worker.
    elapsed: () => performance.timeOrigin + performance.now(),
    sleep: async (ms, signal) => {
      let left = Math.max(ms, 0)
      const until = performance.now() + left
      do {
        signal?.throwIfAborted()
        if (ended) throw ended
        await nap(Math.min(Math.ceil(left), LONGEST), signal)
        left = until - performance.now()
      } while (left > 0)
    },
    close: () => end(new IgorError('NODE_STOPPED', 'the clock is stopped')),
  }
}
