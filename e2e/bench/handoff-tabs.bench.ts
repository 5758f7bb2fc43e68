/**
 * How long an agent stands still when it moves between a tab and a server, and between two tabs of two browser
 * profiles: real Chromium, WebSocket and WebRTC.
 *
 * @module
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, chromium, type Page } from '@playwright/test'
import type { Asked, Told } from '../../packages/nodejs/bench/answer.ts'
import { type Host, startHost } from '../../packages/nodejs/bench/hosts.ts'
import { benchMoves, type Led } from '../../packages/nodejs/bench/moves.ts'
import config from '../playwright.config.ts'
import { type Served, servePage } from '../served.ts'
import type {} from './tab-host.ts'

const TARGET_MS = 60

const openTab = async (browser: Browser, served: Served, relay: string): Promise<Led & { readonly page: Page }> => {
  const context = await browser.newContext({ permissions: ['microphone'] })
  const page = await context.newPage()
  await page.goto(served.url)
  const peer = await page.evaluate((address) => bench(address), relay)
  return {
    page,
    peer,
    ask: async (asked: Asked): Promise<Told> => {
      // Bytes cross to the page as base64.
      if (asked.op !== 'spawn') return page.evaluate((given) => ask(given), asked)
      const text = Buffer.from(asked.module).toString('base64')
      return page.evaluate(
        ([given, base64]) => ask({ ...given, module: Uint8Array.from(atob(base64), (char) => char.charCodeAt(0)) }),
        [{ ...asked, module: new Uint8Array() }, text] as const,
      )
    },
  }
}

/** A server and tabs that know it and each other. */
const withNodes = async <T>(browser: Browser, served: Served, tabs: 1 | 2, task: (nodes: readonly [Led, Led]) => Promise<T>) => {
  const folder = await mkdtemp(join(tmpdir(), 'igor-bench-'))
  let server: Host | undefined
  try {
    server = await startHost(folder, 'server')
    const { ws } = server
    const first = await openTab(browser, served, ws)
    const second = tabs === 2 ? await openTab(browser, served, ws) : server
    await first.ask({ op: 'sees', peer: second.peer })
    return await task([first, second])
  } finally {
    for (const context of browser.contexts()) await context.close()
    await server?.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

const served = await servePage("import './bench/tab-host.ts'", {
  '/worker.js': './bench/tab-worker.ts',
  '/clock-worker.js': '../packages/browser/src/clock-worker.ts',
})
const browser = await chromium.launch(config.use?.launchOptions ?? {})
try {
  await benchMoves('tab to server and back', TARGET_MS, (task) => withNodes(browser, served, 1, task))
  await benchMoves('tab to tab', TARGET_MS, (task) => withNodes(browser, served, 2, task))
} finally {
  await browser.close()
  await served.close()
}
