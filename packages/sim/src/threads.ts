/**
 * Threads that take time, stop answering and end by themselves. What runs in them is the real worker side.
 *
 * @module
 */
import type { Thread, Threads } from '@igor/core'
import { inThreads } from '@igor/core/simulated'
import type { Process } from './process.ts'

export interface ThreadFaults {
  /** That a thread ends, or hangs for good, when it is asked to run something. */
  ends: number
  hangs: number
}

/** Microseconds that a message takes to or from a thread. */
const POST_US = 60

const typeOf = (message: unknown): string => (message as { readonly type: string }).type

export const createThreads = (process: Process, faults: ThreadFaults): Threads => {
  const { scheduler } = process
  const inner = inThreads({ now: () => scheduler.now / 1000 })
  return {
    parallelism: inner.parallelism,
    spawn: () => {
      const worker = inner.spawn()
      let ended = false
      let hangs = false
      // Compiling is done at the engine's own pace: nothing else happens until it has answered.
      let loaded: (() => void) | undefined
      worker.onmessage = (message) => {
        loaded?.()
        loaded = undefined
        process.after(POST_US * process.random.between(1, 4), () => {
          if (!ended && !hangs) thread.onmessage?.(message)
        })
      }
      const thread: Thread = {
        onmessage: undefined,
        onexit: undefined,
        post: (message, transfer = []) => {
          if (ended || !process.alive) return
          const copy = structuredClone(message, { transfer: [...transfer] })
          const type = typeOf(message)
          const fails = type === 'run' && process.random.chance(faults.ends)
          hangs ||= type === 'run' && process.random.chance(faults.hangs)
          process.after(POST_US * process.random.between(1, 4), () => {
            if (ended || hangs) return
            if (fails) {
              ended = true
              worker.terminate()
              thread.onexit?.('it ran out of memory')
              return
            }
            if (type === 'load') scheduler.hold(new Promise<void>((resolve) => (loaded = resolve)))
            worker.post(copy)
          })
        },
        terminate: () => {
          ended = true
          worker.terminate()
          loaded?.()
        },
      }
      process.onkill(() => {
        ended = true
        worker.terminate()
        loaded?.()
      })
      return thread
    },
  }
}
