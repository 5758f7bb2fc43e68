import { decodeRecord, decodeSegment, decodeState } from '@igor/lineage'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { keys } from '../keys.ts'
import { createWorld, manifest, nextCount, spawnCounter, testCrypto, type World } from '../node/fixtures/world.ts'
import { openLogStore } from '../store/log-store.ts'
import { type CrashOptions, type Disk, makeDisk } from '../testing/memory-files.ts'
import { buildAgent, count, i32, load, store as storeAt } from '../worker/fixtures/wasm.ts'
import { chunkDigests, createBlockRefs, hexOf } from './blocks.ts'
import { sweepModules } from './modules.ts'
import { modulesInUse } from './modules-in-use.ts'
import { createRetention, MAX_PAST_BYTES } from './retention.ts'

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

  it('is the modules, too, that it ran in that past: an upgrade in between can be run again', async () => {
    const build = (memory: number) =>
      buildAgent({
        memory,
        tick: [...count(8), ...i32(0)],
        functions: {
          agent_checkpoint: { type: '-> i32', code: i32(4) },
          agent_checkpoint_ptr: { type: '-> i32', code: i32(8) },
          malloc: { type: 'i32 -> i32', code: i32(4096) },
          agent_resume: { type: 'i32 i32 ->', code: storeAt(8, load(4096)) },
        },
      })
    const node = await world.start(makeDisk(), { policy: { keep: 6 } })
    const agent = await node.spawn({ module: build(1), manifest: manifest({ tick_interval_ms: 10 }) })
    await agent.upgrade(build(2))
    await agent.upgrade(build(3))
    await node.stop()
    const sweep = async (disk: Disk): Promise<number> => {
      const store = await openLogStore(disk.open(), { random: testCrypto.random })
      await sweepModules(store, testCrypto, modulesInUse)
      const left = (await store.list(keys.modules)).length
      await store.close()
      return left
    }
    expect(await sweep(node.disk)).toBe(3)
    const again = await world.start(node.disk, { policy: { keep: 6 } })
    const back = again.agent(agent.id)
    const { replay } = await back.verify({ replay: true })
    expect(replay).toMatchObject({ verdict: 'consistent', fromTick: 0, doubts: [] })
    for (let i = 0; i < 4; i++) {
      await back.pause()
      await back.resume()
    }
    await again.stop()
    // No state is kept any more that the second ran on to.
    expect(await sweep(again.disk)).toBe(2)
  })
})

describe('states behind the present one', () => {
  const MIB = 1024 * 1024
  /** Puts so many states one after the other, each of which only itself needs, and says which are left. */
  const left = (keep: number, states: number, bytes: number, owed = 0): string[] => {
    const refs = createBlockRefs()
    const names = Array.from({ length: states }, (_, i) => `state ${i}`)
    for (const name of names) refs.add(name)
    const retention = createRetention(keep, refs)
    for (const name of names) retention.replaced([name], bytes, owed)
    return names.filter((name) => refs.has(name))
  }

  it('have a bound in bytes, whatever their number', () => {
    expect(left(16, 40, 1024).length).toBe(15)
    expect(left(16, 40, 8 * MIB).length).toBe(MAX_PAST_BYTES / (8 * MIB))
    expect(left(16, 40, 5 * MIB).length).toBe(12)
  })
  it('are at least one, however large: the last ticks can be run again', () => {
    expect(left(16, 40, 100 * MIB)).toEqual(['state 39'])
    expect(left(1, 40, 100 * MIB)).toEqual([])
  })
  it('stay as long as the witness may ask for them, and where all are kept', () => {
    expect(left(16, 40, 64 * MIB, 5).length).toBe(5)
    expect(left(16, 40, 1024, 30).length).toBe(30)
    expect(left(Number.POSITIVE_INFINITY, 40, 64 * MIB).length).toBe(40)
  })
})
