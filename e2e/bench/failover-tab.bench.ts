/**
 * How long until an agent goes on when its tab is closed: from the closing to the first tick at the server that anybody
 * saw. Real Chromium, the page as `igor up` serves it, a lease as by default.
 *
 * @module
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from '@playwright/test'
import { median, quantile, report, spread } from '../../scripts/bench-report.mjs'
import { expectStatus } from '../fixtures/failover.ts'
import { type Server, startServer, type Verdict } from '../fixtures/server.ts'
import { openTab } from '../fixtures/tab-node.ts'
import config from '../playwright.config.ts'

const TIMES = 30
const AFTER_MS = 3500

/** One closing; in ms. */
async function closing(server: Server): Promise<number> {
  const context = await browser.newContext({ viewport: { width: 1400, height: 1000 } })
  try {
    const tab = await openTab(context, server.url)
    const agent = await tab.start('counter', { guarded: true })
    const log = server.follow(agent)
    await log.above(5)
    const at = performance.now()
    await tab.page.close()
    await expectStatus(server, agent, { host: server.peerId, here: true, state: 'active', epoch: 2 })
    const { hosts } = await server.ask<Verdict>('verify', agent)
    const { seen } = await log.above(hosts.at(-1)?.tick ?? 0)
    await log.stop()
    return seen - at
  } finally {
    await context.close()
  }
}

const folder = await mkdtemp(join(tmpdir(), 'igor-bench-'))
const server = await startServer(join(folder, 'server'))
const browser = await chromium.launch(config.use?.launchOptions ?? {})
try {
  const times: number[] = []
  while (times.length < TIMES) times.push(await closing(server))
  report({ what: 'failover of a closed tab, p50', value: median(times), unit: 'ms', note: spread(times) })
  report({ what: `failover of a closed tab, p99 of ${TIMES}`, value: quantile(times, 0.99), unit: 'ms', atMost: AFTER_MS })
} finally {
  await browser.close()
  await server.end('SIGTERM')
  await rm(folder, { recursive: true, force: true })
}
