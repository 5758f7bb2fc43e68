import { join } from 'node:path'
import type { AgentStatus, Peer } from '@igor/core'
import {
  expectCountKept,
  expectEveryTickOnce,
  expectHistory,
  expectOneHost,
  expectTick,
  runOn,
  verifyFile,
} from './fixtures/agents.ts'
import { freePort } from './fixtures/server.ts'
import { tabNode } from './fixtures/tab-node.ts'
import { expect, test } from './fixtures/test.ts'

test('a reload: the agent goes on where it was', async ({ server, tab, folder }) => {
  const home = await server('home')
  const before = await tab(home.url)
  const agent = await before.start('counter')
  await before.open(agent)
  await before.ticks(agent, 5)
  const seen = (await before.log()).at(-1)?.tick ?? 0

  await before.page.reload()
  const after = await tabNode(before.page)
  expect(after.peerId).toBe(before.peerId)
  await after.sees(agent, after.peerId)
  await after.open(agent)
  await expectTick(after.log, seen + 5)
  const log = await after.log()
  expect(log[0]?.tick, 'nothing that was seen happens again').toBeGreaterThan(seen)
  expectEveryTickOnce(log, [])
  await after.reaches(home.peerId)
  await expectOneHost(agent, after.peerId, { servers: [home], tabs: [after] })

  const file = join(folder, 'out.car')
  await after.saveCopy(file)
  expectHistory(await verifyFile(file), agent, [after.peerId])
})

test('a reload with the server dead: the page is there, the agent goes on', async ({ server, tab, folder }) => {
  const home = await server('home')
  const before = await tab(home.url)
  await before.page.evaluate(async () => {
    await navigator.serviceWorker.ready
  })
  const agent = await before.start('counter')
  await before.open(agent)
  await before.ticks(agent, 5)
  const seen = (await before.log()).at(-1)?.tick ?? 0
  await home.end('SIGKILL')

  await before.page.reload()
  const after = await tabNode(before.page)
  expect(after.peerId).toBe(before.peerId)
  await after.sees(agent, after.peerId)
  await after.open(agent)
  await expectTick(after.log, seen + 5)
  const log = await after.log()
  expect(log[0]?.tick, 'nothing that was seen happens again').toBeGreaterThan(seen)
  expectEveryTickOnce(log, [])
  await expect(after.page.locator('[data-testid=notice][data-notice=server-lost]')).toBeVisible({ timeout: 10_000 })

  const file = join(folder, 'out.car')
  await after.saveCopy(file)
  expectHistory(await verifyFile(file), agent, [after.peerId])
})

test('kill -9 of the server and a restart: its agents go on, the tab is connected again', async ({ server, tab, folder }) => {
  const port = String(await freePort())
  const home = await server('home', '--port', port)
  const own = await runOn(home, 'counter')
  const here = await tab(home.url)
  await here.reaches(home.peerId)
  const guest = await here.start('counter')
  await here.open(guest)
  await here.ticks(guest, 3)
  await here.drag(guest, home.peerId)
  const move = await here.moved(guest, home.peerId)
  await expectTick(here.log, move.tick + 5)

  await home.end('SIGKILL')
  const seen = (await here.log()).at(-1)?.tick ?? 0
  await here.reaches(home.peerId, 'none')
  const again = await server('home', '--port', port)
  expect(again.peerId).toBe(home.peerId)
  const logs = [again.follow(own), again.follow(guest)]
  for (const agent of [own, guest]) {
    await expect
      .poll(async () => (await again.ps()).find((status) => status.agent === agent))
      .toMatchObject({ state: 'active', here: true })
  }
  await here.reaches(home.peerId)
  await expectTick(here.log, seen + 5)
  await expectOneHost(guest, home.peerId, { servers: [again], tabs: [here] })

  await expectTick(() => logs[1]?.lines ?? [], seen + 5)
  for (const { lines } of logs) expectEveryTickOnce(lines, [])
  expect(logs[1]?.lines[0]?.tick, 'nothing that was seen happens again').toBeGreaterThan(seen)
  expectCountKept(await here.log(), seen)
  for (const [agent, hosts] of [
    [own, [home.peerId]],
    [guest, [here.peerId, home.peerId]],
  ] as const) {
    const file = join(folder, `${hosts.length}.car`)
    await again.ask('export', agent, '-o', file)
    expectHistory(await verifyFile(file), agent, hosts)
  }

  // And it moves as before.
  await here.drag(guest, here.peerId)
  await expectTick(here.log, (await here.moved(guest, here.peerId, move)).tick + 3)
  await expectOneHost(guest, here.peerId, { servers: [again], tabs: [here] })
})

test('a closed tab: its agent sleeps in the browser and goes on in the next tab', async ({ server, tab, profile, folder }) => {
  const home = await server('home')
  const person = await profile()
  const first = await tab(home.url, person)
  const agent = await first.start('counter')
  await first.open(agent)
  await first.ticks(agent, 5)
  const seen = (await first.log()).at(-1)?.tick ?? 0
  await first.page.close()
  await expect
    .poll(async () => (await home.ask<Peer[]>('peers')).find(({ id }) => id === first.peerId)?.link ?? 'none')
    .toBe('none')
  expect((await home.ask<AgentStatus[]>('ps', '--all')).find((status) => status.agent === agent)?.here ?? false).toBe(false)

  const next = await tab(home.url, person)
  await next.sees(agent, next.peerId)
  await next.open(agent)
  await expectTick(next.log, seen + 5)
  const log = await next.log()
  expect(log[0]?.tick).toBeGreaterThan(seen)
  expectEveryTickOnce(log, [])
  const file = join(folder, 'out.car')
  await next.saveCopy(file)
  expectHistory(await verifyFile(file), agent, [next.peerId])
})
