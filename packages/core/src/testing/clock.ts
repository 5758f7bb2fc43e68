import { describe, expect, it } from 'vitest'
import type { Clock } from '../platform.ts'

/** Timers may fire this much early: they count in whole milliseconds. */
const EARLY_MS = 1

/** Acceptance suite of `Clock`. */
export function clockSuite(make: () => Clock | Promise<Clock>): void {
  describe('Clock', () => {
    it('tells Unix nanoseconds', async () => {
      const clock = await make()
      const before = Date.now()
      const now = Number(clock.now() / 1_000_000n)
      expect(now).toBeGreaterThanOrEqual(before - 1000)
      expect(now).toBeLessThanOrEqual(Date.now() + 1000)
    })

    it('counts milliseconds that never go back', async () => {
      const clock = await make()
      let last = clock.elapsed()
      const start = last
      while (last - start < 5) {
        const next = clock.elapsed()
        expect(next).toBeGreaterThanOrEqual(last)
        last = next
      }
    })

    it('sleeps at least as long as asked, and not for ever', async () => {
      const clock = await make()
      for (const ms of [0, 1, 20]) {
        const start = clock.elapsed()
        await clock.sleep(ms)
        const slept = clock.elapsed() - start
        expect(slept).toBeGreaterThanOrEqual(ms - EARLY_MS)
        expect(slept).toBeLessThan(ms + 5000)
      }
    })

    it('wakes sleepers in the order of their times', async () => {
      const clock = await make()
      const woken: number[] = []
      await Promise.all([120, 60, 1].map((ms) => clock.sleep(ms).then(() => woken.push(ms))))
      expect(woken).toEqual([1, 60, 120])
    })

    it('rejects with the reason of a signal that was aborted before', async () => {
      const clock = await make()
      const reason = new Error('before')
      await expect(clock.sleep(60_000, AbortSignal.abort(reason))).rejects.toBe(reason)
    })

    it('rejects with the reason of a signal that is aborted meanwhile, at once', async () => {
      const clock = await make()
      const stop = new AbortController()
      const reason = new Error('meanwhile')
      const start = clock.elapsed()
      const slept = clock.sleep(60_000, stop.signal)
      const other = clock.sleep(5, stop.signal)
      await other
      stop.abort(reason)
      await expect(slept).rejects.toBe(reason)
      expect(clock.elapsed() - start).toBeLessThan(5000)
    })
  })
}
