/**
 * Entry of the clock's worker: a timer for each sleep.
 *
 * @module
 */
import type { ClockRequest } from './clock.ts'

const timers = new Map<number, ReturnType<typeof setTimeout>>()

self.onmessage = ({ data }: MessageEvent<ClockRequest>) => {
  if ('cancel' in data) {
    clearTimeout(timers.get(data.cancel))
    timers.delete(data.cancel)
    return
  }
  const { sleep, ms } = data
  const wake = () => {
    timers.delete(sleep)
    self.postMessage(sleep)
  }
  timers.set(sleep, setTimeout(wake, ms))
}
