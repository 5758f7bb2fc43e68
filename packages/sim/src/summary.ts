/**
 * What many runs found, added up.
 *
 * @module
 */
import type { RunOptions, RunResult } from './run.ts'

export interface Failure {
  readonly run: RunOptions
  readonly failures: readonly string[]
}

export interface Summary {
  readonly runs: number
  readonly failed: readonly Failure[]
  readonly simulatedMs: number
  readonly events: number
  readonly ticks: number
  readonly faults: ReadonlyMap<string, number>
  /** What Byzantine hosts did. */
  readonly lies: ReadonlyMap<string, number>
  /** Crash points that some run came to, and one run that did. */
  readonly points: ReadonlyMap<string, RunOptions>
  readonly struck: ReadonlySet<string>
  /** Invariants, and how often each was looked at. */
  readonly looked: ReadonlyMap<string, number>
}

export interface Adding {
  /** Of a run that did not end there is only why. */
  add(run: RunOptions, result: RunResult | Pick<RunResult, 'failures'>): void
  readonly summary: Summary
  /** Runs that end a process at points where none ended yet. */
  uncovered(): RunOptions[]
}

export const createSummary = (): Adding => {
  const failed: Failure[] = []
  const faults = new Map<string, number>()
  const lies = new Map<string, number>()
  const points = new Map<string, RunOptions>()
  const struck = new Set<string>()
  const looked = new Map<string, number>()
  let [runs, simulatedMs, events, ticks] = [0, 0, 0, 0]
  const addTo = (sums: Map<string, number>, more: ReadonlyMap<string, number>): void => {
    for (const [key, n] of more) sums.set(key, (sums.get(key) ?? 0) + n)
  }
  return {
    add: (run, result) => {
      runs++
      if (result.failures.length > 0) failed.push({ run, failures: result.failures })
      if (!('hash' in result)) return
      simulatedMs += result.simulatedMs
      events += result.events
      ticks += result.ticks
      addTo(faults, result.faults)
      addTo(lies, result.lies)
      addTo(looked, result.looked)
      // A planned crash stands in the way of no other: the run came here without it.
      for (const point of result.points.keys()) if (!points.has(point) && run.crash === undefined) points.set(point, run)
      for (const point of result.struck) struck.add(point)
    },
    get summary() {
      return { runs, failed, simulatedMs, events, ticks, faults, lies, points, struck, looked }
    },
    uncovered: () =>
      [...points].filter(([point]) => !struck.has(point)).map(([point, run]) => ({ ...run, crash: { point, nth: 0 } })),
  }
}

/** Options of `igor simulate` and `npm run sim` that make this run again. */
export const reproduce = ({
  seed,
  minutes,
  nodes,
  agents,
  level,
  crash,
  witness,
  liars,
  without = [],
  focus = [],
}: RunOptions): string =>
  [
    `--seed ${seed}`,
    ...(minutes === undefined ? [] : [`--minutes ${minutes}`]),
    ...(nodes === undefined ? [] : [`--nodes ${nodes}`]),
    ...(agents === undefined ? [] : [`--agents ${agents}`]),
    ...(level === undefined ? [] : [`--level ${level}`]),
    ...(liars === undefined ? [] : [`--liars ${liars}`]),
    ...(witness === undefined ? [] : [witness ? '--witness' : '--no-witness']),
    ...(crash === undefined ? [] : [`--crash "${crash.point}#${crash.nth}"`]),
    ...(focus.length === 0 ? [] : [`--focus "${focus.join(',')}"`]),
    ...(without.length === 0 ? [] : [`--without "${without.join(',')}"`]),
  ].join(' ')

const table = (sums: ReadonlyMap<string, number>): string =>
  [...sums]
    .sort(([, a], [, b]) => b - a)
    .map(([key, n]) => `${key} ${n}`)
    .join(', ')

/** @param seconds of processor time that the runs took */
export const describe = (summary: Summary, seconds: number): string => {
  const { runs, failed, simulatedMs, events, ticks, faults, lies, points, struck, looked } = summary
  const hours = simulatedMs / 3_600_000
  return [
    `${runs} runs, ${hours.toFixed(1)} simulated hours, ${ticks} ticks seen, ${events} events`,
    `${(hours / seconds).toFixed(3)} simulated hours a second of one core: ${Math.round((hours * 3600) / seconds)} times real time`,
    `faults: ${table(faults)}`,
    `lies of Byzantine hosts: ${table(lies)}`,
    `crash points: ${[...points.keys()].filter((point) => struck.has(point)).length} of ${points.size} covered`,
    `invariants looked at: ${table(looked)}`,
    ...failed.map(({ run, failures }) => `FAILED ${reproduce(run)}\n  ${failures.join('\n  ')}`),
  ].join('\n')
}
