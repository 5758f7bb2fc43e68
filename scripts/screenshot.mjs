// Makes docs/page.png: the page with agents on three nodes. A real server, two real browsers, real moves.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { chromium } from 'playwright'
import { findChromium } from './chromium.mjs'
import { findNode, root } from './workspace.mjs'

const OUT = process.argv[2] ?? join(root, 'docs', 'page.png')
const SIZE = { width: 1280, height: 960 }
/** Longer than any step takes on a busy machine. */
const STEP_MS = 30_000

/** `igor up` in a folder of its own. */
async function startServer(dataDir) {
  const bin = join(root, 'packages', 'cli', 'dist', 'bin.js')
  const child = spawn(findNode(), [bin, 'up', '--json', '--port', '0', '--data-dir', dataDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit').then(() => {
    throw new Error('igor up ended: npm run build')
  })
  const [line] = await Promise.race([once(createInterface({ input: child.stdout }), 'line'), exited])
  exited.catch(() => {})
  return { ...JSON.parse(line), stop: () => child.kill('SIGTERM') }
}

/** Opens the page in a profile of its own. @returns {Promise<{page: import('playwright').Page, peer: string}>} */
async function openTab(browser, url) {
  const context = await browser.newContext({ viewport: SIZE, permissions: ['microphone'], colorScheme: 'light' })
  const page = await context.newPage()
  page.setDefaultTimeout(STEP_MS)
  await page.goto(url)
  const self = page.locator('[data-testid=island][data-kind=self]')
  await self.waitFor()
  // A first visit starts somebody by itself.
  await self.getByTestId('agent').first().waitFor()
  return { page, peer: await self.getAttribute('data-peer') }
}

const agentsOf = (page, peer) =>
  page
    .locator(`[data-testid=island][data-peer="${peer}"] [data-testid=agent]`)
    .evaluateAll((cards) => cards.map((card) => card.dataset.agent))

async function start({ page, peer }, item) {
  const before = await agentsOf(page, peer)
  await page.locator(`[data-testid=gallery-item][data-item="${item}"]`).click()
  for (;;) {
    const fresh = (await agentsOf(page, peer)).find((agent) => !before.includes(agent))
    if (fresh) return fresh
    await page.waitForTimeout(100)
  }
}

/** By its menu, and waits until the page says that it arrived. */
async function move({ page }, agent, peer) {
  await page.locator(`[data-testid=island][data-peer="${peer}"][data-link]:not([data-link=none])`).waitFor()
  await page.locator(`[data-testid=agent][data-agent="${agent}"]`).getByTestId('move-button').click()
  await page.locator(`[data-testid=menu] [data-peer="${peer}"]`).click()
  await page
    .locator(`[data-testid=island][data-peer="${peer}"] [data-testid=agent][data-agent="${agent}"][data-state=active]`)
    .waitFor()
}

const folder = await mkdtemp(join(tmpdir(), 'igor-screenshot-'))
const server = await startServer(folder)
const executablePath = findChromium()
const browser = await chromium.launch({
  ...(executablePath ? { executablePath } : {}),
  args: ['--no-sandbox', '--allow-loopback-in-peer-connection'],
})
try {
  const here = await openTab(browser, server.url)
  const other = await openTab(browser, server.url)
  const life = await start(here, 'life')
  const snake = await start(here, 'snake')
  for (const [agent, peer] of [
    [life, server.peerId],
    [snake, other.peer],
  ]) {
    // To and fro first: what is shown is a move like most, to a node that knows the module.
    for (const target of [peer, here.peer, peer]) await move(here, agent, target)
  }
  // Long enough for worlds to look lived in, and for the notices of the start to go.
  await here.page.waitForTimeout(8000)
  await here.page.evaluate(() => scrollTo(0, 0))
  await here.page.mouse.move(0, 0)
  await here.page.screenshot({ path: OUT, animations: 'disabled' })
  console.log(OUT)
} finally {
  await browser.close()
  server.stop()
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
}
