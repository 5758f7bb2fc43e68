import type { Clock } from '@igor/core'

/** The longest time that a timer of Node.js takes; a longer one would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** The machine's clocks. Wall time has a resolution of 1 ms. */
export function nodeClock(): Clock {
  return {
    now: () => BigInt(Date.now()) * 1_000_000n,
    elapsed: () => performance.now(),
    async sleep(ms, signal) {
      for (let left = ms; ; left -= MAX_TIMER_MS) {
        await timer(Math.min(left, MAX_TIMER_MS), signal)
        if (left <= MAX_TIMER_MS) return
      }
    },
  }
}

function timer(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const abort = () => {
      clearTimeout(timeout)
      reject(signal?.reason)
    }
    const timeout = setTimeout(() => {
      signal?.removeEventListener('abort', abort)
      resolve()
    }, ms)
    signal?.addEventListener('abort', abort, { once: true })
  })
}
