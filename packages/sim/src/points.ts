/**
 * Crash points: the named moments at which a process may end. Each durable write and each message has some.
 *
 * @module
 */
import type { Process } from './process.ts'

/** Ends whichever process comes to a point for the nth time (0: the first). */
export interface CrashPlan {
  readonly point: string
  readonly nth: number
}

export interface Points {
  /** How often each point was come to. */
  readonly seen: ReadonlyMap<string, number>
  /** Points at which a process was ended. */
  readonly struck: ReadonlySet<string>
  /** The moment in all: it goes up by one at each. */
  readonly moment: number
  /**
   * The process has come to a point. When its end is due, `before` is done first (half of a write) and true is the
   * answer: the caller does nothing more.
   */
  reach(process: Process, point: string, before?: () => void): boolean
  plan(plans: readonly CrashPlan[]): void
  /** Ends whoever comes to the nth point from now, whichever it is. */
  planMoment(nth: number): void
}

export const createPoints = (strike: (process: Process, point: string, half: boolean) => void): Points => {
  const seen = new Map<string, number>()
  const struck = new Set<string>()
  let plans: { point: string; left: number }[] = []
  let moment = 0
  let dueMoment: number | undefined
  return {
    seen,
    struck,
    get moment() {
      return moment
    },
    plan: (next) => {
      plans = next.map(({ point, nth }) => ({ point, left: nth }))
    },
    planMoment: (nth) => {
      dueMoment = moment + nth
    },
    reach: (process, point, before) => {
      seen.set(point, (seen.get(point) ?? 0) + 1)
      let due = moment === dueMoment
      moment++
      for (const plan of plans) if (plan.point === point && plan.left-- === 0) due = true
      if (!due) return false
      plans = plans.filter(({ left }) => left >= 0)
      struck.add(point)
      before?.()
      strike(process, point, before !== undefined)
      return true
    },
  }
}
