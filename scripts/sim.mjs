// `npm run sim`: many seeds of the simulator, on every core. Options: --seeds N, --seed S (one, again), --from S (the first of
// many), --hours H (as long as that), --trace, --json, and what shapes a run: --minutes, --nodes, --agents, --liars, --level, --crash
// "POINT#NTH", --without "KIND,KIND", --focus "KIND,KIND", --witness or --no-witness (default: by the seed).
import { randomInt } from 'node:crypto'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { ensureInstalled } from './workspace.mjs'

/** Seeds that once failed, and why: they are run every time. */
export const REGRESSIONS = [
  { seed: 3, level: 0, witness: false, liars: 0, why: 'a paused agent left in a file without the messages that it had not read' },
  {
    seed: 430057148344,
    witness: false,
    liars: 0,
    why: 'a move that waited for an agent whose module was damaged took the whole thread',
  },
  { seed: 8, witness: true, liars: 0, why: 'a file was given out before the witness had cosigned the handoff: nobody took it' },
  { seed: 130, witness: true, liars: 0, why: 'what waited for a record of a host that was deposed kept its thread busy' },
  {
    ...{ seed: 84, witness: true, liars: 0, focus: ['line is cut one way', 'process stands still', 'node is cut off'] },
    why: 'an agent that rested left without the messages that its records had named before its host was started anew',
  },
  { seed: 1024686654625, why: 'an accept that was cosigned before its host went down, with what came after it, was refused' },
  {
    seed: 1024686652717,
    crash: { point: 'journal: truncate log, after', nth: 0 },
    why: 'a node that was started on a full disk gave its agents up for damaged',
  },
]

/**
 * @param {Iterable<object>} runs
 * @param {{ideal?: boolean, seconds?: number, threads?: number, cover?: boolean, onfailure?: (run: object, result: object) => void}} [options]
 */
export async function simulate(runs, { cover = true, threads, onfailure = () => {} } = {}) {
  const [{ bundle }, { openThreads }] = await Promise.all([import('./sim/bundle.mjs'), import('./sim/threads.mjs')])
  const source = await bundle()
  const sim = await import(`data:text/javascript;base64,${Buffer.from(source).toString('base64')}`)
  const pool = await openThreads(source, { threads })
  const adding = sim.createSummary()
  let seconds = 0
  const add = (run, result, took) => {
    seconds += took
    adding.add(run, result)
    if (result.failures.length > 0) onfailure(run, result)
  }
  try {
    await pool.all(runs, add)
    if (cover) await pool.all(adding.uncovered(), add)
  } finally {
    await pool.close()
  }
  const { summary } = adding
  const unseen = cover ? sim.REQUIRED.filter((point) => !summary.points.has(point)) : []
  const uncovered = cover ? [...summary.points.keys()].filter((point) => !summary.struck.has(point)) : []
  return { summary, seconds, unseen, uncovered, text: sim.describe(summary, seconds), reproduce: sim.reproduce }
}

/** Options of `npm run sim` as those of a run. */
function shapeOf({ minutes, nodes, agents, liars, level, crash, without, focus, witness }) {
  const number = (name, text) => {
    const value = Number(text)
    if (!Number.isFinite(value) || value < 0) throw new Error(`--${name} takes a number, not ${text}`)
    return { [name]: value }
  }
  const [, point, nth] = /^(.*)#(\d+)$/.exec(crash ?? '') ?? []
  if (crash !== undefined && point === undefined) throw new Error('--crash takes POINT#NTH, such as "handoff: done#0"')
  return {
    ...(minutes === undefined ? {} : number('minutes', minutes)),
    ...(nodes === undefined ? {} : number('nodes', nodes)),
    ...(agents === undefined ? {} : number('agents', agents)),
    ...(liars === undefined ? {} : number('liars', liars)),
    ...(level === undefined ? {} : number('level', level)),
    ...(point === undefined ? {} : { crash: { point, nth: Number(nth) } }),
    ...(without === undefined ? {} : { without: without.split(',') }),
    ...(witness === undefined ? {} : { witness }),
    ...(focus === undefined ? {} : { focus: focus.split(',') }),
  }
}

async function again(run, { trace, json }) {
  const [{ bundle }, { openThreads }] = await Promise.all([import('./sim/bundle.mjs'), import('./sim/threads.mjs')])
  const pool = await openThreads(await bundle(), { threads: 1, traced: true })
  try {
    const { result } = await pool.one({ ...run, traced: trace })
    if (json) console.log(JSON.stringify({ seed: run.seed, hash: result.hash, failures: result.failures, trace: result.trace }))
    else {
      for (const line of result.trace) console.log(line)
      console.log(`seed ${run.seed}: ${result.hash}, ${result.events} events, ${result.failures.join('; ') || 'all holds'}`)
    }
    if (result.failures.length > 0) {
      process.exitCode = 1
      if (!json && run.without === undefined) {
        const shrunk = await pool.shrink(run)
        const { reproduce } = await import(`data:text/javascript;base64,${Buffer.from(await bundle()).toString('base64')}`)
        console.log(`the least that still fails: npm run sim -- ${reproduce(shrunk.run)} --trace`)
      }
    }
  } finally {
    await pool.close()
  }
}

async function main() {
  const text = { type: 'string' }
  const { values } = parseArgs({
    allowNegative: true,
    options: {
      ...{ seeds: text, seed: text, from: text, hours: text, minutes: text, nodes: text, agents: text, liars: text, level: text },
      ...{
        crash: text,
        without: text,
        focus: text,
        witness: { type: 'boolean' },
        threads: text,
        trace: { type: 'boolean' },
        json: { type: 'boolean' },
      },
    },
  })
  const shape = shapeOf(values)
  if (values.seed !== undefined) return again({ seed: Number(values.seed), ...shape }, values)
  const from = values.from === undefined ? randomInt(2 ** 40) : Number(values.from)
  const until = values.hours === undefined ? undefined : Date.now() + Number(values.hours) * 3_600_000
  const count = Number(values.seeds ?? 2000)
  const runs = (function* () {
    for (let i = 0; until === undefined ? i < count : Date.now() < until; i++) yield { seed: from + i, ...shape }
  })()
  if (!values.json) console.log(`seeds from ${from}`)
  const {
    summary,
    seconds,
    unseen,
    uncovered,
    text: words,
  } = await simulate(runs, {
    ...(values.threads === undefined ? {} : { threads: Number(values.threads) }),
  })
  if (values.json) {
    const { runs: n, simulatedMs, events, failed } = summary
    const plain = { runs: n, from, simulatedMs, events, seconds, failed, uncovered, unseen }
    console.log(
      JSON.stringify({ ...plain, faults: Object.fromEntries(summary.faults), looked: Object.fromEntries(summary.looked) }),
    )
  } else console.log(words)
  // A night's run has seen everything; a handful of seeds need not.
  const wide = summary.runs >= 1000 && Object.keys(shape).length === 0
  if (wide) for (const point of unseen) console.log(`FAILED no run came to "${point}"`)
  for (const point of uncovered) console.log(`FAILED no process ended at "${point}"`)
  if (summary.failed.length > 0 || uncovered.length > 0 || (wide && unseen.length > 0)) process.exitCode = 1
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  await ensureInstalled()
  await main()
}
