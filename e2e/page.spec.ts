import type { AgentStatus } from '@igor/core'
import { chromium } from '@playwright/test'
import { expectHistory, expectOneHost, runOn } from './fixtures/agents.ts'
import { slowness } from './fixtures/slowness.ts'
import { tabNode } from './fixtures/tab-node.ts'
import { expect, test } from './fixtures/test.ts'

/** What the page promises: a node within 2 s of first contact, the others in sight within 5 s. */
const READY_MS = 2000
const SIGHT_MS = 5000

test('a first visit: a node at once, someone alive, one sentence; a second tab, window and browser are seen', async ({
  server,
  profile,
}) => {
  const home = await server('home')
  const patience = await slowness()
  const [person, other] = await Promise.all([profile(), profile()])
  // Two first visits: the better one counts.
  const ready: number[] = []
  const visit = async (context: typeof person) => {
    const page = await context.newPage()
    await page.goto(home.url, { waitUntil: 'commit' })
    const self = page.locator('[data-testid=island][data-kind=self]')
    await self.waitFor()
    ready.push(await page.evaluate(() => performance.now()))
    return tabNode(page)
  }
  const first = await visit(person)
  const far = await visit(other)
  expect(Math.min(...ready)).toBeLessThan(READY_MS * patience)

  await first.reaches(home.peerId, 'websocket')
  await expect(first.page.getByTestId('intro-title')).toHaveText('Drag it to the server. Close this tab. It goes on.')
  await expect(first.island(first.peerId).getByTestId('agent')).toHaveCount(1)
  await expect(first.page.getByTestId('invite')).toBeVisible()

  const [second] = await Promise.all([person.waitForEvent('page'), first.page.getByTestId('open-second-tab').click()])
  const tabs = [first, far, await tabNode(second)]
  const names = new Set<string>()
  for (const one of tabs) {
    for (const { peerId } of tabs) {
      if (peerId === one.peerId) continue
      await expect(one.island(peerId)).toHaveAttribute('data-link', /webrtc|relayed/, { timeout: SIGHT_MS * patience })
    }
    await expect(one.island(home.peerId)).toHaveAttribute('data-link', 'websocket')
    names.add((await one.island(one.peerId).getByTestId('island-name').textContent()) ?? '')
  }
  expect(names.size).toBe(3)
  // At last they are connected straight, and each says how well.
  await first.reaches(far.peerId, 'webrtc')
  await expect(first.island(far.peerId).getByTestId('rtt')).toHaveText(/ms$/)
})

test('what a person presses stays under their finger, whoever comes in sight meanwhile', async ({ server, tab }) => {
  const home = await server('home')
  const here = await tab(home.url)
  await here.reaches(home.peerId)
  await expect(here.page.getByTestId('agent')).toHaveCount(1)
  const item = here.page.locator('[data-testid=gallery-item][data-item=heartbeat]')
  await item.hover()
  await here.page.mouse.down()
  // Their islands make the page longer above it.
  const others = await Promise.all([server('second', '--headless'), server('third', '--headless')])
  await Promise.all(others.map((other) => other.ask('peers', '--connect', home.multiaddrs[0] as string)))
  await expect
    .poll(async () => (await others[1]?.ask<{ id: string; link: string }[]>('peers'))?.some(({ id }) => id === here.peerId))
    .toBe(true)
  await here.page.mouse.up()
  await expect(here.island(here.peerId).getByTestId('agent')).toHaveCount(2)
  for (const other of others) await here.reaches(other.peerId)
})

test('a message typed on the page is in its memory, here and after a move', async ({ server, tab }) => {
  const home = await server('home')
  const here = await tab(home.url)
  const agent = await here.start('scribe')
  await here.reaches(home.peerId)
  await here.open(agent)
  await here.write('milk')
  await expect(here.page.getByTestId('log')).toContainText('noted #1')

  // Paused it cannot read: what was acknowledged then travels unread.
  await here.page.getByTestId('action-pause').click()
  await here.sees(agent, here.peerId, 'paused')
  await here.write('bread')
  await here.drag(agent, home.peerId)
  await here.moved(agent, home.peerId)
  await here.sees(agent, home.peerId, 'paused')
  expect((await home.ps()).find((status) => status.agent === agent)).toMatchObject({ state: 'paused', inbox: 1, here: true })
  await here.page.getByTestId('action-resume').click()
  await expect(here.page.getByTestId('log')).toContainText('noted #2')
  await here.write('find bread')
  await expect(here.page.getByTestId('log')).toContainText('#2: bread')
  await home.ask('send', agent, 'find', 'milk')
  await expect(here.page.getByTestId('log')).toContainText('#1: milk')
  await expectOneHost(agent, home.peerId, { servers: [home], tabs: [here] })
  expectHistory(await home.ask('verify', agent), agent, [here.peerId, home.peerId])
})

