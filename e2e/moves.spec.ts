import { join } from 'node:path'
import { expectEveryTickOnce, expectHistory, expectOneHost, expectTick, runOn, verifyFile } from './fixtures/agents.ts'
import { test } from './fixtures/test.ts'

test('tab to server, by mouse', async ({ server, tab, folder }) => {
  const home = await server('home')
  const here = await tab(home.url)
  const agent = await here.start('counter')
  await here.reaches(home.peerId)
  await here.open(agent)
  await here.ticks(agent, 3)

  await here.drag(agent, home.peerId)
  const move = await here.moved(agent, home.peerId)
  await here.ticks(agent, 5, move.tick)
  await expectOneHost(agent, home.peerId, { servers: [home], tabs: [here] })

  expectEveryTickOnce(await here.log(), [move])
  await home.ask('export', agent, '-o', join(folder, 'out.car'))
  expectHistory(await verifyFile(join(folder, 'out.car')), agent, [here.peerId, home.peerId], [move])
})

test('server to server, by command', async ({ server, folder }) => {
  const [first, second] = await Promise.all([server('first'), server('second')])
  await first.ask('peers', '--connect', second.multiaddrs[0] as string)
  const agent = await runOn(first, 'counter')
  const log = first.follow(agent)
  await expectTick(() => log.lines, 3)

  const move = await first.migrate(agent, second.peerId)
  await expectTick(() => log.lines, move.tick + 5)
  await expectOneHost(agent, second.peerId, { servers: [first, second] })

  expectEveryTickOnce(log.lines, [move])
  await second.ask('export', agent, '-o', join(folder, 'out.car'))
  expectHistory(await verifyFile(join(folder, 'out.car')), agent, [first.peerId, second.peerId], [move])
})
