import type { AgentStatus, MovePhase, Peer } from '@igor/core'
import { expectCountKept, expectEveryTickOnce, expectTick, runOn } from './fixtures/agents.ts'
import type { Server, Verdict } from './fixtures/server.ts'
import { expect, test } from './fixtures/test.ts'

const PHASES: readonly MovePhase[] = ['copy', 'stop', 'commit', 'commit']

const seesDirectly = (from: Server, to: Server): Promise<void> =>
  expect
    .poll(async () => (await from.ask<Peer[]>('peers')).find(({ id }) => id === to.peerId)?.link ?? 'none', { timeout: 20_000 })
    .toBe('tcp')

for (const victim of ['target', 'source'] as const) {
  test(`kill -9 of the ${victim} at each step of a move: after its restart one of the two goes on`, async ({ server }) => {
    const home = await server('home')
    const relay = home.multiaddrs[0] as string
    let source = await server('source', '--relay', relay)
    let target = await server('target', '--relay', relay)
    // Enough to change that its last step takes a while.
    const agent = await runOn(source, 'ballast', '--init', '2 200')
    const hosts = [source.peerId]

    /** Where it is active, by the word of those who may host it; undefined while they find out. */
    const whereabouts = async (): Promise<string | undefined> => {
      const all = await Promise.all([source, target].map((each) => each.ps()))
      const here = all.flat().filter((status) => status.agent === agent && status.here && status.state === 'active')
      expect(here.length, 'never two').toBeLessThan(2)
      return here[0]?.host
    }

    let seen = 0
    for (const phase of PHASES) {
      await Promise.all([seesDirectly(source, target), seesDirectly(target, source)])
      const { reached } = await source.phase(agent, phase)
      const moving = source.run('migrate', agent, target.peerId)
      await reached
      if (victim === 'target') await target.end('SIGKILL')
      else await source.end('SIGKILL')
      if (victim === 'target') target = await server('target', '--relay', relay)
      else source = await server('source', '--relay', relay)
      await moving

      let host: string | undefined
      await expect
        .poll(
          async () => {
            host = await whereabouts()
            return host
          },
          { message: `one goes on after ${phase}`, timeout: 60_000 },
        )
        .toBeDefined()
      const at = host === source.peerId ? source : target
      const log = at.follow(agent)
      await expectTick(() => log.lines, seen + 3)
      if (at === target || victim === 'source') expect(log.lines[0]?.tick, 'nothing happens again').toBeGreaterThan(seen)
      expectEveryTickOnce(log.lines, [])
      seen = log.lines.at(-1)?.tick ?? 0
      await log.stop()
      if (at !== target) continue
      hosts.push(target.peerId, source.peerId)
      // It asks whoever it left the agent to, and orders what lives elsewhere there.
      await expect
        .poll(async () => (await source.ask<AgentStatus[]>('ps', '--all')).find((status) => status.agent === agent)?.host)
        .toBe(target.peerId)
      await Promise.all([seesDirectly(source, target), seesDirectly(target, source)])
      await source.migrate(agent, source.peerId)
    }

    expect(await whereabouts()).toBe(source.peerId)
    const verdict = await source.ask<Verdict>('verify', agent)
    expect(verdict).toMatchObject({ ok: true, agent, asserted: [] })
    // Where a move was refused its source went on, in a stay of its own.
    const stays = verdict.hosts.map(({ peer }) => peer)
    expect(stays.filter((peer, i) => peer !== stays[i - 1])).toEqual(hosts)
    const log = source.follow(agent)
    await expectTick(() => log.lines, seen + 3)
    expectCountKept(log.lines, seen)
  })
}
