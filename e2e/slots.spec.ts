import { type BrowserContext, chromium, expect, type Page, test } from '@playwright/test'
import { type Served, servePage } from './served.ts'
import type {} from './tab.ts'

let served: Served

test.beforeAll(async () => {
  served = await servePage("import './tab.ts'")
})
test.afterAll(() => served.close())

async function open(context: BrowserContext): Promise<Page> {
  const page = await context.newPage()
  await page.goto(served.url)
  return page
}

/** The slot that the page holds, once it holds one. */
function slotOf(page: Page): Promise<string> {
  return page.evaluate(async () => (await tab.slot).slot)
}

test('two tabs are two nodes, and a reload is the same one', async ({ context }) => {
  const [first, second] = [await open(context), await open(context)]
  expect([await slotOf(first), await slotOf(second)]).toEqual(['tab-1', 'tab-2'])
  for (let round = 0; round < 5; round++) {
    await Promise.all([first.reload(), second.reload()])
    expect(await Promise.all([slotOf(first), slotOf(second)])).toEqual(['tab-1', 'tab-2'])
  }
  expect(await first.evaluate(async () => [...(await tab.browser.livingSlots())].sort())).toEqual(['tab-1', 'tab-2'])
})

test('a reload keeps its slot at once', async ({ context }) => {
  const page = await open(context)
  await slotOf(page)
  await page.reload()
  await slotOf(page)
  // Since the page began: a slot that is held would be waited for longer than this.
  expect(await page.evaluate(() => performance.now())).toBeLessThan(1500)
})

test('the slot of a closed tab is taken by the next new tab', async ({ context }) => {
  const [first, second] = [await open(context), await open(context)]
  expect([await slotOf(first), await slotOf(second)]).toEqual(['tab-1', 'tab-2'])
  await first.close()
  expect(await slotOf(await open(context))).toBe('tab-1')
  expect(await slotOf(await open(context))).toBe('tab-3')
})

test('the slot of a crashed tab is taken at once', async ({ context }) => {
  const [first, second] = [await open(context), await open(context)]
  expect([await slotOf(first), await slotOf(second)]).toEqual(['tab-1', 'tab-2'])
  const crashed = first.waitForEvent('crash')
  await first.goto('chrome://crash').catch(() => {})
  await crashed
  await expect.poll(() => second.evaluate(async () => [...(await tab.browser.livingSlots())])).toEqual(['tab-2'])
  expect(await slotOf(await open(context))).toBe('tab-1')
})

test('a new tab does not take the slot of one that reloads', async ({ context }) => {
  const first = await open(context)
  await slotOf(first)
  for (let round = 0; round < 3; round++) {
    const [second] = await Promise.all([open(context), first.reload()])
    expect([await slotOf(first), await slotOf(second)]).toEqual(['tab-1', 'tab-2'])
    await second.close()
  }
})

test('a duplicated tab, which copies sessionStorage, gets a slot of its own', async ({ context }) => {
  const first = await open(context)
  expect(await slotOf(first)).toBe('tab-1')
  const [second] = await Promise.all([context.waitForEvent('page'), first.evaluate(() => void window.open(location.href))])
  await second.waitForURL(served.url)
  expect(await second.evaluate(() => Object.values(sessionStorage))).toContain('tab-1')
  expect(await slotOf(second)).toBe('tab-2')
  await second.reload()
  expect([await slotOf(first), await slotOf(second)]).toEqual(['tab-1', 'tab-2'])
})

test('tabs that open at once get one slot each', async ({ context }) => {
  const pages = await Promise.all(Array.from({ length: 6 }, () => open(context)))
  const slots = await Promise.all(pages.map(slotOf))
  expect(slots.toSorted()).toEqual(['tab-1', 'tab-2', 'tab-3', 'tab-4', 'tab-5', 'tab-6'])
})

test('a page out of the back/forward cache is loaded anew, and is the same node', async ({ launchOptions }) => {
  const browser = await chromium.launch({ ...launchOptions, ignoreDefaultArgs: ['--disable-back-forward-cache'] })
  try {
    const page = await (await browser.newContext()).newPage()
    await page.goto(`${served.url}elsewhere`)
    await page.goto(served.url)
    expect(await slotOf(page)).toBe('tab-1')
    await page.evaluate(() => Object.assign(globalThis, { old: true }))
    await page.goto(`${served.url}elsewhere`)
    await page.goBack({ waitUntil: 'commit' })
    // Out of the cache first: a page that was loaded for going back would be a 'back_forward', not a 'reload'.
    const loaded = () => performance.getEntriesByType('navigation').map((entry) => (entry as PerformanceNavigationTiming).type)
    await expect.poll(() => page.evaluate(loaded).catch(() => [])).toEqual(['reload'])
    expect(await page.evaluate(() => 'old' in globalThis)).toBe(false)
    // Its address is there before its scripts are.
    await page.waitForLoadState('load')
    expect(await slotOf(page)).toBe('tab-1')
  } finally {
    await browser.close()
  }
})
