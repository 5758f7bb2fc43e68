/**
 * "Send home when hidden": a planned handoff to the page's server.
 */
import type { Page } from '@playwright/test'
import { expectOneHost, expectTick } from './fixtures/agents.ts'
import { openTab } from './fixtures/tab-node.ts'
import { expect, test } from './fixtures/test.ts'

/** Headless pages are never hidden: the page is told so, as the browser would tell it. */
const hide = (page: Page): Promise<void> =>
  page.evaluate(() => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => true })
    document.dispatchEvent(new Event('visibilitychange'))
  })

test('a page that is hidden sends its agents to the server, when it was told to', async ({ server, tab }) => {
  const home = await server('home')
  const here = await tab(home.url)
  const agent = await here.start('counter')
  await here.open(agent)
  await here.ticks(agent, 3)
  await here.page.getByTestId('panel-close').click()
  await here.page.getByTestId('this-node').click()
  const option = here.page.getByTestId('home-when-hidden')
  await expect(option, 'not by itself where there is no touch screen').not.toBeChecked()
  await hide(here.page)
  await here.ticks(agent, 3)
  await expectOneHost(agent, here.peerId, { servers: [home], tabs: [here] })

  await option.check()
  const before = await here.tick(agent)
  await hide(here.page)
  const move = await here.moved(agent, home.peerId)
  expect(move.tick).toBeGreaterThanOrEqual(before)
  const log = home.follow(agent)
  await expectTick(() => log.lines, move.tick + 3)
  await expectOneHost(agent, home.peerId, { servers: [home], tabs: [here] })
})

test('on a touch screen that is what pages do', async ({ server, browser }) => {
  const home = await server('home')
  const phone = await browser.newContext({ hasTouch: true, isMobile: true, viewport: { width: 412, height: 915 } })
  try {
    const here = await openTab(phone, home.url)
    await here.page.getByTestId('this-node').click()
    await expect(here.page.getByTestId('home-when-hidden')).toBeChecked()
  } finally {
    await phone.close()
  }
})
