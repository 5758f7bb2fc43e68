// `npm test`: every check of the project, on a fresh clone too. Each stage runs, whatever the one before it found; the last
// line is `N passed, N failed`. Options: --only STAGE,… and --skip STAGE,… (lint, build, packages, unit, browser,
// engines, e2e).
import { mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from './build.mjs'
import { checkPackages } from './check-packages.mjs'
import { ensureInstalled, environment, isBuilt, root, run, runTool, tools } from './workspace.mjs'

/** Longer than any stage takes, also on a machine that is busy with other work; one that hangs must end. */
const STAGE_MS = 25 * 60_000

/**
 * @typedef {{passed: number, failed: number, skipped?: number}} Counts
 * @typedef {{scratch: string, stdout: 'inherit' | number}} Place where a stage keeps its files, and where its output goes
 * @typedef {{name: string, needs?: ('build' | 'chromium')[], beside?: boolean, run: (place: Place) => Promise<Counts>}} Stage
 * `beside`: runs while the stage before it does, after others of its kind; its output is shown once that has ended
 */

/** @type {Stage[]} */
const stages = [
  { name: 'lint', run: async ({ stdout }) => oneOf(await runTool(tools.biome, ['check', '.'], { timeoutMs: STAGE_MS, stdout })) },
  { name: 'build', run: buildStage },
  { name: 'packages', needs: ['build'], run: packagesStage },
  { name: 'unit', needs: ['build'], run: (place) => vitest('node', place) },
  { name: 'browser', needs: ['chromium'], beside: true, run: (place) => vitest('chromium', place) },
  { name: 'sim', needs: ['chromium'], run: sim },
  { name: 'engines', needs: ['chromium'], beside: true, run: engines },
  { name: 'e2e', needs: ['build', 'chromium'], run: playwright },
]

/** @param {number} code */
const oneOf = (code) => (code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 })

let built = false

async function buildStage() {
  const changed = await build()
  built = true
  for (const name of changed) console.log(`FAIL agents/${name}/${name}.wasm was stale: commit what was built`)
  return changed.length === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 }
}

async function packagesStage() {
  const results = await checkPackages()
  for (const { name, problems } of results) for (const problem of problems) console.log(`FAIL ${name}: ${problem}`)
  const failed = results.filter(({ problems }) => problems.length > 0).length
  return { passed: results.length - failed, failed }
}

/** @param {'node' | 'chromium'} project @param {Place} place @returns {Promise<Counts>} */
async function vitest(project, { scratch, stdout }) {
  const file = join(scratch, `vitest-${project}.json`)
  const args = ['run', '--project', project, '--reporter=default', '--reporter=json', `--outputFile.json=${file}`]
  const code = await runTool(tools.vitest, args, { timeoutMs: STAGE_MS, stdout })
  const report = await readReport(file, code)
  // A file that could not be loaded has no tests to fail.
  const broken = report.testResults.filter(
    (suite) => suite.status === 'failed' && !suite.assertionResults.some((test) => test.status === 'failed'),
  )
  return settle(code, {
    passed: report.numPassedTests,
    failed: report.numFailedTests + broken.length,
    skipped: report.numPendingTests + report.numTodoTests,
  })
}

/** The same programs in every engine of this machine. @param {Place} place @returns {Promise<Counts>} */
async function engines({ scratch, stdout }) {
  const file = join(scratch, 'engines.json')
  const run = join(root, 'packages', 'core', 'conformance', 'run.mjs')
  const code = await runTool(run, [`--report=${file}`], { timeoutMs: STAGE_MS, stdout })
  return settle(code, await readReport(file, code))
}

/** Many nodes on simulated time. @param {Place} place @returns {Promise<Counts>} */
async function sim({ scratch, stdout }) {
  const file = join(scratch, 'sim.json')
  const code = await runTool(join(root, 'scripts', 'sim', 'stage.mjs'), [file], { timeoutMs: STAGE_MS, stdout })
  return settle(code, await readReport(file, code))
}

/** @param {Place} place @returns {Promise<Counts>} */
async function playwright({ scratch, stdout }) {
  const file = join(scratch, 'playwright.json')
  const env = { ...environment(), PLAYWRIGHT_JSON_OUTPUT_FILE: file }
  const code = await runTool(tools.playwright, ['test', '-c', 'e2e', '--reporter=list,json'], {
    env,
    timeoutMs: STAGE_MS,
    stdout,
  })
  const { stats, errors } = await readReport(file, code)
  return settle(code, { passed: stats.expected, failed: stats.unexpected + stats.flaky + errors.length, skipped: stats.skipped })
}

/** @param {string} file @param {number} code */
async function readReport(file, code) {
  try {
    return JSON.parse(await readFile(file, 'utf8'))
  } catch {
    throw new Error(code === 124 ? `took longer than ${STAGE_MS / 60_000} min` : `gave no report (exit code ${code})`)
  }
}

/** A runner that fails for another reason than a test counts as one failure. @param {number} code @param {Counts} counts */
function settle(code, counts) {
  return code !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts
}

