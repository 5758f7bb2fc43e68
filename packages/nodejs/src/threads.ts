import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { Thread, Threads } from '@igor/core'

/**
 * JavaScript objects of one thread. The agents' memories are outside of this heap; an image on its way
 * is too.
 */
const MAX_HEAP_MB = 256
/** Young objects: messages and their parts. */
const MAX_YOUNG_MB = 32

/**
 * Of the 12,900 that the address space of a process has room for: each memory reserves 10 GiB of it, and takes what is in
 * use. A worker that gets none lowers its share.
 */
const MAX_LIVE = 12_000

/**
 * Worker threads that serve `@igor/core/worker`.
 *
 * @param workerUrl the entry; default: the one beside this module
 */
export function nodeThreads(workerUrl?: URL): Threads {
  return {
    parallelism: availableParallelism(),
    maxLive: MAX_LIVE,
    spawn: () => spawn(workerUrl ?? ownWorker()),
  }
}

/** Beside this module: TypeScript when that runs from source, else JavaScript. */
function ownWorker(): URL {
  const here = import.meta.url
  return new URL(here.endsWith('.ts') ? './worker.ts' : './worker.js', here)
}

function spawn(url: URL): Thread {
  const fromSource = url.pathname.endsWith('.ts')
  const worker = new Worker(url, {
    // Its own, not the parent's: those may be for a test runner or a debugger.
    execArgv: fromSource ? ['--conditions=source'] : [],
    // It needs nothing of the environment, and should not be able to read it.
    env: {},
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB, maxYoungGenerationSizeMb: MAX_YOUNG_MB },
  })
  let ended = false
  let problem: string | undefined
  const thread: Thread = {
    onmessage: undefined,
    onexit: undefined,
    post(message, transfer = []) {
      if (!ended) worker.postMessage(message, [...transfer])
    },
    terminate() {
      if (ended) return
      ended = true
      // It may take a moment to stop; the process need not wait for that.
      worker.unref()
      void worker.terminate()
    },
  }
  worker.on('message', (message: unknown) => {
    // Messages that were under way when it was ended still arrive.
    if (!ended) thread.onmessage?.(message)
  })
  worker.on('messageerror', (error) => {
    problem = `a message of it could not be read: ${error.message}`
    void worker.terminate()
  })
  worker.on('error', (error) => {
    problem = error instanceof Error ? error.message : String(error)
  })
  worker.on('exit', (code) => {
    if (ended) return
    ended = true
    thread.onexit?.(problem ?? `the worker thread ended by itself, with code ${code}`)
  })
  return thread
}
