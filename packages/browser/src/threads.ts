/**
 * Threads of a tab: module workers that serve the protocol of `@igor/core/worker`.
 *
 * @module
 */
import type { Thread, Threads } from '@igor/core'

export interface WebThreadsOptions {
  /** Script of a thread: `worker.ts`, bundled by itself. Same origin (the CSP allows no other). Default: beside this module. */
  readonly workerUrl?: string | URL
  /** Default: the number of logical processors that the browser admits to. */
  readonly parallelism?: number
}

/** Spawns module workers. A worker that cannot start, or that throws, is ended and told by `onexit`. */
export function webThreads(options: WebThreadsOptions = {}): Threads {
  return {
    parallelism: Math.max(1, Math.floor(options.parallelism ?? navigator.hardwareConcurrency ?? 1)),
    spawn: () => makeThread(start(options.workerUrl)),
  }
}

function start(url: string | URL | undefined): Worker {
  // Bundlers look for exactly this expression.
  if (url === undefined) return new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'igor-thread' })
  return new Worker(url, { type: 'module', name: 'igor-thread' })
}

function makeThread(worker: Worker): Thread {
  let ended = false
  const thread: Thread = {
    onmessage: undefined,
    onexit: undefined,
    post: (message, transfer = []) => {
      if (!ended) worker.postMessage(message, [...transfer])
    },
    terminate: () => {
      ended = true
      worker.terminate()
    },
  }
  const exit = (reason: string) => {
    if (ended) return
    thread.terminate()
    thread.onexit?.(reason)
  }
  worker.onmessage = ({ data }: MessageEvent<unknown>) => {
    // Messages that were under way when it was ended still arrive.
    if (!ended) thread.onmessage?.(data)
  }
  worker.onmessageerror = () => exit('a message of the worker could not be read')
  // A browser's worker lives on after an error that nobody caught; what it does then cannot be relied on.
  worker.onerror = (event) => {
    event.preventDefault()
    exit(event.message ? `the worker failed: ${event.message}` : "the worker's script did not load")
  }
  return thread
}
