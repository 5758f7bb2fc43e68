/**
 * A machine's clocks, wrong as clocks are: set wrong, drifting, jumping, standing still while it sleeps.
 *
 * @module
 */
import type { Clock } from '@igor/core'
import type { Process } from './process.ts'

/** 2026-01-01 in Unix microseconds: where simulated time begins. */
const EPOCH_US = 1_767_225_600_000_000

export interface MachineClock {
  /** Microseconds that its wall clock is ahead. */
  offset: number
  /** How much faster than true time it goes, such as 0.0001. */
  readonly drift: number
  /** Microseconds that it slept: its monotonic clock does not count them. */
  slept: number
}

export const createClock = (process: Process, machine: MachineClock): Clock => {
  const { scheduler } = process
  const rate = 1 + machine.drift
  const begun = scheduler.now
  return {
    now: () => BigInt(EPOCH_US + Math.round(scheduler.now * rate + machine.offset)) * 1000n,
    elapsed: () => ((scheduler.now - begun - machine.slept) * rate) / 1000,
    sleep: (ms, signal) => {
      if (!process.alive) return process.never
      return new Promise((resolve, reject) => {
        if (signal?.aborted === true) {
          reject(signal.reason)
          return
        }
        const onabort = (): void => {
          cancel()
          reject(signal?.reason)
        }
        // Time never stands still: who sleeps for nothing until a clock says so would wait for ever.
        const cancel = process.after(Math.max(1, Math.ceil((ms * 1000) / rate)), () => {
          signal?.removeEventListener('abort', onabort)
          resolve()
        })
        signal?.addEventListener('abort', onabort, { once: true })
      })
    },
  }
}
