import { join } from 'node:path'
import type { Move } from '@igor/core'
import {
  ballast,
  expectCountKept,
  expectEveryTickOnce,
  expectHistory,
  expectOneHost,
  expectTick,
  runOn,
  verifyFile,
} from './fixtures/agents.ts'
import { expect, test } from './fixtures/test.ts'

test('tab to server, by mouse', async ({ server, tab, folder }) => {
  const home = await server('home')
  const here = await tab(home.url)
  const agent = await here.start('counter')
  await here.reaches(home.peerId)
  await here.open(agent)
  await here.ticks(agent, 3)

  await here.drag(agent, home.peerId)
  const move = await here.moved(agent, home.peerId)
  expect(move.from).toBe(here.peerId)
  await expectTick(here.log, move.tick + 5)
  await expectOneHost(agent, home.peerId, { servers: [home], tabs: [here] })

  expectEveryTickOnce(await here.log(), [move])
  const file = join(folder, 'out.car')
  await home.ask('export', agent, '-o', file)
  expectHistory(await verifyFile(file), agent, [here.peerId, home.peerId], [move])
})

test('server to tab, ordered from the tab', async ({ server, tab, folder }) => {
  const home = await server('home')
  const agent = await runOn(home, 'counter')
  const log = home.follow(agent)
  const keys = await home.ask<{ keys: string[] }>('keys', 'export')

  const here = await tab(home.url)
  await here.reaches(home.peerId)
  await here.sees(agent, home.peerId)
  await expect(here.card(agent)).toHaveAttribute('data-owned', 'false')
  await here.addKeys(keys.keys.join('\n'))
  await expect(here.card(agent)).toHaveAttribute('data-owned', 'true')
  await here.open(agent)
  await here.ticks(agent, 3)

  await here.moveByKeyboard(agent, here.peerId)
  const move = await here.moved(agent, here.peerId)
  expect(move.from).toBe(home.peerId)
  await expectTick(here.log, move.tick + 5)
  await expectOneHost(agent, here.peerId, { servers: [home], tabs: [here] })

  expectEveryTickOnce(await here.log(), [move])
  await expectTick(() => log.lines, move.tick + 5)
  expectEveryTickOnce(log.lines, [move])
  const file = join(folder, 'out.car')
  await here.saveCopy(file)
  expectHistory(await verifyFile(file), agent, [home.peerId, here.peerId], [move])
})

test('tab to tab in two browsers, the relay killed half way and gone after', async ({ server, tab, folder }) => {
  const relay = await server('relay')
  const [a, b] = await Promise.all([tab(relay.url), tab(relay.url)])
  await Promise.all([a.reaches(b.peerId, 'webrtc'), b.reaches(a.peerId, 'webrtc')])

  // Heavy enough to be under way for a while.
  const heavy = await a.startFiles(...(await ballast(4, 1)))
  await a.open(heavy)
  await a.ticks(heavy, 3)
  await a.drag(heavy, b.peerId)
  await expect(a.card(heavy).getByTestId('progress')).toHaveAttribute('data-phase', 'copy')
  await relay.end('SIGKILL')
  const first = await a.moved(heavy, b.peerId)
  await expectTick(a.log, first.tick + 3)
  expectEveryTickOnce(await a.log(), [first])
  await expectOneHost(heavy, b.peerId, { tabs: [a, b] })

  const agent = await a.start('counter')
  await a.open(agent)
  await a.ticks(agent, 3)
  const moves: Move[] = []
  for (const to of [b.peerId, a.peerId, b.peerId, a.peerId]) {
    await a.moveByKeyboard(agent, to)
    const move = await a.moved(agent, to, moves.at(-1))
    await expectTick(a.log, move.tick + 3)
    await expectOneHost(agent, to, { tabs: [a, b] })
    moves.push(move)
  }
  await a.reaches(b.peerId, 'webrtc')
  await expect(a.island(relay.peerId)).toHaveAttribute('data-link', 'none')

  expectEveryTickOnce(await a.log(), moves)
  const file = join(folder, 'out.car')
  await a.saveCopy(file)
  expectHistory(await verifyFile(file), agent, [a.peerId, b.peerId, a.peerId, b.peerId, a.peerId], moves)
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
  const file = join(folder, 'out.car')
  await second.ask('export', agent, '-o', file)
  expectHistory(await verifyFile(file), agent, [first.peerId, second.peerId], [move])
})

test('round trip: tab, server, another tab, and home', async ({ server, tab, folder }) => {
  const home = await server('home')
  const [a, b] = await Promise.all([tab(home.url), tab(home.url)])
  await Promise.all([a.reaches(b.peerId, 'webrtc'), a.reaches(home.peerId), b.reaches(home.peerId)])
  const agent = await a.start('counter')
  await a.open(agent)
  const log = home.follow(agent)
  await a.ticks(agent, 3)

  const moves: Move[] = []
  const way = [home.peerId, b.peerId, a.peerId]
  for (const to of way) {
    await a.drag(agent, to)
    const move = await a.moved(agent, to, moves.at(-1))
    // Both watchers saw it there before it goes on.
    await expectTick(a.log, move.tick + 3)
    await expectTick(() => log.lines, move.tick + 3)
    await expectOneHost(agent, to, { servers: [home], tabs: [a, b] })
    moves.push(move)
  }
  expectEveryTickOnce(await a.log(), moves)
  expectEveryTickOnce(log.lines, moves)
  const file = join(folder, 'out.car')
  await a.saveCopy(file)
  expectHistory(await verifyFile(file), agent, [a.peerId, ...way], moves)
})

test('twenty moves, one right after the other', async ({ server, tab, folder }) => {
  const home = await server('home')
  const here = await tab(home.url)
  await here.reaches(home.peerId)
  const agent = await here.start('counter')
  await here.open(agent)
  const log = home.follow(agent)
  await here.ticks(agent, 3)

  const moves: Move[] = []
  for (let i = 0; i < 20; i++) {
    const to = i % 2 === 0 ? home.peerId : here.peerId
    await here.moveByKeyboard(agent, to)
    moves.push(await here.moved(agent, to, moves.at(-1)))
    await here.sees(agent, to)
  }
  const { tick } = moves.at(-1) as Move
  await expectTick(here.log, tick + 3)
  await expectTick(() => log.lines, tick + 3)
  await expectOneHost(agent, here.peerId, { servers: [home], tabs: [here] })

  // Who watches may come too late for a stay of one tick; the agent's own count is what its memory went through.
  for (const lines of [await here.log(), log.lines]) expectCountKept(lines, tick)
  const file = join(folder, 'out.car')
  await here.saveCopy(file)
  const hosts = Array.from({ length: 21 }, (_, i) => (i % 2 === 0 ? here.peerId : home.peerId))
  expectHistory(await verifyFile(file), agent, hosts, moves)
})
