import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BrowserContext, chromium, expect, type LaunchOptions, type Page, test } from '@playwright/test'
import { type Served, servePage } from './served.ts'
import type {} from './tab.ts'

let served: Served

test.beforeAll(async () => {
  served = await servePage("import './tab.ts'", {
    '/clock-worker.js': '../packages/browser/src/clock-worker.ts',
    '/worker.js': '../packages/browser/src/worker.ts',
  })
})
test.afterAll(() => served.close())

async function open(context: BrowserContext): Promise<Page> {
  const page = await context.newPage()
  await page.goto(served.url)
  return page
}

/** Commits `who` as owner under the expectation that `before` owns; true if that was granted. */
function take(page: Page, before: string | undefined, who: string): Promise<boolean> {
  return page.evaluate(
    async ([before, who]) => {
      const utf8 = (text: string) => new TextEncoder().encode(text)
      const store = await tab.store
      try {
        await store.commit({
          expect: [['vital/agent', before === null ? undefined : utf8(before)]],
          put: [
            ['vital/agent', utf8(who)],
            [`history/${who}`, utf8(who)],
          ],
        })
        return true
      } catch (error) {
        if ((error as { code?: string }).code === 'STORE_CONFLICT') return false
        throw error
      }
    },
    [before ?? null, who] as const,
  )
}

test('of two tabs that commit under the same expectation exactly one wins', async ({ context }) => {
  const pages = [await open(context), await open(context)]
  let owner: string | undefined
  const winners: string[] = []
  for (let round = 0; round < 50; round++) {
    const wishes = pages.map((_, index) => `tab-${index + 1}/${round}`)
    const granted = await Promise.all(pages.map((page, index) => take(page, owner, wishes[index] ?? '')))
    expect(granted.filter(Boolean)).toHaveLength(1)
    owner = wishes[granted.indexOf(true)] ?? ''
    winners.push(`history/${owner}`)
  }
  for (const page of pages) {
    expect(await page.evaluate(async () => (await tab.store).list('history/'))).toEqual(winners.toSorted())
  }
})

/** A profile on disk, as people have it: the other tests' contexts keep everything in memory. */
async function withProfile(
  work: (launch: () => Promise<BrowserContext>) => Promise<void>,
  options: LaunchOptions,
): Promise<void> {
  const profile = await mkdtemp(join(tmpdir(), 'igor-profile-'))
  try {
    await work(() => chromium.launchPersistentContext(profile, options))
  } finally {
    await rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  }
}

test('what was committed survives the kill of the browser', async ({ launchOptions }) => {
  await withProfile(async (launch) => {
    for (let life = 0; life < 3; life++) {
      const context = await launch()
      const page = await open(context)
      expect(await take(page, life === 0 ? undefined : `life-${life - 1}`, `life-${life}`)).toBe(true)
      const session = await context.browser()?.newBrowserCDPSession()
      const { processInfo } = (await session?.send('SystemInfo.getProcessInfo')) ?? { processInfo: [] }
      const pid = processInfo.find(({ type }) => type === 'browser')?.id
      if (pid === undefined) throw new Error('the browser does not tell its process')
      const closed = context.waitForEvent('close')
      process.kill(pid, 'SIGKILL')
      await closed
    }
  }, launchOptions)
})

test('a full quota refuses the whole batch, and the store goes on', async ({ launchOptions }) => {
  // In memory Chromium goes on counting what it refused.
  await withProfile(async (launch) => {
    const context = await launch()
    const page = await context.newPage()
    await page.goto(`${served.url}elsewhere`)
    const session = await context.newCDPSession(page)
    await session.send('Storage.overrideQuotaForOrigin', { origin: new URL(served.url).origin, quotaSize: 4_000_000 })
    await page.goto(served.url)
    expect(await page.evaluate(overfill)).toEqual({ failure: 'STORE_FULL', keys: ['kept'], before: 1, after: 3 })
    await context.close()
  }, launchOptions)
})

/** Runs in the page. */
async function overfill() {
  const store = await tab.store
  await store.commit({ put: [['kept', Uint8Array.of(1)]] })
  const noise = () => {
    const bytes = new Uint8Array(1 << 20)
    for (let at = 0; at < bytes.length; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536))
    return bytes
  }
  const big = Array.from({ length: 8 }, (_, index) => [`big/${index}`, noise()] as const)
  const failure = await store
    .commit({ put: [['kept', Uint8Array.of(2)], ...big] })
    .catch((error: { code?: string }) => error.code)
  const kept = await store.get('kept')
  await store.commit({ put: [['kept', Uint8Array.of(3)]] })
  return { failure, keys: await store.list(''), before: kept?.[0], after: (await store.get('kept'))?.[0] }
}

test("clock and threads run under the page's policy", async ({ context }) => {
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('console', (message) => complaints.push(message.text()))
  page.on('pageerror', (error) => complaints.push(error.message))
  await page.goto(served.url)
  const reply = await page.evaluate(async () => {
    const able = tab.browser.canRun()
    const clock = tab.browser.workerClock({ workerUrl: '/clock-worker.js' })
    await clock.sleep(5)
    clock.close()
    const thread = tab.browser.webThreads({ workerUrl: '/worker.js' }).spawn()
    const answer = new Promise((resolve, reject) => {
      thread.onmessage = resolve
      thread.onexit = reject
    })
    thread.post({ type: 'load', id: 7, module: 'none', bytes: Uint8Array.of(1), maxMemoryBytes: 65_536, granted: [] })
    const { type, id } = (await answer) as { type: string; id: number }
    thread.terminate()
    return { able, type, id }
  })
  expect(reply).toEqual({ able: { ok: true }, type: 'refused', id: 7 })
  expect(complaints).toEqual([])
})
