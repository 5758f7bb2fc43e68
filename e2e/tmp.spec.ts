/**
 * An agent with a witness outlives its host: closed, killed, stopped, cut off, set back (design sections 5 to 7).
 */
import { cp, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expectHistory, expectOneHost } from './fixtures/agents.ts'
import { hasEtcd, startEtcd } from './fixtures/etcd.ts'
import { conclude, expectStatus, lastTick, runWitnessed, statusAt, table } from './fixtures/failover.ts'
import { twoNetworks } from './fixtures/netns.ts'
import { freePort, type Server, type Verdict } from './fixtures/server.ts'
import { slowness } from './fixtures/slowness.ts'
import { tabNode } from './fixtures/tab-node.ts'
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
  console.log(Math.round(performance.now()), 'L')
  const at = performance.now()
  await first.page.close()
  const before = lastTick(log)
  await expectStatus(home, agent, { host: home.peerId, here: true, state: 'active', epoch: 2 })
  console.log(Math.round(performance.now()), 'L')
  await log.above(lastTick(log))
  console.log(Math.round(performance.now()), 'L')
  const verdict = await verify(home, agent)
  conclude({ what: 'a tab is closed', at, limitMs: 3500 * (await slowness()), before, logs: [log], verdict })
})

test('a killed server: its agents go on at their witness; started again it knows that they moved', async ({ server }) => {
  const home = await server('home', ...LEASE)
  const far = await server('far', '--headless', '--relay', home.multiaddrs[0] as string)
  const agent = await runWitnessed(far, home.peerId)
  const log = home.follow(agent)
  await log.above(5)
  console.log(Math.round(performance.now()), 'L')
  const at = performance.now()
  await far.end('SIGKILL')
  console.log(Math.round(performance.now()), 'L')
  const before = lastTick(log)
  await log.above(before)
  console.log(Math.round(performance.now()), 'L')
  const again = await server('far', '--headless', '--relay', home.multiaddrs[0] as string)
  const other = again.follow(agent)
  await expectStatus(again, agent, { host: home.peerId, here: false, state: 'active' })
  console.log(Math.round(performance.now()), 'L')
  await expectStatus(home, agent, { host: home.peerId, here: true, state: 'active', epoch: 2 })
  console.log(Math.round(performance.now()), 'L')
  await other.above(lastTick(log))
  const verdict = await verify(home, agent)
  conclude({ what: 'a server is killed', at, limitMs: await limit(), before, logs: [log, other], verdict })
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
  console.log(Math.round(performance.now()), 'L')
  await log.above(before)
  console.log(Math.round(performance.now()), 'L')
  far.signal('SIGCONT')
  await expectStatus(far, agent, { host: home.peerId, here: false, state: 'active', epoch: 2 })
  console.log(Math.round(performance.now()), 'L')
  await own.above(lastTick(log) + 5)
  console.log(Math.round(performance.now()), 'L')
  const verdict = await verify(home, agent)
  conclude({
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
  console.log(Math.round(performance.now()), 'L')
  await far.end('SIGTERM')
  console.log(Math.round(performance.now()), 'L')
  await cp(far.dataDir, old, { recursive: true })
  const set = lastTick(log)
  far = await start()
  await log.above(set + 10)
  console.log(Math.round(performance.now()), 'L')
  await far.end('SIGKILL')
  console.log(Math.round(performance.now()), 'L')
  const at = performance.now()
  const before = lastTick(log)
  // In place: where the folder is tells nothing.
  for (const name of await readdir(far.dataDir)) await rm(join(far.dataDir, name), { recursive: true })
  await cp(old, far.dataDir, { recursive: true })
  far = await start()
  await expectStatus(far, agent, { host: far.peerId, here: true, state: 'active', epoch: 2 })
  console.log(Math.round(performance.now()), 'L')
  await log.above(before + 5)
  console.log(Math.round(performance.now()), 'L')
  const verdict = await verify(far, agent)
  conclude({ what: 'a data folder is restored from an older copy', at, limitMs: await limit(), before, logs: [log], verdict })
  expectHistory(verdict, agent, [far.peerId, far.peerId])
})

test('two machines import copies of one file: one wins, the other is told why', async ({ server, folder }) => {
  const home = await server('home', ...LEASE)
  const relay = ['--headless', '--relay', home.multiaddrs[0] as string]
  const far = await server('far', ...relay)
  const agent = await runWitnessed(far, home.peerId, 'never')
  const log = home.follow(agent)
  await log.above(5)
  console.log(Math.round(performance.now()), 'L')
  const file = join(folder, 'copy.car')
  const keys = join(folder, 'my.keys')
  await far.run('export', agent, '-o', file)
  await far.run('keys', 'export', '-o', keys)
  const [one, other] = await Promise.all([server('one', ...relay), server('other', ...relay)])
  const held = await one.run('import', file, '--key', keys)
  expect(held).toMatchObject({ code: 1 })
  await far.end('SIGKILL')
  console.log(Math.round(performance.now()), 'L')
  const at = performance.now()
  const before = lastTick(log)
  const tries = [one, other].map(async (each) => {
    for (;;) {
      const ran = await each.run('import', file, '--key', keys)
      if (!/LEASE_HELD|may still run/.test(ran.stderr)) return ran
    }
  })
  const ran = await Promise.all(tries)
  expect(ran.map(({ code }) => code).sort(), ran.map(({ stderr }) => stderr).join()).toEqual([0, 1])
  void at
  void before
  void statusAt
  console.log(held.stderr, ran)
})

test('a witness down and back: the holder stands still, says so, and goes on', async ({ server }) => {
  const port = ['--port', String(await freePort())]
  let home = await server('home', ...LEASE, ...port)
  const far = await server('far', '--headless', '--relay', home.multiaddrs[0] as string)
  const agent = await runWitnessed(far, home.peerId)
  const log = far.follow(agent)
  await log.above(5)
  console.log(Math.round(performance.now()), 'L')
  await home.end('SIGKILL')
  console.log(Math.round(performance.now()), 'L')
  await expectStatus(far, agent, { state: 'halted', reason: expect.stringMatching(/witness/), leaseMs: 0 })
  console.log(Math.round(performance.now()), 'L')
  const before = lastTick(log)
  home = await server('home', ...LEASE, ...port)
  const at = performance.now()
  await expectStatus(far, agent, { host: far.peerId, here: true, state: 'active', epoch: 1 })
  console.log(Math.round(performance.now()), 'L')
  await log.above(before + 20)
  console.log(Math.round(performance.now()), 'L')
  const verdict = await verify(far, agent)
  conclude({ what: 'a witness is down, and back', at, limitMs: await limit(), before, logs: [log], verdict, last: before })
  await expectOneHost(agent, far.peerId, { servers: [home, far] })
  console.log(Math.round(performance.now()), 'L')
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
    console.log(Math.round(performance.now()), 'L')
    const at = performance.now()
    const before = lastTick(logs[0])
    await expectStatus(far, agent, { state: 'halted', reason: expect.stringMatching(/witness/), leaseMs: 0 })
    console.log(Math.round(performance.now()), 'L')
    await expectStatus(near, agent, { host: near.peerId, here: true, state: 'active', epoch: 2 })
    console.log(Math.round(performance.now()), 'L')
    await logs[0].above(before + 5)
    console.log(Math.round(performance.now()), 'L')
    await networks.mend()
    console.log(Math.round(performance.now()), 'L')
    await expectStatus(far, agent, { host: near.peerId, here: false, state: 'active', epoch: 2 })
    console.log(Math.round(performance.now()), 'L')
    await logs[1].above(lastTick(logs[0]))
    console.log(Math.round(performance.now()), 'L')
    const verdict = await verify(near, agent)
    conclude({ what: 'the network is cut', at, limitMs: await limit(), before, logs, verdict })
    expectHistory(verdict, agent, [far.peerId, near.peerId])
  } finally {
    await networks.remove()
    console.log(Math.round(performance.now()), 'L')
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
    const agent = await runWitnessed(far, id)
    const log = other.follow(agent)
    await log.above(5)
    console.log(Math.round(performance.now()), 'L')
    let at = performance.now()
    await Promise.all([etcd.members[0]?.kill(), one.end('SIGKILL')])
    let before = lastTick(log)
    await log.above(before + 20)
    console.log(Math.round(performance.now()), 'L')
    let verdict = await verify(far, agent)
    conclude({
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
    console.log(Math.round(performance.now()), 'L')
    before = lastTick(log)
    await expectStatus(other, agent, { host: other.peerId, here: true, state: 'active', epoch: 2 })
    console.log(Math.round(performance.now()), 'L')
    await log.above(before)
    console.log(Math.round(performance.now()), 'L')
    verdict = await verify(other, agent)
    conclude({ what: 'then its host', at, limitMs: await limit(), before, logs: [log], verdict })
  } finally {
    await etcd.stop()
  }
})
void tabNode
