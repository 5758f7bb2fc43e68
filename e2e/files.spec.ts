import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { AgentStatus } from '@igor/core'
import { expectEveryTickOnce, expectHistory, expectOneHost, expectTick, runOn, verifyFile } from './fixtures/agents.ts'
import { askIgor, igor } from './fixtures/server.ts'
import { expect, test } from './fixtures/test.ts'

interface Inspected {
  readonly verified: boolean
  readonly agent: { readonly agent: string; readonly tick: number; readonly authority: { readonly status: string } }
}

test('a copy: inspected and verified without a node, recovered elsewhere by its owner alone', async ({ server, folder }) => {
  const [first, second] = await Promise.all([server('first'), server('second')])
  const agent = await runOn(first, 'counter')
  const log = first.follow(agent)
  await expectTick(() => log.lines, 3)
  const [copy, keys] = [join(folder, 'copy.car'), join(folder, 'my.keys')]
  await first.ask('export', agent, '-o', copy)
  await first.ask('keys', 'export', '-o', keys)

  const verdict = await verifyFile(copy)
  expectHistory(verdict, agent, [first.peerId])
  expect(await askIgor<Inspected>('inspect', copy)).toMatchObject({
    verified: true,
    agent: { agent, tick: verdict.tick, authority: { status: 'held' } },
  })
  const broken = await readFile(copy)
  broken[broken.length >> 1] = (broken[broken.length >> 1] ?? 0) ^ 1
  await writeFile(join(folder, 'broken.car'), broken)
  const refused = await igor('verify', join(folder, 'broken.car'), '--json')
  expect(refused.code).toBe(1)
  expect(JSON.parse(refused.stdout)).toMatchObject({ ok: false, code: expect.any(String), message: expect.any(String) })

  // It goes on where it was: nobody else can wake the copy, and the owner only by saying that its host is gone.
  for (const [args, code] of [
    [[], 'NOT_OWNER'],
    [['--key', keys], 'NOT_AUTHORITATIVE'],
  ] as const) {
    const attempt = await second.run('import', copy, ...args, '--json')
    expect(attempt.code).toBe(1)
    expect(JSON.parse(attempt.stderr)).toMatchObject({ code })
  }
  await expectTick(() => log.lines, verdict.tick + 5)
  expectEveryTickOnce(log.lines, [])
  await first.end('SIGKILL')

  await second.ask('import', copy, '--key', keys, '--force')
  const after = second.follow(agent)
  await expectTick(() => after.lines, verdict.tick + 5)
  expectEveryTickOnce(after.lines, [])
  expect(after.lines[0]?.tick).toBe(verdict.tick + 1)
  await expectOneHost(agent, second.peerId, { servers: [second] })
  const recovered = await second.ask<{ hosts: { peer: string }[]; asserted: string[] }>('verify', agent)
  expect(recovered.hosts.map(({ peer }) => peer)).toEqual([first.peerId, second.peerId])
  expect(recovered.asserted, 'everyone sees whose word it rests on').toHaveLength(1)
})

test('a file for a node that answers: only that one lets it go on', async ({ server, folder }) => {
  const [first, second, third] = await Promise.all([server('first'), server('second'), server('third')])
  await first.ask('peers', '--connect', second.multiaddrs[0] as string)
  const agent = await runOn(first, 'counter')
  const log = first.follow(agent)
  await expectTick(() => log.lines, 3)
  const file = join(folder, 'sent.car')
  await first.ask('export', agent, '-o', file, '--to', second.peerId)
  const { tick } = await verifyFile(file)
  expect(await askIgor<Inspected>('inspect', file)).toMatchObject({
    agent: { authority: { status: 'offered', to: second.peerId } },
  })
  expect((await first.ps())[0]).toMatchObject({ agent, state: 'moving', tick })

  const wrong = await third.run('import', file, '--json')
  expect(wrong.code).toBe(1)
  expect(await third.ps()).toEqual([])
  expect(await second.ask<AgentStatus>('import', file)).toMatchObject({ agent, here: true })
  const after = second.follow(agent)
  await expectTick(() => after.lines, tick + 5)
  expect(after.lines[0]?.tick).toBe(tick + 1)
  expectEveryTickOnce(after.lines, [])
  await expect.poll(async () => (await first.ps())[0]?.here).toBe(false)
  await expectOneHost(agent, second.peerId, { servers: [first, second] })
  const again = await second.run('import', file, '--json')
  expect([again.code, JSON.parse(again.stderr).code], 'the file is used up').toEqual([1, 'AGENT_EXISTS'])
  expectHistory(await second.ask('verify', agent), agent, [first.peerId, second.peerId])
})

test('a file for a tab, by its ready file: dropped on its page, the agent goes on there', async ({ server, tab, folder }) => {
  const [home, far] = await Promise.all([server('home'), server('far')])
  const here = await tab(home.url)
  const ready = join(folder, 'tab.ready')
  await here.saveReady(ready)

  // Far knows neither the tab nor its server.
  const agent = await runOn(far, 'counter')
  const log = far.follow(agent)
  await expectTick(() => log.lines, 3)
  const file = join(folder, 'sent.car')
  await far.ask('export', agent, '-o', file, '--to', ready)
  const { tick } = await verifyFile(file)

  const dialog = await here.drop({ name: 'sent.car', mimeType: 'application/vnd.ipld.car', buffer: await readFile(file) })
  await expect(dialog).toContainText('Verified')
  await dialog.getByTestId('import-go').click()
  await expect(dialog).toHaveCount(0)
  await here.sees(agent, here.peerId)
  await expectTick(here.log, tick + 5)
  expectEveryTickOnce(await here.log(), [])
  expect((await here.log())[0]?.tick).toBe(tick + 1)
  await expectOneHost(agent, here.peerId, { servers: [home], tabs: [here] })
  expectHistory(await home.ask('verify', agent), agent, [far.peerId, here.peerId])

  // At the source it stands still until it hears; the file could be made again.
  expect((await far.ps())[0]).toMatchObject({ state: 'moving', tick })
  await far.ask('peers', '--connect', home.multiaddrs[0] as string)
  await expect.poll(async () => (await far.ps())[0]?.state, { timeout: 20_000 }).not.toBe('moving')
  await expectOneHost(agent, here.peerId, { servers: [far] })
})

test('what is no agent, dropped on the page, is named and changes nothing', async ({ server, tab, folder }) => {
  const home = await server('home')
  const here = await tab(home.url)
  const problem = here.page.locator('.notices [data-testid=problem]')
  const notWasm = { name: 'broken.wasm', mimeType: 'application/wasm', buffer: Buffer.from('not wasm at all') }
  await here.dropFiles(notWasm)
  await expect(problem).toContainText('broken.wasm did not start')
  await here.dropFiles({ name: 'picture.png', mimeType: 'image/png', buffer: Buffer.from('x') })
  await expect(problem).toContainText('picture.png is neither')

  const agent = await runOn(home, 'counter')
  const file = join(folder, 'cut.car')
  await home.ask('export', agent, '-o', file)
  const whole = await readFile(file)
  const dialog = await here.drop({ name: 'cut.car', mimeType: '', buffer: whole.subarray(0, whole.length - 100) })
  await expect(dialog).not.toContainText('Verified')
  await expect(dialog.getByTestId('import-go')).toHaveCount(0)
})
