/**
 * An agent with a witness outlives its host: closed, killed, stopped, cut off, set back (design sections 5 to 7).
 */
import { cp, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { chromium } from '@playwright/test'
import { expectHistory, expectOneHost } from './fixtures/agents.ts'
import { hasEtcd, startEtcd } from './fixtures/etcd.ts'
import { conclude, expectConnected, expectStatus, lastTick, runWitnessed, table } from './fixtures/failover.ts'
import { twoNetworks } from './fixtures/netns.ts'
import { freePort, type Server, type Verdict } from './fixtures/server.ts'
import { slowness } from './fixtures/slowness.ts'
import { openTab, tabNode } from './fixtures/tab-node.ts'
import { expect, test } from './fixtures/test.ts'

/** Of the leases here; the default is five times as long. */
const LEASE_S = 3
const LEASE = ['--witness-lease', String(LEASE_S)]
/** A host that is gone without a word: until its lease ends, and 5 s. */
const limit = async (): Promise<number> => (LEASE_S * 1000 + 5000) * (await slowness())
const verify = (server: Server, agent: string): Promise<Verdict> => server.ask('verify', agent)

test.afterAll(() => console.log(table()))

test('a closed tab: its agent goes on at the server', async ({ server, tab }) => {
  const home = await server('home')
  const first = await tab(home.url)
  const agent = await first.start('counter', { guarded: true })
  const log = home.follow(agent)
  await log.above(5)
  const at = performance.now()
  await first.page.close()
  const before = lastTick(log)
  await expectStatus(home, agent, { host: home.peerId, here: true, state: 'active', epoch: 2 })
  await log.above(lastTick(log))
  const verdict = await verify(home, agent)
  await conclude({ what: 'a tab is closed', at, limitMs: 3500 * (await slowness()), before, logs: [log], verdict })
})

test('a reload keeps its own: the release is taken back', async ({ server, tab }) => {
  const home = await server('home')
  const first = await tab(home.url)
  const agent = await first.start('counter', { guarded: true })
  const log = home.follow(agent)
  await log.above(5)
  const at = performance.now()
  await first.page.reload()
  const before = lastTick(log)
  const again = await tabNode(first.page)
  await again.sees(agent, again.peerId)
  await log.above(before + 20)
  const verdict = await verify(home, agent)
  await conclude({
    what: 'a tab is reloaded',
    at,
    limitMs: 3500 * (await slowness()),
    before,
    logs: [log],
    verdict,
    last: before,
  })
  expectHistory(verdict, agent, [again.peerId])
})

test('a closed tab with another one of the browser: one of them or the server has it', async ({ server, tab, profile }) => {
  const home = await server('home')
  const person = await profile()
  const first = await tab(home.url, person)
  const agent = await first.start('counter', { guarded: true })
  const second = await tab(home.url, person)
  const log = home.follow(agent)
  await log.above(5)
  await second.sees(agent, first.peerId)
  const at = performance.now()
  await first.page.close()
  const before = lastTick(log)
  await log.above(before + 30)
  const verdict = await verify(home, agent)
  await conclude({
    what: 'a tab is closed, another is open',
    at,
    limitMs: 3500 * (await slowness()),
    before,
    logs: [log],
    verdict,
    last: before,
  })
  const host = verdict.hosts.at(-1)?.peer ?? ''
  expect([home.peerId, second.peerId]).toContain(host)
  expectHistory(verdict, agent, [first.peerId, host])
  await expectOneHost(agent, host, { servers: [home], tabs: [second] })
})

test('a killed browser: its agent goes on at the server', async ({ server, ownBrowser }) => {
  const home = await server('home', ...LEASE)
  const browser = await ownBrowser()
  const first = await openTab(await browser.context(), home.url)
  const agent = await first.start('counter', { guarded: true })
  const log = home.follow(agent)
  await log.above(5)
  const at = performance.now()
  await browser.kill()
  const before = lastTick(log)
  await expectStatus(home, agent, { host: home.peerId, here: true, state: 'active', epoch: 2 })
  await log.above(before)
  const verdict = await verify(home, agent)
  await conclude({ what: 'a browser is killed', at, limitMs: await limit(), before, logs: [log], verdict })
})

test('a frozen tab: when it comes back it ticks nothing that it lost, and knows where its agent is', async ({
  server,
  ownBrowser,
}) => {
  const home = await server('home', ...LEASE)
  const browser = await ownBrowser()
  const first = await openTab(await browser.context(), home.url)
  const agent = await first.start('counter', { guarded: true })
  const log = home.follow(agent)
  await log.above(5)
  const thaw = await browser.freeze()
  const at = performance.now()
  const before = lastTick(log)
  await expectStatus(home, agent, { host: home.peerId, here: true, state: 'active', epoch: 2 })
  await log.above(before)
  await thaw()
  await first.sees(agent, home.peerId)
  await log.above(lastTick(log) + 20)
  const verdict = await verify(home, agent)
  await conclude({ what: 'a tab is frozen for longer than its lease', at, limitMs: await limit(), before, logs: [log], verdict })
  expectHistory(verdict, agent, [first.peerId, home.peerId])
  await expectOneHost(agent, home.peerId, { servers: [home], tabs: [first] })
})

test('a tab out of the back/forward cache: it ticks nothing that it lost, and knows where its agent is', async ({
  server,
  launchOptions,
  permissions,
}) => {
  const home = await server('home', ...LEASE)
  const browser = await chromium.launch({ ...launchOptions, ignoreDefaultArgs: ['--disable-back-forward-cache'] })
  try {
    const context = await browser.newContext({ permissions: permissions ?? [] })
    // As behind a TLS proxy: Chromium puts no page aside that has a WebRTC connection.
    await context.route('**/node.json', async (route) => {
      const site = await (await route.fetch()).json()
      await route.fulfill({ json: { ...site, multiaddrs: site.multiaddrs.filter((each: string) => each.includes('/ws/')) } })
    })
    const first = await openTab(context, home.url)
    const { page } = first
    await page.evaluate(() =>
      addEventListener('pageshow', ({ persisted }) => sessionStorage.setItem('came-out', String(persisted)), true),
    )
    const agent = await first.start('counter', { guarded: true })
    const log = home.follow(agent)
    await log.above(5)
    const at = performance.now()
    await page.goto(new URL('favicon.svg', home.url).href)
    const before = lastTick(log)
    await expectStatus(home, agent, { host: home.peerId, here: true, state: 'active', epoch: 2 })
    await log.above(before)
    await page.goBack({ waitUntil: 'commit' })
    // Only then it was in the cache at all; the page is loaded anew after that.
    await expect.poll(() => page.evaluate(() => sessionStorage.getItem('came-out')).catch(() => null)).toBe('true')
    const again = await tabNode(page)
    expect(again.peerId).toBe(first.peerId)
    await again.sees(agent, home.peerId)
    await log.above(lastTick(log) + 20)
    const verdict = await verify(home, agent)
    await conclude({ what: 'a tab is put aside for going back', at, limitMs: await limit(), before, logs: [log], verdict })
    expectHistory(verdict, agent, [first.peerId, home.peerId])
    await expectOneHost(agent, home.peerId, { servers: [home], tabs: [again] })
  } finally {
    await browser.close()
  }
})

test('a killed server: its agents go on at their witness; started again it knows that they moved', async ({ server }) => {
  const home = await server('home', ...LEASE)
  const far = await server('far', '--headless', '--relay', home.multiaddrs[0] as string)
  const agent = await runWitnessed(far, home.peerId)
  const log = home.follow(agent)
  await log.above(5)
  const at = performance.now()
  await far.end('SIGKILL')
  const before = lastTick(log)
  await log.above(before)
  const again = await server('far', '--headless', '--relay', home.multiaddrs[0] as string)
  const other = again.follow(agent)
  await expectStatus(again, agent, { host: home.peerId, here: false, state: 'active' })
  await expectStatus(home, agent, { host: home.peerId, here: true, state: 'active', epoch: 2 })
  await other.above(lastTick(log))
  const verdict = await verify(home, agent)
  await conclude({ what: 'a server is killed', at, limitMs: await limit(), before, logs: [log, other], verdict })
})

test('a stopped process: when it wakes it ticks nothing, and knows that its agent moved', async ({ server }) => {
  const home = await server('home', ...LEASE)
  const far = await server('far', '--headless', '--relay', home.multiaddrs[0] as string)
  const agent = await runWitnessed(far, home.peerId)
  const log = home.follow(agent)
  const own = far.follow(agent)
  await Promise.all([log.above(5), own.above(5)])
  far.signal('SIGSTOP')
  const at = performance.now()
  const before = lastTick(log)
  await expectStatus(home, agent, { host: home.peerId, here: true, state: 'active', epoch: 2 })
  await log.above(before)
  far.signal('SIGCONT')
  await expectStatus(far, agent, { host: home.peerId, here: false, state: 'active', epoch: 2 })
  await own.above(lastTick(log) + 5)
  const verdict = await verify(home, agent)
  await conclude({
    what: 'a process is stopped for longer than its lease',
    at,
    limitMs: await limit(),
    before,
    logs: [log, own],
    verdict,
  })
  expectHistory(verdict, agent, [far.peerId, home.peerId])
})

test('a data folder set back: it goes on from what its witness has', async ({ server }) => {
  const home = await server('home', ...LEASE)
  const start = () => server('far', '--headless', '--relay', home.multiaddrs[0] as string)
  let far = await start()
  const old = `${far.dataDir}-old`
  const agent = await runWitnessed(far, home.peerId, 'never')
  const log = home.follow(agent)
  await log.above(5)
  await far.end('SIGTERM')
  await cp(far.dataDir, old, { recursive: true })
  const set = lastTick(log)
  far = await start()
  await log.above(set + 10)
  await far.end('SIGKILL')
  const at = performance.now()
  const before = lastTick(log)
  // In place: where the folder is tells nothing.
  for (const name of await readdir(far.dataDir)) await rm(join(far.dataDir, name), { recursive: true })
  await cp(old, far.dataDir, { recursive: true })
  far = await start()
  await expectStatus(far, agent, { host: far.peerId, here: true, state: 'active', epoch: 2 })
  await log.above(before + 5)
  const verdict = await verify(far, agent)
  await conclude({
    what: 'a data folder is restored from an older copy',
    at,
    limitMs: await limit(),
    before,
    logs: [log],
    verdict,
  })
  expectHistory(verdict, agent, [far.peerId, far.peerId])
})

test('two machines import copies of one file: one wins, the other is told why', async ({ server, folder }) => {
  const home = await server('home', ...LEASE)
  const relay = ['--headless', '--relay', home.multiaddrs[0] as string]
  const [far, one, other] = await Promise.all([server('far', ...relay), server('one', ...relay), server('other', ...relay)])
  const agent = await runWitnessed(far, home.peerId, 'never')
  const log = home.follow(agent)
  await log.above(5)
  // What is copied is the last that it did.
  await far.ask('pause', agent)
  const [file, keys] = [join(folder, 'copy.car'), join(folder, 'my.keys')]
  await far.ask('export', agent, '-o', file)
  await far.ask('keys', 'export', '-o', keys)
  const take = (at: Server) => at.run('import', file, '--key', keys)
  expect((await take(one)).stderr, 'its holder lives').toMatch(/may still run it for \d s/)
  const at = performance.now()
  await far.end('SIGKILL')
  const before = lastTick(log)
  const ran = await Promise.all(
    [one, other].map(async (each) => {
      for (;;) {
        const done = await take(each)
        if (!/may still run it/.test(done.stderr)) return done
      }
    }),
  )
  const said = ran.map(({ stderr }) => stderr).join('')
  expect(ran.map(({ code }) => code).sort(), said).toEqual([0, 1])
  expect(said).toMatch(/later history .* igor recover/)
  const winner = ran[0]?.code === 0 ? one : other
  await expectStatus(winner, agent, { here: true, state: 'paused' })
  await winner.ask('resume', agent)
  await log.above(before + 5)
  const verdict = await verify(winner, agent)
  await conclude({ what: 'two machines import copies of one file', at, limitMs: await limit(), before, logs: [log], verdict })
  expect(verdict.hosts.map(({ peer }) => peer)).toEqual([far.peerId, winner.peerId])
})

test('its host is gone for good: its owner recovers it elsewhere', async ({ server, folder }) => {
  const home = await server('home', ...LEASE)
  const relay = ['--headless', '--relay', home.multiaddrs[0] as string]
  const [far, near] = await Promise.all([server('far', ...relay), server('near', ...relay)])
  const agent = await runWitnessed(far, home.peerId, 'never')
  const log = near.follow(agent)
  await log.above(5)
  const keys = join(folder, 'my.keys')
  await far.ask('keys', 'export', '-o', keys)
  expect((await near.run('recover', agent)).stderr).toMatch(/does not hold the key/)
  await near.ask('keys', 'import', keys)
  await expectConnected(near)
  expect((await near.run('recover', agent)).stderr, 'its holder lives').toMatch(/may still run somewhere for \d s/)
  const at = performance.now()
  await far.end('SIGKILL')
  const before = lastTick(log)
  for (;;) {
    const ran = await near.run('recover', agent)
    if (ran.code === 0) break
    expect(ran.stderr).toMatch(/may still run somewhere/)
  }
  await log.above(before)
  const verdict = await verify(near, agent)
  await conclude({ what: 'its owner says `igor recover`', at, limitMs: await limit(), before, logs: [log], verdict })
  expectHistory(verdict, agent, [far.peerId, near.peerId])
})

test('a browser set back without its other half: its agent halts, says why, and its owner recovers it there', async ({
  server,
  tab,
}) => {
  const home = await server('home')
  const first = await tab(home.url)
  const agent = await first.start('counter')
  await first.ticks(agent, 5)
  const { page } = first
  await page.evaluate(() => {
    for (const key of Object.keys(localStorage)) if (/\/incarnation\//.test(key)) localStorage.setItem(key, '00'.repeat(16))
  })
  await page.reload()
  const again = await tabNode(page)
  await again.sees(agent, again.peerId, 'halted')
  await again.open(agent)
  await expect(page.getByTestId('reason')).toContainText('found at another place')
  const stood = await again.tick(agent)
  await page.getByTestId('action-recover').click()
  await expect(page.getByTestId('confirm')).toContainText('rests on your word')
  await page.getByTestId('confirm-yes').click()
  await again.sees(agent, again.peerId, 'active')
  await again.ticks(agent, 5, stood)
  await expect(page.getByTestId('action-recover')).toBeHidden()
})

test('a witness down and back: the holder stands still, says so, and goes on', async ({ server }) => {
  const port = ['--port', String(await freePort())]
  let home = await server('home', ...LEASE, ...port)
  const far = await server('far', '--headless', '--relay', home.multiaddrs[0] as string)
  const agent = await runWitnessed(far, home.peerId)
  const log = far.follow(agent)
  await log.above(5)
  await home.end('SIGKILL')
  const gone = performance.now()
  await expectStatus(far, agent, { state: 'halted', reason: expect.stringMatching(/witness/), leaseMs: 0 })
  expect(performance.now() - gone).toBeLessThan(await limit())
  const before = lastTick(log)
  home = await server('home', ...LEASE, ...port)
  const at = performance.now()
  await expectStatus(far, agent, { host: far.peerId, here: true, state: 'active', epoch: 1 })
  await log.above(before + 20)
  const verdict = await verify(far, agent)
  await conclude({ what: 'a witness is down, and back', at, limitMs: await limit(), before, logs: [log], verdict, last: before })
  await expectOneHost(agent, far.peerId, { servers: [home, far] })
})

test('a cut network: the holder stops, a candidate on the side of the witness goes on, one owner when it is mended', async ({
  serverIn,
}) => {
  const networks = await twoNetworks()
  test.skip(typeof networks === 'string', String(networks))
  if (typeof networks === 'string') return
  try {
    const [here, there] = networks.sides
    const home = await serverIn(here.name, 'home', '--host', here.address, '--headless', '--witness', ...LEASE)
    const relay = ['--headless', '--relay', home.multiaddrs[0] as string]
    const near = await serverIn(here.name, 'near', '--host', here.address, ...relay)
    const far = await serverIn(there.name, 'far', '--host', there.address, ...relay)
    const agent = await runWitnessed(far, home.peerId, [near.peerId])
    const logs = [home.follow(agent), far.follow(agent)] as const
    await Promise.all(logs.map((log) => log.above(5)))
    await networks.cut()
    const at = performance.now()
    const before = lastTick(logs[0])
    await expectStatus(far, agent, { state: 'halted', reason: expect.stringMatching(/witness/), leaseMs: 0 })
    await expectStatus(near, agent, { host: near.peerId, here: true, state: 'active', epoch: 2 })
    await logs[0].above(before + 5)
    await networks.mend()
    await expectStatus(far, agent, { host: near.peerId, here: false, state: 'active', epoch: 2 })
    await logs[1].above(lastTick(logs[0]))
    const verdict = await verify(near, agent)
    await conclude({ what: 'the network is cut', at, limitMs: await limit(), before, logs, verdict })
    expectHistory(verdict, agent, [far.peerId, near.peerId])
  } finally {
    await networks.remove()
  }
})

test('a witness in etcd: a member and a relay die, the agent goes on; its host dies, the other relay has it', async ({
  server,
  folder,
}) => {
  test.skip(!hasEtcd(), 'no /usr/bin/etcd: install etcd-server')
  const etcd = await startEtcd(folder, 3)
  try {
    const witness = ['--headless', '--witness-store', etcd.url, ...LEASE]
    const [one, other] = await Promise.all([server('one', ...witness), server('other', ...witness)])
    const far = await server('far', '--headless', '--relay', one.multiaddrs[0] as string, other.multiaddrs[0] as string)
    const { witness: id } = (await (await fetch(new URL('node.json', one.url))).json()) as { witness: string }
    await expect.poll(async () => (await far.ask<unknown[]>('peers')).length).toBe(2)
    const agent = await runWitnessed(far, id)
    const log = other.follow(agent)
    await log.above(5)
    let at = performance.now()
    await Promise.all([etcd.members[0]?.kill(), one.end('SIGKILL')])
    let before = lastTick(log)
    await log.above(before + 20)
    let verdict = await verify(far, agent)
    await conclude({
      what: 'a relay and an etcd member are killed',
      at,
      limitMs: await limit(),
      before,
      logs: [log],
      verdict,
      last: before,
    })
    expectHistory(verdict, agent, [far.peerId])
    at = performance.now()
    await far.end('SIGKILL')
    before = lastTick(log)
    await expectStatus(other, agent, { host: other.peerId, here: true, state: 'active', epoch: 2 })
    await log.above(before)
    verdict = await verify(other, agent)
    await conclude({ what: 'then its host', at, limitMs: await limit(), before, logs: [log], verdict })
  } finally {
    await etcd.stop()
  }
})
