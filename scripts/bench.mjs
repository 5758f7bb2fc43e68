// `npm run bench`: measures what the project promises about speed, and prints it beside the promise. Each bench is a file
// `*.bench.ts` beside what it measures, in a process of its own. Options: --only NAME,… (part of a file's name), --json,
// and --check: exit with 1 when a target is missed. Without it a slow or busy machine is no failure.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { glob } from 'node:fs/promises'
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { build } from './build.mjs'
import { ensureInstalled, environment, findNode, isBuilt, root } from './workspace.mjs'

/** Longer than any bench takes; one that hangs must end. */
const BENCH_MS = 10 * 60_000

const { values } = parseArgs({
  options: { only: { type: 'string' }, check: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } },
})

/** @param {string} file @returns {Promise<{figures: import('./bench-report.mjs').Figure[], failed: boolean}>} */
async function runBench(file) {
  /** @type {import('./bench-report.mjs').Figure[]} */
  const figures = []
  const child = fork(join(root, file), [], {
    cwd: root,
    env: environment(),
    execPath: findNode(),
    execArgv: ['--conditions=source'],
    stdio: ['ignore', values.json ? 2 : 'inherit', 'inherit', 'ipc'],
  })
  child.on('message', ({ figure }) => figures.push(figure))
  const timer = setTimeout(() => child.kill('SIGKILL'), BENCH_MS)
  const [code] = await once(child, 'exit')
  clearTimeout(timer)
  return { figures, failed: code !== 0 }
}

/** @param {import('./bench-report.mjs').Figure} figure */
const isMet = ({ value, atMost }) => atMost === undefined || value <= atMost

/** @param {number} value @param {string} unit */
const show = (value, unit) => `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ${unit}`

/** @param {string[][]} rows */
function table(rows) {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? []
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

await ensureInstalled()
const wanted = values.only?.split(',')
const files = (await Array.fromAsync(glob('{packages/*,e2e}/bench/*.bench.ts', { cwd: root })))
  .sort()
  .filter((file) => wanted === undefined || wanted.some((part) => basename(file).includes(part)))
if (files.length === 0) {
  console.error(`bench: no bench is called ${values.only}`)
  process.exit(2)
}

// The page that `igor up` serves is a built one.
if (files.some((file) => file.startsWith('e2e')) && !(await isBuilt())) await build()

const machine = `${cpus()[0]?.model ?? 'unknown CPU'}, ${availableParallelism()} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, ${process.platform}`
const before = loadavg()[0]
/** @type {{bench: string, figures: import('./bench-report.mjs').Figure[], failed: boolean}[]} */
const results = []
for (const file of files) {
  const bench = basename(file, '.bench.ts')
  if (!values.json) console.log(`${bench} …`)
  results.push({ bench, ...(await runBench(file)) })
}

const all = results.flatMap(({ figures }) => figures)
if (values.json) console.log(JSON.stringify({ machine, load: [before, loadavg()[0]], results }, null, 2))
else {
  const rows = all.map((figure) => [
    figure.what,
    show(figure.value, figure.unit),
    figure.atMost === undefined ? '' : `<= ${show(figure.atMost, figure.unit)}`,
    figure.atMost === undefined ? '' : isMet(figure) ? 'ok' : 'MISSED',
    figure.note ?? '',
  ])
  console.log(`\n${table([['what', 'figure', 'target', '', ''], ...rows])}`)
  console.log(`\n${machine}; load ${before?.toFixed(1)} before, ${loadavg()[0]?.toFixed(1)} after`)
}
for (const { bench, failed } of results) if (failed) console.error(`bench ${bench} did not run to its end`)
const broken = results.some(({ failed }) => failed)
const missed = values.check && !all.every(isMet)
process.exitCode = broken || missed ? 1 : 0