test('whoever holds the key commands it from any tab; a stranger sees that they cannot', async ({ server, tab, profile }) => {
  const home = await server('home')
  const person = await profile()
  const [owner, stranger] = await Promise.all([tab(home.url, person), tab(home.url)])
  await Promise.all([owner.reaches(home.peerId), stranger.reaches(home.peerId)])
  const agent = await owner.start('counter')
  await owner.drag(agent, home.peerId)
  await owner.moved(agent, home.peerId)
  const state = async () => (await home.ps()).find((status: AgentStatus) => status.agent === agent)?.state

  await stranger.sees(agent, home.peerId)
  await expect(stranger.card(agent)).toHaveAttribute('data-owned', 'false')
  await stranger.open(agent)
  await expect(stranger.page.getByTestId('not-owner')).toContainText('key')
  for (const action of ['move', 'pause', 'retire']) {
    await expect(stranger.page.getByTestId(`action-${action}`)).toHaveAttribute('aria-disabled', 'true')
  }
  await expect(stranger.page.getByTestId('log')).toContainText('tick')

  // Another tab of the same browser holds the same key.
  const again = await tab(home.url, person)
  await again.sees(agent, home.peerId)
  await again.open(agent)
  await again.page.getByTestId('action-pause').click()
  await expect.poll(state).toBe('paused')
  await Promise.all([owner, stranger].map((one) => one.sees(agent, home.peerId, 'paused')))
  const { tick } = (await home.ps()).find((status) => status.agent === agent) as AgentStatus
  await again.page.getByTestId('action-resume').click()
  await expect.poll(state).toBe('active')
  await owner.sees(agent, home.peerId)
  await owner.ticks(agent, 3, tick)
  await owner.open(agent)
  await owner.page.getByTestId('action-retire').click()
  await owner.page.getByTestId('confirm-yes').click()
  await expect.poll(state).toBe('retired')
  for (const one of [owner, again, stranger]) {
    await expect(one.page.locator(`[data-testid=retired] [data-agent="${agent}"]`)).toHaveAttribute('data-state', 'retired')
  }
  // For good, also at the server's own command.
  expect((await home.run('resume', agent)).code).toBe(1)
})

test('keys that are brought to another browser command there', async ({ server, tab }) => {
  const home = await server('home')
  const agent = await runOn(home, 'counter')
  const { keys } = await home.ask<{ keys: string[] }>('keys', 'export')
  const here = await tab(home.url)
  await here.reaches(home.peerId)
  await here.addKeys(keys.join('\n'))
  await expect(here.card(agent)).toHaveAttribute('data-owned', 'true')
  await here.open(agent)
  await here.page.getByTestId('action-pause').click()
  await expect.poll(async () => (await home.ps())[0]?.state).toBe('paused')
})

test('where it cannot work the page is one screen that says why: not secure', async ({ server, launchOptions }) => {
  const home = await server('home', '--host', '0.0.0.0')
  const { port } = new URL(home.url)
  const browser = await chromium.launch({
    ...launchOptions,
    args: [...(launchOptions.args ?? []), '--host-resolver-rules=MAP igor.example 127.0.0.1'],
  })
  try {
    const page = await browser.newPage()
    await page.goto(`http://igor.example:${port}/`)
    await expect(page.locator('body')).toContainText('needs a secure connection')
    await expect(page.locator('body')).toContainText('tls-cert')
    await expect(page.locator('body')).toContainText('localhost')
    await expect(page.getByTestId('island')).toHaveCount(0)
  } finally {
    await browser.close()
  }
})

for (const [what, spoil] of [
  ['WebRTC', 'delete globalThis.RTCPeerConnection'],
  ['WebAssembly', 'WebAssembly.validate = () => false'],
  ['storage', 'Object.defineProperty(globalThis, "indexedDB", { value: undefined })'],
] as const) {
  test(`where it cannot work the page is one screen that says why: no ${what}`, async ({ server, profile }) => {
    const home = await server('home')
    const context = await profile()
    await context.addInitScript(spoil)
    const page = await context.newPage()
    await page.goto(home.url)
    await expect(page.getByTestId('blocked')).toBeVisible()
    await expect(page.getByTestId('missing')).toHaveCount(1)
    await expect(page.getByTestId('missing')).toContainText(what)
    await expect(page.getByTestId('island')).toHaveCount(0)
  })
}
