// The engines of this machine, each started with an empty profile on one page, and ended.
import { spawn } from 'node:child_process'
import { access, mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { findChromium } from '../../../scripts/chromium.mjs'

/** @typedef {{name: string, start: (origin: string) => Promise<{failed: Promise<never>, stop: () => Promise<void>}>}} Engine */

/** Ends with its children: browsers are many processes. @param {string} command @param {string[]} args @param {string} [folder] */
const launch = (command, args, folder) => {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], detached: true })
  let said = ''
  child.stderr.on('data', (text) => {
    said = (said + text).slice(-4000)
  })
  const exited = new Promise((resolve) => {
    child.on('close', resolve)
    child.on('error', resolve)
  })
  const failed = exited.then((code) => Promise.reject(new Error(`${command} ended (${code}) without a result: ${said}`)))
  failed.catch(() => {})
  return {
    failed,
    async stop() {
      try {
        process.kill(-child.pid, 'SIGKILL')
      } catch {
        // It has ended by itself.
      }
      await exited
      if (folder !== undefined) await rm(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

/** @param {string} path @param {string[]} args @returns {Promise<string>} stdout */
const ask = (path, args) =>
  new Promise((resolve, reject) => {
    const child = spawn(path, args, { stdio: ['ignore', 'pipe', 'ignore'] })
    let said = ''
    child.stdout.on('data', (text) => {
      said += text
    })
    child.on('error', reject)
    child.on('close', () => resolve(said.trim()))
  })

/** @param {string} path @param {string} bundle @returns {Promise<Engine>} */
const nodeEngine = async (path, bundle) => ({
  name: `Node.js ${(await ask(path, ['--version'])).slice(1)}`,
  start: async (origin) => launch(path, [bundle, origin]),
})

const CHROMIUM = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-sync',
]

/** @param {'Chromium' | 'Firefox'} family @param {string} path @returns {Promise<Engine>} */
const browserEngine = async (family, path) => ({
  name: `${family} ${/[\d.]+/.exec(await ask(path, family === 'Chromium' ? ['--version', '--no-sandbox'] : ['--version']))?.[0]}`,
  async start(origin) {
    const profile = await mkdtemp(join(tmpdir(), 'igor-conformance-'))
    const args =
      family === 'Chromium' ? [...CHROMIUM, `--user-data-dir=${profile}`] : ['--headless', '--no-remote', '--profile', profile]
    return launch(path, [...args, origin], profile)
  },
})

/** @param {string} name @returns {Promise<string[]>} every one on the PATH, each once */
const onPath = async (name) => {
  const found = new Set()
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, name)
    if (
      await access(path).then(
        () => true,
        () => false,
      )
    )
      found.add(await realpath(path))
  }
  return [...found]
}

/**
 * @param {string} bundle what Node.js runs
 * @param {string[]} nodes more of them
 * @returns {Promise<Engine[]>}
 */
export const findEngines = async (bundle, nodes) => {
  const engines = []
  const seen = new Set()
  for (const path of [process.execPath, ...nodes, ...(await onPath('node'))]) {
    const engine = await nodeEngine(path, bundle)
    const [major = 0] = engine.name.match(/\d+/) ?? []
    if (seen.has(engine.name) || Number(major) < 22) continue
    seen.add(engine.name)
    engines.push(engine)
  }
  const chromium = findChromium()
  if (chromium !== undefined) engines.push(await browserEngine('Chromium', chromium))
  const [firefox] = [process.env.IGOR_FIREFOX, ...(await onPath('firefox-esr')), ...(await onPath('firefox'))].filter(Boolean)
  if (firefox !== undefined) engines.push(await browserEngine('Firefox', firefox))
  return engines
}
