/**
 * An agent with a witness outlives its host: closed, killed, stopped, cut off, set back (design sections 5 to 7).
 */
import { conclude, expectStatus, lastTick, runWitnessed, table } from './fixtures/failover.ts'
import type { Server, Verdict } from './fixtures/server.ts'
import { slowness } from './fixtures/slowness.ts'
import { test } from './fixtures/test.ts'

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
  conclude({ what: 'a tab is closed', at, limitMs: 3500 * (await slowness()), before, logs: [log], verdict })
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
  conclude({ what: 'a server is killed', at, limitMs: await limit(), before, logs: [log, other], verdict })
})
