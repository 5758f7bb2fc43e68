import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { sweepModules, useOfModule } from '../agent/modules.ts'
import { modulesInUse } from '../agent/modules-in-use.ts'
import type { Node } from '../api.ts'
import { keys } from '../keys.ts'
import { openLogStore } from '../store/log-store.ts'
import { createWorld, eventually, nextCount, spawnCounter, tapped, testCrypto, type World } from './fixtures/world.ts'

const meet = (a: Node, b: Node): Promise<void> => eventually(a, () => a.peers().some((peer) => peer.id === b.id))

describe('tabs of one browser, which share a store', () => {
  let world: World
  beforeEach(() => {
    world = createWorld()
  })
  afterEach(async () => {
    await world.stop()
  })

  it('move an agent to and fro like any two nodes', async () => {
    const [a, b] = await world.siblings({}, {})
    if (a === undefined || b === undefined) throw new Error('two were asked for')
    await Promise.all([meet(a, b), meet(b, a)])
    const { id } = await spawnCounter(a)
    for (let i = 0; i < 6; i++) {
      const [from, to] = i % 2 === 0 ? [a, b] : [b, a]
      const move = await from.agent(id).moveTo(to.id)
      expect(await nextCount(to.agent(id), move.tick + 1)).toEqual({ tick: move.tick + 1, count: move.tick + 1 })
      expect(from.agent(id).status.here).toBe(false)
    }
    expect((await a.agent(id).passport()).hosts).toHaveLength(7)
    await world.stop()
    // Each finds its own when the browser starts again.
    const [a2, b2] = [await world.start(a.disk.copy(), { slot: 'tab-1' }), await world.start(a.disk.copy(), { slot: 'tab-2' })]
    expect(a2.agents().filter((one) => one.here)).toHaveLength(1)
    expect(b2.agents().filter((one) => one.here)).toEqual([])
    await nextCount(a2.agent(id), a2.agent(id).status.tick + 1)
  })

  it('hand one over in a file', async () => {
    const [a, b] = await world.siblings({}, {})
    if (a === undefined || b === undefined) throw new Error('two were asked for')
    await Promise.all([meet(a, b), meet(b, a)])
    const agent = await spawnCounter(a)
    const file = await agent.export({ to: await b.ready() })
    await expect(a.import(file)).rejects.toMatchObject({ code: 'AGENT_EXISTS' })
    const there = await b.import(file)
    await nextCount(there, there.status.tick + 1)
    await eventually(a, () => !agent.status.here)
  })

  it('sweep no module that an agent of the other runs, however they begin', async () => {
    const [a] = await world.siblings({}, {})
    if (a === undefined) throw new Error('two were asked for')
    const agent = await spawnCounter(a)
    await nextCount(agent, 1)
    await world.stop()
    const store = await openLogStore(a.disk.open(), { random: testCrypto.random })
    const modules = await store.list(keys.modules)
    expect(modules.length).toBeGreaterThan(0)
    // An agent comes while the sweep looks around, and it runs what nobody ran before.
    const nobody = async (): Promise<Set<string>> => {
      await store.commit({ put: [useOfModule(testCrypto)] })
      return new Set()
    }
    await sweepModules(store, testCrypto, nobody)
    expect(await store.list(keys.modules)).toEqual(modules)
    await sweepModules(store, testCrypto, modulesInUse)
    expect(await store.list(keys.modules)).toEqual(modules)
    await sweepModules(store, testCrypto, async () => undefined)
    expect(await store.list(keys.modules)).toEqual(modules)
    await sweepModules(store, testCrypto, async () => new Set())
    expect(await store.list(keys.modules)).toEqual([])
    await store.close()
  })

  it('take back what the other refused', async () => {
    const ids: string[] = []
    let lost = false
    const cutAtCommit = tapped((type) => {
      if (type !== 'commit' || lost) return 'pass'
      lost = true
      world.hub.cut(ids[0] ?? '', ids[1] ?? '', true)
      return 'drop'
    })
    const [a, b] = await world.siblings({ wrap: cutAtCommit }, {})
    if (a === undefined || b === undefined) throw new Error('two were asked for')
    ids.push(a.id, b.id)
    await Promise.all([meet(a, b), meet(b, a)])
    const agent = await spawnCounter(a)
    await expect(agent.moveTo(b.id)).rejects.toMatchObject({ code: 'HANDOFF_PENDING' })
    const { tick } = agent.status
    world.hub.cut(a.id, b.id, false)
    await eventually(a, () => agent.status.state === 'active')
    expect(await nextCount(agent, tick + 1)).toEqual({ tick: tick + 1, count: tick + 1 })
    await agent.moveTo(b.id)
    await nextCount(b.agent(agent.id), b.agent(agent.id).status.tick + 1)
  })
})
