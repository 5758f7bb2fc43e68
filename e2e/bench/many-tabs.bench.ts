/**
 * A thousand agents in one tab that tick once a second, and how many ticks a second IndexedDB makes durable: real
 * Chromium.
 *
 * @module
 */
import { chromium } from '@playwright/test'
import { trivial } from '../../packages/nodejs/bench/trivial.ts'
import { median, report } from '../../scripts/bench-report.mjs'
import config from '../playwright.config.ts'
import { servePage } from '../served.ts'
import type {} from './many-host.ts'

const AGENTS = 1000
const SECONDS = 10
const PUNCTUAL_PERCENT = 90
const DURABLE_AGENTS = 500
const DURABLE_MS = 3000
const ROUNDS = 3
const PER_SECOND = 2000

interface ProcessInfo {
  readonly type: string
  /** Seconds of processor. */
  readonly cpuTime: number
}

const served = await servePage("import './bench/many-host.ts'", {
  '/worker.js': '../packages/browser/src/worker.ts',
  '/clock-worker.js': '../packages/browser/src/clock-worker.ts',
})
const browser = await chromium.launch(config.use?.launchOptions ?? {})
try {
  const session = await browser.newBrowserCDPSession()
  /** Of all of the browser's processes, ms. */
  const cpu = async (): Promise<number> => {
    const { processInfo } = (await session.send('SystemInfo.getProcessInfo')) as { processInfo: readonly ProcessInfo[] }
    return 1000 * processInfo.reduce((sum, { cpuTime }) => sum + cpuTime, 0)
  }
  const page = await browser.newPage()
  await page.goto(served.url)
  await page.evaluate(([count, wasm]) => spawnMany(count, wasm), [AGENTS, Buffer.from(trivial(0)).toString('base64')] as const)
  await page.waitForTimeout(3000)
  const [before, done, from] = [await cpu(), await page.evaluate(() => ticksOfMany()), performance.now()]
  await page.waitForTimeout(SECONDS * 1000)
  const [after, ticks, wall] = [await cpu(), await page.evaluate(() => ticksOfMany()), performance.now() - from]
  const made = ticks - done
  const percent = (100 * 1000 * made) / wall / AGENTS
  report({
    what: `${AGENTS} agents at 1 Hz in a tab: missed ticks`,
    value: Math.max(0, 100 - percent),
    unit: '%',
    atMost: 100 - PUNCTUAL_PERCENT,
    note: `${(((after - before) / made) * 1000).toFixed(0)} us of processor a tick, all of the browser's: ${((((after - before) / made) * AGENTS) / 10).toFixed(0)} % of a core at full rate`,
  })
  await page.close()
  const rates: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const fresh = await browser.newContext()
    const tab = await fresh.newPage()
    await tab.goto(served.url)
    rates.push(await tab.evaluate(([agents, ms]) => journalInTab(agents, ms), [DURABLE_AGENTS, DURABLE_MS] as const))
    await fresh.close()
  }
  const rate = median(rates)
  report({
    what: `a journaled tick of ${DURABLE_AGENTS} agents, durable in IndexedDB`,
    value: 1_000_000 / rate,
    unit: 'us',
    atMost: 1_000_000 / PER_SECOND,
    note: `${Math.round(rate)} a second`,
  })
} finally {
  await browser.close()
  await served.close()
}
