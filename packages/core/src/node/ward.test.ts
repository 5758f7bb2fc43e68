import { afterEach, describe, expect, it } from 'vitest'
import type { Node } from '../api.ts'
import { inThreads } from '../execution/in-thread.ts'
import { besideNetwork } from '../network/beside.ts'
import { createMemoryHub } from '../network/memory-hub.ts'
import type { Platform, Store } from '../platform.ts'
import { openLogStore } from '../store/log-store.ts'
import { makeDisk } from '../testing/memory-files.ts'
import { systemClock } from '../worker/fixtures/clock.ts'
import { createWorld, eventually, nextCount, spawnCounter, tapped, testCrypto } from './fixtures/world.ts'
import { createCoreNode } from './node.ts'
import { belongingsOf, emptySlot } from './ward.ts'

/** A browser: one store, tabs that come and go, a line between those of one page and one to the world. */
const createBrowser = async () => {
  const store = await openLogStore(makeDisk().open(), { random: testCrypto.random })
  const shared: Store = { ...store, close: async () => {} }
  const world = createWorld()
  const near = createMemoryHub()
  const platform = (more: Partial<Platform> = {}): Platform => ({
    clock: systemClock,
    crypto: testCrypto,
    store: shared,
    threads: inThreads(),
    network: async (seed) => besideNetwork(near.join(seed), world.hub.join(seed)),
    ...more,
  })
  return {
    store,
    world,
    platform,
    open: (slot: string, more: Partial<Platform> = {}) => createCoreNode(platform(more), { kind: 'tab', slot }),
    adopt: (slot: string, to: string) => emptySlot(platform({ network: async (seed) => near.join(seed) }), { slot, to }),
    stop: async () => {
      await world.stop()
      await store.close()
    },
  }
}

let browser: Awaited<ReturnType<typeof createBrowser>>
afterEach(() => browser.stop())

