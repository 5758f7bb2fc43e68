import { join } from 'node:path'
import { ballast, expectEveryTickOnce, expectHistory, expectOneHost, expectTick, filesOf, runOn } from './fixtures/agents.ts'
import type { Verdict } from './fixtures/server.ts'
import { startStrict } from './fixtures/strict.ts'
import type { TabNode } from './fixtures/tab-node.ts'
import { expect, test } from './fixtures/test.ts'

/** It goes on at its source: not a tick was lost, and nobody else is in its history. */
async function expectStayed(here: TabNode, agent: string, verify: () => Promise<Verdict>): Promise<void> {
  const { tick = 0 } = (await here.log()).at(-1) ?? {}
  await expectTick(here.log, tick + 3)
  await expectOneHost(agent, here.peerId, { tabs: [here] })
  expectEveryTickOnce(await here.log(), [])
  expectHistory(await verify(), agent, [here.peerId])
}

test('a target without room: the page says so, to mouse and keyboard; the command too', async ({ server, tab }) => {
  const full = await server('full', '--max-agents', '0')
  const here = await tab(full.url)
  const agent = await here.start('counter')
  await here.reaches(full.peerId)
  await here.open(agent)
  await expect(here.island(full.peerId)).toContainText('Full')
  await here.drag(agent, full.peerId)
  await expect(here.card(agent).getByTestId('problem')).toContainText('Full')
  await here.card(agent).getByTestId('move-button').focus()
  await here.page.keyboard.press('Enter')
  const item = here.page.getByTestId('menu').locator(`[data-peer="${full.peerId}"]`)
  await expect(item).toHaveAttribute('aria-disabled', 'true')
  await expect(item).toContainText('Full')
  await here.page.keyboard.press('Escape')
  await expectStayed(here, agent, () => full.ask('verify', agent))

  const other = await server('other')
  const local = await runOn(other, 'counter')
  const { code, stderr } = await other.run('migrate', local, full.multiaddrs[0] as string, '--json')
  expect(code).toBe(1)
  expect(JSON.parse(stderr)).toMatchObject({ code: 'HANDOFF_REJECTED', message: expect.stringContaining('room') })
  await expectOneHost(local, other.peerId, { servers: [other] })
})

test('a target that takes only others', async ({ server, tab }) => {
  const choosy = await server('choosy', '--allow', '12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5')
  const here = await tab(choosy.url)
  const agent = await here.start('counter')
  await here.reaches(choosy.peerId)
  await here.open(agent)
  await here.ticks(agent, 3)
  await here.drag(agent, choosy.peerId)
  const problem = here.card(agent).getByTestId('problem')
  await expect(problem).toContainText('list')
  await expect(problem).toHaveAttribute('data-code', 'HANDOFF_REJECTED')
  await expectStayed(here, agent, () => choosy.ask('verify', agent))
})

test('a target that does not offer a capability', async ({ server, tab, folder }) => {
  const home = await server('home')
  const strict = await startStrict(join(folder, 'strict'), home.multiaddrs, ['clock'])
  try {
    const here = await tab(home.url)
    const agent = await here.start('counter')
    await here.reaches(strict.peerId)
    await here.open(agent)
    await here.ticks(agent, 3)
    await here.drag(agent, strict.peerId)
    await expect(here.card(agent).getByTestId('problem')).toContainText('capability log')
    await expectStayed(here, agent, () => home.ask('verify', agent))
  } finally {
    await strict.end()
  }
})

test('an agent whose manifest forbids moves', async ({ server, tab }) => {
  const home = await server('home')
  const here = await tab(home.url)
  const agent = await here.startFiles(...(await filesOf('counter', { migration_policy: { enabled: false } })))
  await here.reaches(home.peerId)
  await here.open(agent)
  await here.ticks(agent, 3)
  await here.moveByKeyboard(agent, home.peerId)
  await expect(here.card(agent).getByTestId('problem')).toContainText('manifest')
  await expectStayed(here, agent, () => home.ask('verify', agent))
})

test('a server that is killed while it copies: the agent goes on in its tab', async ({ server, tab }) => {
  const [home, target] = await Promise.all([server('home'), server('target')])
  await target.ask('peers', '--connect', home.multiaddrs[0] as string)
  const here = await tab(home.url)
  const agent = await here.startFiles(...(await ballast(16, 1)))
  await here.reaches(target.peerId)
  await here.open(agent)
  await here.ticks(agent, 3)
  await here.drag(agent, target.peerId)
  await expect(here.card(agent).getByTestId('progress')).toHaveAttribute('data-phase', 'copy')
  await target.end('SIGKILL')
  await expect(here.card(agent).getByTestId('problem')).toContainText('did not move', { timeout: 20_000 })
  await expectStayed(here, agent, () => home.ask('verify', agent))

  // The same folder comes up again, and knows nothing of it.
  const again = await server('target')
  expect(await again.ps()).toEqual([])
})

test('a tab that is closed while it copies: the agent goes on in the tab that it came from', async ({ server, tab }) => {
  const home = await server('home')
  const [here, there] = await Promise.all([tab(home.url), tab(home.url)])
  await here.reaches(there.peerId, 'webrtc')
  const agent = await here.startFiles(...(await ballast(16, 1)))
  await here.open(agent)
  await here.ticks(agent, 3)
  await here.drag(agent, there.peerId)
  await expect(here.card(agent).getByTestId('progress')).toHaveAttribute('data-phase', 'copy')
  await there.page.close()
  await expect(here.card(agent).getByTestId('problem')).toContainText('did not move', { timeout: 30_000 })
  await expectStayed(here, agent, () => home.ask('verify', agent))
})

test('a tab that is closed while it copies: the agent goes on at its server', async ({ server, tab }) => {
  const home = await server('home')
  const agent = await runOn(home, 'ballast', '--init', '16 1')
  const log = home.follow(agent)
  const there = await tab(home.url)
  await there.reaches(home.peerId)
  const moving = home.run('migrate', agent, there.peerId, '--json')
  await expect.poll(async () => (await home.ps())[0]?.state, { intervals: [20] }).toBe('moving')
  await there.page.close()
  const { code, stderr } = await moving
  expect(code).toBe(1)
  expect(JSON.parse(stderr).code).toMatch(/^(HANDOFF_FAILED|PEER_UNREACHABLE|CHANNEL_FAILED)$/)
  const { tick = 0 } = log.lines.at(-1) ?? {}
  await expectTick(() => log.lines, tick + 3)
  await expectOneHost(agent, home.peerId, { servers: [home] })
  expectEveryTickOnce(log.lines, [])
  expectHistory(await home.ask('verify', agent), agent, [home.peerId])
})
