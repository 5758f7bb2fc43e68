/**
 * Tabs of one browser: what becomes of the agents of one that is closed, crashes or reloads (design section 6).
 */
import { join } from 'node:path'
import { expectCountKept, expectHistory, expectOneHost, expectTick, verifyFile } from './fixtures/agents.ts'
import { tabNode } from './fixtures/tab-node.ts'
import { expect, test } from './fixtures/test.ts'

test('a closed tab: another one of the browser goes on with its agents, the server dead', async ({
  server,
  tab,
  profile,
  folder,
}, info) => {
  const home = await server('home')
  const person = await profile()
  const first = await tab(home.url, person)
  const agent = await first.start('counter')
  await first.open(agent)
  await first.ticks(agent, 5)
  const second = await tab(home.url, person)
  await second.sees(agent, first.peerId)
  await home.end('SIGKILL')
  const seen = (await first.log()).at(-1)?.tick ?? 0

  const closed = performance.now()
  await first.page.close()
  await second.sees(agent, second.peerId)
  info.annotations.push({ type: 'closed tab to sibling', description: `${Math.round(performance.now() - closed)} ms` })
  await second.open(agent)
  await expectTick(second.log, seen + 5)
  // A tick or two may run in the closed tab's name, seen by nobody.
  expectCountKept(await second.log(), seen)
  const file = join(folder, 'out.car')
  await second.saveCopy(file)
  expectHistory(await verifyFile(file), agent, [first.peerId, second.peerId])
})

test('a reload keeps its own, though another tab stands ready', async ({ server, tab, profile }) => {
  const home = await server('home')
  const person = await profile()
  const first = await tab(home.url, person)
  const agent = await first.start('counter')
  await first.open(agent)
  await first.ticks(agent, 3)
  const second = await tab(home.url, person)
  await second.sees(agent, first.peerId)
  const seen = (await first.log()).at(-1)?.tick ?? 0
  await first.page.reload()
  const again = await tabNode(first.page)
  expect(again.peerId).toBe(first.peerId)
  await again.sees(agent, again.peerId)
  await again.open(agent)
  await expectTick(again.log, seen + 5)
  await expectOneHost(agent, again.peerId, { servers: [home], tabs: [again, second] })
})

test('a crashed tab: another one goes on with its agents; opened again it is empty', async ({ server, tab, profile }) => {
  const home = await server('home')
  const person = await profile()
  const first = await tab(home.url, person)
  const agent = await first.start('counter')
  await first.open(agent)
  await first.ticks(agent, 3)
  const second = await tab(home.url, person)
  await second.sees(agent, first.peerId)
  const seen = (await first.log()).at(-1)?.tick ?? 0
  await first.page.goto('chrome://crash').catch(() => {})
  await second.sees(agent, second.peerId)
  await second.open(agent)
  await expectTick(second.log, seen + 3)
  expectCountKept(await second.log(), seen)
  const third = await tab(home.url, person)
  expect(third.peerId).toBe(first.peerId)
  await third.sees(agent, second.peerId)
  await expectOneHost(agent, second.peerId, { servers: [home], tabs: [second, third] })
})