describe('a closed tab', () => {
  it('gives its agents to a sibling, which goes on from their last tick, without the network', async () => {
    browser = await createBrowser()
    const first = await browser.open('tab-1')
    const agents = [await spawnCounter(first), await spawnCounter(first)]
    const [agent] = agents
    const { count } = await nextCount(agent as never)
    await first.stop()
    expect((await browser.store.list('vital/authority/')).length).toBe(2)
    const second = await browser.open('tab-2')
    expect((await belongingsOf(browser.store, 'tab-1')).active.toSorted()).toEqual(agents.map(({ id }) => id).toSorted())
    const { moves, stayed } = await browser.adopt('tab-1', second.id)
    expect(stayed).toEqual([])
    expect(moves.map(({ to }) => to)).toEqual([second.id, second.id])
    expect(await belongingsOf(browser.store, 'tab-1')).toMatchObject({ active: [], pending: [], needsNetwork: false })
    const seen = await nextCount(second.agent(agents[0]?.id ?? ''))
    expect(seen.count).toBeGreaterThanOrEqual(count)
    const passport = await second.agent(agents[0]?.id ?? '').passport()
    expect(passport.hosts.map(({ peer }) => peer)).toEqual([first.id, second.id])
    // Opened again it is an empty tab, and the same node.
    const again = await browser.open('tab-1')
    expect(again.id).toBe(first.id)
    expect(again.agents().filter(({ here }) => here)).toEqual([])
    await again.stop()
    await second.stop()
  })

  it('finishes what it left undecided, with its key', async () => {
    browser = await createBrowser()
    // The target decides; its word never arrives, neither as an answer nor by what it says of itself to everybody.
    let mute = true
    let [from, to] = ['', '']
    const deaf = tapped((type) => {
      if (!mute || type !== 'done') return 'pass'
      browser.world.hub.cut(from, to, true)
      return 'drop'
    })
    const target = await browser.world.start(undefined, { wrap: deaf })
    const first = await browser.open('tab-1')
    from = first.id
    to = target.id
    const agent = await spawnCounter(first)
    void agent.moveTo(target.id).catch(() => {})
    await eventually(target, () => target.agents().some(({ here }) => here))
    await first.stop()
    expect(await belongingsOf(browser.store, 'tab-1')).toEqual({ active: [], pending: [agent.id], needsNetwork: true })
    mute = false
    browser.world.hub.cut(from, to, false)
    const second = await browser.open('tab-2')
    await emptySlot(browser.platform(), { slot: 'tab-1', to: second.id })
    expect(await belongingsOf(browser.store, 'tab-1')).toMatchObject({ active: [], pending: [], needsNetwork: false })
    expect(second.agents().filter(({ here }) => here)).toEqual([])
    await nextCount(target.agent(agent.id))
    await second.stop()
  })

  describe('with a witness, of an agent that both may have', () => {
    const setUp = async () => {
      browser = await createBrowser()
      const witness = await browser.world.start(undefined, { witness: { leaseMs: 3000 }, policy: { maxAgents: 0 } })
      const far = await browser.world.start()
      const first = await browser.open('tab-1')
      await eventually(first, () => first.peers().length === 2)
      const agent = await spawnCounter(first, { witness: witness.id, failover: [far.id] })
      const { tick } = await nextCount(agent, 2)
      await first.stop()
      return { first, far, id: agent.id, tick }
    }
    const has = (node: Node, id: string): boolean =>
      node.agents().some((one) => one.agent === id && one.here && one.state === 'active')

    it('is the sibling that comes first: it goes on there, and the witness moves nothing', async () => {
      const { first, far, id, tick } = await setUp()
      const second = await browser.open('tab-2')
      await emptySlot(browser.platform(), { slot: 'tab-1', to: second.id })
      await eventually(second, () => has(second, id))
      const { count, tick: on } = await nextCount(second.agent(id), tick + 1)
      expect(count).toBe(on)
      expect(has(far, id)).toBe(false)
      expect((await second.agent(id).passport()).hosts.map(({ peer }) => peer)).toEqual([first.id, second.id])
      await second.stop()
    })

    it('is the witness that comes first: the sibling finds that it lives elsewhere, and ticks nothing', async () => {
      const { first, far, id, tick } = await setUp()
      await eventually(far, () => has(far, id))
      const second = await browser.open('tab-2')
      await emptySlot(browser.platform(), { slot: 'tab-1', to: second.id })
      expect(has(second, id)).toBe(false)
      const { count, tick: on } = await nextCount(far.agent(id), tick + 1)
      expect(count).toBe(on)
      expect((await far.agent(id).passport()).hosts.map(({ peer }) => peer)).toEqual([first.id, far.id])
      await second.stop()
    })
  })

  it('keeps what may not move', async () => {
    browser = await createBrowser()
    const first = await browser.open('tab-1')
    const agent = await spawnCounter(first, { migration_policy: { enabled: false } })
    await nextCount(agent)
    await first.stop()
    const second = await browser.open('tab-2')
    const { moves, stayed } = await browser.adopt('tab-1', second.id)
    expect(moves).toEqual([])
    expect(stayed).toEqual([{ agent: agent.id, why: expect.stringMatching(/migration|move/) }])
    expect((await belongingsOf(browser.store, 'tab-1')).active).toEqual([agent.id])
    await second.stop()
  })
})

describe('a tab that was only asleep', () => {
  it('writes nothing once another acts for it, and is told', async () => {
    browser = await createBrowser()
    let replaced = 0
    const asleep = await createCoreNode(browser.platform(), { kind: 'tab', slot: 'tab-1', onreplaced: () => replaced++ })
    const agent = await spawnCounter(asleep)
    const second = await browser.open('tab-2')
    const seen = nextCount(agent)
    await seen
    // Its loop runs on all the while, as it does in a page that comes back.
    await browser.adopt('tab-1', second.id)
    const ticked = second.agent(agent.id)
    const here = await nextCount(ticked)
    await expect.poll(() => replaced).toBe(1)
    const before = asleep.agents().find(({ agent: id }) => id === agent.id)?.tick ?? 0
    await nextCount(ticked, here.tick + 3)
    expect(asleep.agents().find(({ agent: id }) => id === agent.id)?.tick).toBe(before)
    await expect(spawnCounter(asleep)).rejects.toMatchObject({ code: 'NODE_REPLACED' })
    await asleep.stop()
    await second.stop()
  })
})
