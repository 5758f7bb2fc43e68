/** @module */
import { randomInt } from 'node:crypto'
import { createSummary, describe, type RunOptions, type RunResult, reproduce, runSeed } from '@igor/sim'
import type { Command } from 'commander'
import { type CommonOptions, defineCommand } from '../command.ts'
import { CommandError, usageError } from '../failure.ts'
import { plural } from '../format.ts'
import { createOutput, type Io } from '../output.ts'

interface SimulateOptions extends CommonOptions {
  readonly seeds: string
  readonly seed?: string
  readonly hours?: string
  readonly trace?: boolean
}

/** New seeds begin anywhere below this. */
const ANYWHERE = 2 ** 40

export function simulateCommand(io: Io): Command {
  return defineCommand(
    io,
    'simulate',
    'run many nodes on simulated time, networks and disks, let things go wrong, and check that every agent lives once',
    [
      'simulate                     100 seeds, new ones each time',
      'simulate --seed 7 --trace    one again, told step by step',
      'simulate --hours 1           as many as an hour allows',
    ],
  )
    .option('--seeds <n>', 'how many seeds', '100')
    .option('--seed <s>', 'this one alone')
    .option('--hours <h>', 'go on for so long instead')
    .option('--trace', 'tell what happens, with --seed')
    .action(async (options: SimulateOptions) => {
      const output = createOutput(io, options.json === true)
      if (options.seed !== undefined) {
        const result = await run(io, { seed: numberOf('seed', options.seed), traced: options.trace === true })
        for (const line of result.trace) output.line(line)
        const { hash, events, failures, trace } = result
        output.result(
          { seed: result.seed, hash, events, failures, trace },
          `seed ${result.seed}: ${hash}, ${plural(events, 'event')}`,
        )
        return fail(failures)
      }
      const from = randomInt(ANYWHERE)
      const until = options.hours === undefined ? undefined : Date.now() + numberOf('hours', options.hours) * 3_600_000
      const count = numberOf('seeds', options.seeds)
      const { add, summary } = collect()
      output.note(`seeds from ${from}`)
      const begun = process.cpuUsage()
      for (let i = 0; until === undefined ? i < count : Date.now() < until; i++) {
        const options = { seed: from + i }
        const result = await run(io, options)
        add(options, result)
        if (result.failures.length > 0)
          output.note(`seed ${from + i}: ${result.failures[0]}; again: igor simulate ${reproduce(options)} --trace`)
      }
      const { user, system } = process.cpuUsage(begun)
      const seconds = (user + system) / 1e6
      const { runs, failed, simulatedMs, events, faults, looked } = summary()
      const plain = {
        runs,
        from,
        simulatedMs,
        events,
        seconds,
        failed,
        faults: Object.fromEntries(faults),
        looked: Object.fromEntries(looked),
      }
      output.result(plain, () => describe(summary(), seconds))
      fail(failed.flatMap(({ failures }) => failures))
    })
}

const collect = () => {
  const adding = createSummary()
  return { add: adding.add, summary: () => adding.summary }
}

/** A run, and what nobody handled in it. */
async function run({ signal }: Io, options: RunOptions): Promise<RunResult> {
  signal.throwIfAborted()
  const unhandled: string[] = []
  const note = (error: unknown): void => void unhandled.push(`nobody handled: ${String(error)}`)
  process.on('unhandledRejection', note)
  try {
    const result = await runSeed(options)
    await new Promise((resolve) => setImmediate(resolve))
    return { ...result, failures: [...result.failures, ...unhandled] }
  } finally {
    process.off('unhandledRejection', note)
  }
}

function fail(failures: readonly string[]): void {
  const [first] = failures
  if (first !== undefined) throw new CommandError('SIMULATION_FAILED', first)
}

function numberOf(name: string, text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value) || value < 0) throw usageError(`--${name} takes a number, not ${text}`)
  return value
}
