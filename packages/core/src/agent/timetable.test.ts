import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Clock } from '../platform.ts'
import { createTimetable } from './timetable.ts'

/** Time that passes when it is told to, in steps to whatever sleeps. */
const handClock = () => {
  let now = 0
  let sleeps = 0
  const sleepers = new Set<{ at: number; wake: () => void }>()
  const clock: Clock = {
    now: () => BigInt(now) * 1_000_000n,
    elapsed: () => now,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        sleeps++
        const sleeper = { at: now + ms, wake: resolve }
        sleepers.add(sleeper)
        signal?.addEventListener('abort', () => {
          sleepers.delete(sleeper)
          reject(signal.reason)
        })
      }),
  }
  const settle = async (): Promise<void> => {
    for (let i = 0; i < 20; i++) await undefined
  }
  return {
    clock,
    settle,
    get sleepers() {
      return sleepers.size
    },
    get sleeps() {
      return sleeps
    },
    pass: async (ms: number): Promise<void> => {
      const end = now + ms
      for (;;) {
        await settle()
        const next = Math.min(end, ...[...sleepers].map(({ at }) => at))
        now = Math.max(now, next)
        for (const sleeper of sleepers) {
          if (sleeper.at > now) continue
          sleepers.delete(sleeper)
          sleeper.wake()
        }
        await settle()
        if (now >= end && ![...sleepers].some(({ at }) => at <= now)) return
      }
    },
  }
}

describe('a timetable', () => {
  it('wakes each when it is time, whatever order they came in, with one sleeper for all', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: 200 }), { minLength: 1, maxLength: 40 }), async (times) => {
        const hand = handClock()
        const table = createTimetable(hand.clock, new AbortController().signal)
        const rang: number[] = []
        for (const at of times)
          void table
            .alarm()
            .wait(at)
            .then(() => rang.push(hand.clock.elapsed()))
        await hand.settle()
        expect(hand.sleepers).toBeLessThanOrEqual(1)
        await hand.pass(300)
        expect(rang).toEqual(times.toSorted((a, b) => a - b))
        expect(hand.sleepers).toBe(0)
      }),
    )
  })

  it('wakes early whoever is asked for, now or the next time', async () => {
    const hand = handClock()
    const alarm = createTimetable(hand.clock, new AbortController().signal).alarm()
    let woken = 0
    const wait = (): void => void alarm.wait(1000).then(() => woken++)
    wait()
    alarm.wake()
    await hand.settle()
    expect([woken, alarm.rung]).toEqual([1, true])
    wait()
    await hand.settle()
    expect(woken).toBe(2)
    alarm.quiet()
    wait()
    await hand.pass(999)
    expect(woken).toBe(2)
    await hand.pass(1)
    expect(woken).toBe(3)
  })

  it('leaves no sleeper behind when it ends', async () => {
    const hand = handClock()
    const ended = new AbortController()
    const alarm = createTimetable(hand.clock, ended.signal).alarm()
    void alarm.wait(1000)
    await hand.settle()
    expect(hand.sleepers).toBe(1)
    ended.abort()
    await hand.settle()
    expect(hand.sleepers).toBe(0)
  })
})
