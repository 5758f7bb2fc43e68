/**
 * The shortest schedule of faults that still fails.
 *
 * @module
 */
import { LEFT_OUT } from './faults.ts'
import { type RunOptions, type RunResult, runSeed } from './run.ts'

/** Leaves out whole kinds of faults, and then time, as long as it still fails. */
export const shrink = async (run: RunOptions): Promise<{ readonly run: RunOptions; readonly result: RunResult }> => {
  let [best, result] = [run, await runSeed(run)]
  const attempt = async (next: RunOptions): Promise<void> => {
    const tried = await runSeed(next)
    if (tried.failures.length > 0) [best, result] = [next, tried]
  }
  for (const kind of LEFT_OUT) await attempt({ ...best, without: [...(best.without ?? []), kind] })
  for (let i = 0; i < 5; i++) await attempt({ ...best, minutes: Math.round(500 * (best.minutes ?? result.minutes)) / 1000 })
  return { run: best, result: await runSeed({ ...best, traced: true }) }
}
