/**
 * A process that can be killed and paused between any two of its steps. What a dead one waits for never comes: its
 * code hangs where it was, and nothing that it still does reaches anybody.
 *
 * @module
 */
import type { Random } from './random.ts'
import type { Scheduler } from './scheduler.ts'

export interface Process {
  /** Number of its machine. */
  readonly machine: number
  readonly alive: boolean
  readonly paused: boolean
  readonly random: Random
  readonly scheduler: Scheduler
  /** Runs `task` in this process after `us` microseconds; later when it is paused then, never when it is dead. */
  after(us: number, task: () => void): () => void
  /** A value after `us` microseconds. */
  later<T>(us: number, value: () => T): Promise<T>
  /** Never settles. */
  readonly never: Promise<never>
  kill(): void
  pause(): void
  resume(): void
  onkill(listener: () => void): void
}

export const createProcess = (scheduler: Scheduler, random: Random, machine: number): Process => {
  let alive = true
  let paused = false
  let waiting: (() => void)[] = []
  const killed: (() => void)[] = []
  const enter = (task: () => void): void => {
    if (!alive) return
    if (paused) waiting.push(task)
    else task()
  }
  const process: Process = {
    machine,
    random,
    scheduler,
    get alive() {
      return alive
    },
    get paused() {
      return paused
    },
    after: (us, task) => {
      let cancelled = false
      const cancel = scheduler.after(us, () =>
        enter(() => {
          if (!cancelled) task()
        }),
      )
      return () => {
        cancelled = true
        cancel()
      }
    },
    later: (us, value) =>
      new Promise((resolve, reject) => {
        process.after(us, () => {
          try {
            resolve(value())
          } catch (error) {
            reject(error)
          }
        })
      }),
    never: new Promise<never>(() => {}),
    kill: () => {
      if (!alive) return
      alive = false
      waiting = []
      for (const listener of killed) listener()
    },
    pause: () => {
      paused = true
    },
    resume: () => {
      paused = false
      // Each in a turn of its own, in the order in which they came.
      for (const task of waiting.splice(0)) scheduler.after(0, () => enter(task))
    },
    onkill: (listener) => killed.push(listener),
  }
  return process
}
