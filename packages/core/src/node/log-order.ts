/**
 * Each attachment of a watcher begins with the kept end of the log: what was told before is not told again.
 *
 * @module
 */

/** Where a line stands in an agent's log: which of its tick's lines it is. */
interface Place {
  readonly time: number
  readonly tick: number
  readonly nth: number
}

const later = (a: Place, b: Place): boolean =>
  a.time !== b.time ? a.time > b.time : a.tick !== b.tick ? a.tick > b.tick : a.nth > b.nth

export interface LogOrder {
  /**
   * A new attachment, whose lines may begin with old ones. What it returns is true of a line that was not told yet by this
   * or another attachment. The time of ticks never goes back, whoever hosts the agent.
   */
  attach(): (line: { readonly time: number; readonly tick: number }) => boolean
}

/** The order of the lines that one watcher is told. */
export const createLogOrder = (): LogOrder => {
  let told: Place | undefined
  return {
    attach: () => {
      let at: Place | undefined
      return ({ time, tick }) => {
        at = { time, tick, nth: at !== undefined && at.time === time && at.tick === tick ? at.nth + 1 : 1 }
        if (told !== undefined && !later(at, told)) return false
        told = at
        return true
      }
    },
  }
}
