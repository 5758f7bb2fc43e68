/**
 * When agents tick: one timer for all of a node, however many wait.
 *
 * @module
 */
import type { Clock } from '../platform.ts'

/** One who waits for a time, or to be woken before it. */
export interface Alarm {
  /**
   * Resolves at this time, or as soon as it is woken; at once if it was and is not quiet yet.
   * @param at by the clock's `elapsed`
   */
  wait(at: number): Promise<void>
  /** It was woken. */
  readonly rung: boolean
  wake(): void
  /** What it was woken for is done. */
  quiet(): void
}

export interface Timetable {
  alarm(): Alarm
}

/** @param signal ends it: whoever waits is woken when it has somebody to wake him */
export const createTimetable = (clock: Clock, signal: AbortSignal): Timetable => {
  /** Who waits for which whole millisecond, and these in order. */
  const slots = new Map<number, Set<() => void>>()
  const times: number[] = []
  let next = Number.POSITIVE_INFINITY
  let nudge = new AbortController()
  let running = false

  const due = (): number => {
    for (let first = times[0]; first !== undefined; first = times[0]) {
      if (slots.has(first)) return first
      times.shift()
    }
    return Number.POSITIVE_INFINITY
  }

  const run = async (): Promise<void> => {
    running = true
    for (next = due(); next < Number.POSITIVE_INFINITY && !signal.aborted; next = due()) {
      const left = next - clock.elapsed()
      if (left > 0) {
        await clock.sleep(left, nudge.signal).catch(() => {})
        if (nudge.signal.aborted) nudge = new AbortController()
        continue
      }
      const ringing = slots.get(next)
      slots.delete(next)
      for (const ring of ringing ?? []) ring()
    }
    running = false
    next = Number.POSITIVE_INFINITY
  }

  const insert = (time: number): void => {
    let [low, high] = [0, times.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((times[middle] ?? 0) < time) low = middle + 1
      else high = middle
    }
    if (times[low] !== time) times.splice(low, 0, time)
  }

  const add = (time: number, ring: () => void): void => {
    const slot = slots.get(time)
    if (slot !== undefined) {
      slot.add(ring)
      return
    }
    slots.set(time, new Set([ring]))
    insert(time)
    if (!running) void run()
    else if (time < next) nudge.abort()
  }

  const remove = (time: number, ring: () => void): void => {
    const slot = slots.get(time)
    slot?.delete(ring)
    if (slot?.size === 0) slots.delete(time)
  }

  signal.addEventListener('abort', () => nudge.abort(), { once: true })

  return {
    alarm: () => {
      let rung = false
      let waking: (() => void) | undefined
      return {
        get rung() {
          return rung
        },
        wait: (at) =>
          new Promise<void>((resolve) => {
            if (rung) return resolve()
            const time = Math.ceil(at)
            const ring = (): void => {
              waking = undefined
              remove(time, ring)
              resolve()
            }
            waking = ring
            add(time, ring)
          }),
        wake: () => {
          rung = true
          waking?.()
        },
        quiet: () => {
          rung = false
        },
      }
    },
  }
}
