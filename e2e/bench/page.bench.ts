/**
 * From the first contact to a node: `igor up` on loopback, a browser profile that was never there, until the page
 * shows its own island. And what it loads.
 *
 * @module
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from '@playwright/test'
import { median, report, spread } from '../../scripts/bench-report.mjs'
import { startServer } from '../fixtures/server.ts'
import config from '../playwright.config.ts'

const TIMES = 10
const READY_MS = 2000
const KIB = 1024

const folder = await mkdtemp(join(tmpdir(), 'igor-bench-'))
const server = await startServer(join(folder, 'server'))
const browser = await chromium.launch(config.use?.launchOptions ?? {})
try {
  const times: number[] = []
  const bare: number[] = []
  for (let i = 0; i <= TIMES; i++) {
    const context = await browser.newContext()
    const page = await context.newPage()
    const from = performance.now()
    await page.goto(server.url, { waitUntil: 'load' })
    const loaded = performance.now()
    await page.locator('[data-testid=island][data-kind=self]').waitFor()
    // The first warms up the browser itself.
    if (i > 0) times.push(performance.now() - from)
    if (i > 0) bare.push(loaded - from)
    await context.close()
  }
  report({ what: 'bare: the page and its scripts loaded', value: median(bare), unit: 'ms', note: spread(bare) })
  report({ what: 'page: first contact to node ready', value: median(times), unit: 'ms', atMost: READY_MS, note: spread(times) })
  const { gzip, budget } = JSON.parse(await readFile(new URL('../../packages/cli/page/sizes.json', import.meta.url), 'utf8'))
  report({ what: 'page: JavaScript in all, gzip', value: gzip / KIB, unit: 'KiB', atMost: budget / KIB })
} finally {
  await browser.close()
  await server.end('SIGTERM')
  await rm(folder, { recursive: true, force: true })
}