/** Names the browser that the tests drive, and brings one if there is none. @throws {Error} */
async function ensureChromium() {
  const { findChromium } = await import('./chromium.mjs')
  const works = async () => {
    const path = findChromium()
    return (
      path !== undefined &&
      (await run(path, ['--version', '--no-sandbox'], { stdout: 'ignore', timeoutMs: 30_000 }).catch(() => 1)) === 0
    )
  }
  if (await works()) return
  if (findChromium() === undefined) {
    console.log('No Chromium yet: Playwright brings one …')
    await runTool(tools.playwright, ['install', 'chromium'], { timeoutMs: STAGE_MS })
    if (await works()) return
  }
  // Debian's comes with the libraries that it needs.
  if (process.platform === 'linux' && process.getuid?.() === 0) {
    console.log('Playwright cannot: Debian brings one …')
    const env = { ...environment(), DEBIAN_FRONTEND: 'noninteractive' }
    const aptGet = (...args) => run('apt-get', [...args, '-q', '-y'], { env, timeoutMs: STAGE_MS }).catch(() => 1)
    await aptGet('update')
    if ((await aptGet('install', '--no-install-recommends', 'chromium')) === 0) {
      process.env.IGOR_CHROMIUM = '/usr/bin/chromium'
      if (await works()) return
    }
  }
  throw new Error('there is no Chromium: install one and name it by IGOR_CHROMIUM=/path/to/chromium')
}

const prepare = {
  async build() {
    if (built || (await isBuilt())) return
    await build()
    built = true
  },
  chromium: ensureChromium,
}

/** @param {string[]} args @returns {Stage[]} */
function choose(args) {
  const names = stages.map(({ name }) => name)
  let chosen = names
  for (let i = 0; i < args.length; i++) {
    const [option, joined] = args[i].split('=', 2)
    const list = (joined ?? args[++i] ?? '').split(',')
    const unknown = list.find((name) => !names.includes(name))
    if (!['--only', '--skip'].includes(option) || unknown !== undefined) {
      console.error(`test: options are --only and --skip with stages of ${names.join(', ')} (such as --only unit,e2e)`)
      process.exit(2)
    }
    chosen = chosen.filter((name) => list.includes(name) === (option === '--only'))
  }
  return stages.filter(({ name }) => chosen.includes(name))
}

const chosen = choose(process.argv.slice(2))
await ensureInstalled()
const scratch = await mkdtemp(join(tmpdir(), 'igor-test-'))
const summary = []
/** A need that failed once is not tried for every stage anew. @type {Map<string, Promise<void>>} */
const prepared = new Map()
/** @param {Stage} stage @param {'inherit' | number} stdout */
async function perform({ name, needs = [], run: runStage }, stdout) {
  const start = Date.now()
  const seconds = () => (Date.now() - start) / 1000
  try {
    for (const need of needs) {
      if (!prepared.has(need)) prepared.set(need, prepare[need]())
      await prepared.get(need)
    }
    const counts = await runStage({ scratch, stdout })
    return { name, seconds: seconds(), ...counts, note: '' }
  } catch (error) {
    return { name, seconds: seconds(), passed: 0, failed: 1, note: `could not run: ${error.message}` }
  }
}

/** One stage at a time, its output kept in files. @param {Stage[]} besides */
async function performBeside(besides) {
  const results = []
  for (const stage of besides) {
    const file = join(scratch, `${stage.name}.out`)
    const handle = await open(file, 'w')
    const result = await perform(stage, handle.fd).finally(() => handle.close())
    results.push({ result, file })
  }
  return results
}

while (chosen.length > 0) {
  const stage = chosen.shift()
  const besides = []
  while (chosen[0]?.beside) besides.push(chosen.shift())
  console.log(`\n── ${[stage, ...besides].map(({ name }) => name).join(' and beside it ')} ──`)
  const [result, others] = await Promise.all([perform(stage, 'inherit'), performBeside(besides)])
  summary.push(result)
  for (const { result: other, file } of others) {
    console.log(`\n── ${other.name} ──`)
    process.stdout.write(await readFile(file))
    summary.push(other)
  }
  for (const { name, note } of [result, ...others.map((other) => other.result)]) if (note) console.log(`${name} ${note}`)
}
await rm(scratch, { recursive: true, force: true })

console.log('\n── summary ──')
for (const { name, passed, failed, skipped = 0, seconds, note } of summary) {
  const counts = `${String(passed).padStart(5)} passed ${String(failed).padStart(4)} failed${skipped > 0 ? ` ${skipped} skipped` : ''}`
  console.log(`${name.padEnd(9)} ${counts}  ${seconds.toFixed(1)} s${note && `  ${note}`}`)
}
const total = (/** @type {'passed' | 'failed'} */ key) => summary.reduce((sum, stage) => sum + stage[key], 0)
console.log(`${total('passed')} passed, ${total('failed')} failed`)
process.exitCode = total('failed') > 0 ? 1 : 0
