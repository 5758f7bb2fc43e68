import { decodeRecord, decodeSegment, decodeState } from '@igor/lineage'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { keys } from '../keys.ts'
import { createWorld, nextCount, spawnCounter, testCrypto, type World } from '../node/fixtures/world.ts'
import { openLogStore } from '../store/log-store.ts'
import { type CrashOptions, type Disk, makeDisk } from '../testing/memory-files.ts'
import { chunkDigests, hexOf } from './blocks.ts'

interface Kept {
  /** Ticks of the states that are whole, and of the segments between them. */
  readonly states: readonly number[]
  readonly segments: number
  /** Blocks that nothing names. */
  readonly stray: readonly string[]
}

/** What the store of a stopped node has of an agent, and what of it is named by the records that it has. */
const keptOf = async (disk: Disk, agent: string): Promise<Kept> => {
  const store = await openLogStore(disk.copy().open(), { random: testCrypto.random })
  const prefix = keys.blocks(agent)
  const there = new Set((await store.list(prefix)).map((key) => key.slice(prefix.length)))
  const named = new Set<string>()
  const states: number[] = []
  let segments = 0
  for (const key of await store.list(keys.records(agent))) {
    const { body } = decodeRecord((await store.get(key)) ?? new Uint8Array())
    if (body.kind === 'genesis') named.add(hexOf(body.manifest.multihash.digest))
    if (body.kind !== 'checkpoint' && body.kind !== 'handoff') continue
    const journal = body.journal === null ? undefined : hexOf(body.journal.multihash.digest)
    if (journal !== undefined) {
      named.add(journal)
      const bytes = await store.get(prefix + journal)
      if (bytes !== undefined) segments += decodeSegment(bytes).length > 0 ? 1 : 0
    }
    const name = body.state === null ? '' : hexOf(body.state.multihash.digest)
    const bytes = await store.get(prefix + name).catch(() => undefined)
    if (name === '' || bytes === undefined) continue
    const block = decodeState(bytes)
    const all = [name, hexOf(block.host.multihash.digest), ...chunkDigests(block)]
    for (const one of all) named.add(one)
    if (all.every((one) => there.has(one))) states.push(body.tick)
  }
  await store.close()
  return { states, segments, stray: [...there].filter((name) => !named.has(name)) }
}

describe('what is kept of an agent', () => {
  let world: World
  beforeEach(() => {
    world = createWorld()
  })
  afterEach(async () => {
    await world.stop().catch(() => {})
  })

  const live = async (disk: Disk, keep: number | 'all', states: number) => {
    const node = await world.start(disk, { policy: { keep } })
    const agent = await spawnCounter(node)
    for (let i = 0; i < states; i++) {
      await nextCount(agent, agent.status.tick + 1)
      await agent.pause()
      await agent.resume()
    }
    return { node, agent }
  }

  it('is the last states with the journals between them, and no block that nothing names', async () => {
    const { node, agent } = await live(makeDisk(), 3, 4)
    await node.stop()
    const kept = await keptOf(node.disk, agent.id)
    expect(kept.states.length).toBe(3)
    expect(kept.segments).toBeGreaterThan(0)
    // The last removal is written with the next state.
    expect(kept.stray.length).toBeLessThan(6)
    const again = await world.start(node.disk.copy(), { policy: { keep: 3 } })
    await again.stop()
    const after = await keptOf(again.disk, agent.id)
    expect(after).toMatchObject({ states: kept.states, stray: [] })
    // Counted anew, it lets go as before.
    const third = await world.start(again.disk.copy(), { policy: { keep: 3 } })
    const back = third.agent(agent.id)
    for (let i = 0; i < 3; i++) {
      await nextCount(back, back.status.tick + 1)
      await back.pause()
      await back.resume()
    }
    await third.stop()
    const last = await keptOf(third.disk, agent.id)
    expect(last.states.length).toBe(3)
    expect(Math.min(...last.states)).toBeGreaterThan(Math.max(...kept.states))
    expect(last.stray.length).toBeLessThan(6)
  })

  it('is everything where a node keeps all', async () => {
    const { node, agent } = await live(makeDisk(), 'all', 10)
    await node.stop()
    // Its birth, and two for each turn.
    expect((await keptOf(node.disk, agent.id)).states.length).toBe(21)
    const again = await world.start(node.disk.copy(), { policy: { keep: 'all' } })
    await again.stop()
    expect(await keptOf(again.disk, agent.id)).toMatchObject({ states: expect.objectContaining({ length: 21 }), stray: [] })
  })

  it('is whole wherever the machine crashes while blocks are let go', async () => {
    const random = (seed: number) => (): number => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
      return seed / 2 ** 32
    }
    const unsynced = (n: number): CrashOptions =>
      n % 2 === 0 ? { unsynced: 'torn', random: random(n + 1) } : { unsynced: 'gone' }
    const { node, agent } = await live(makeDisk(), 2, 2)
    await node.stop()
    for (let n = 0; n < 24; n++) {
      const disk = node.disk.copy()
      const started = await world.start(disk, { policy: { keep: 2 } })
      disk.crashAt(n, unsynced(n))
      const back = started.agent(agent.id)
      const crashed = new Promise<void>((resolve) => started.onevent(({ code }) => code === 'HOST_FAULT' && resolve()))
      const turns = (async () => {
        for (;;) {
          await back.pause()
          await back.resume()
        }
      })().catch(() => {})
      await Promise.race([crashed, turns])
      await started.stop().catch(() => {})
      const again = await world.start(disk.copy(), { policy: { keep: 2 } })
      const found = again.agent(agent.id)
      if (found.status.state === 'paused') await found.resume()
      const next = await nextCount(found, found.status.tick + 1)
      expect(next.count, `at ${n}`).toBe(next.tick)
      await again.stop()
      const after = await keptOf(again.disk, agent.id)
      expect(after.states.length, `at ${n}`).toBeGreaterThanOrEqual(2)
    }
  }, 30_000)
})
