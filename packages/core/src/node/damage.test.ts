import { encode } from '@ipld/dag-cbor'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { keys } from '../keys.ts'
import { openLogStore } from '../store/log-store.ts'
import { type Disk, makeDisk } from '../testing/memory-files.ts'
import { createWorld, eventually, nextCount, spawnCounter, testCrypto, type World } from './fixtures/world.ts'

const SECTOR = 512

describe('a data folder that was damaged', () => {
  let world: World
  beforeEach(() => {
    world = createWorld()
  })
  afterEach(async () => {
    await world.stop()
  })

  /** Two agents of a few ticks, and what was seen of the first. */
  const lived = async (): Promise<{ disk: Disk; agent: string; tick: number }> => {
    const node = await world.start()
    const agent = await spawnCounter(node)
    await spawnCounter(node)
    await nextCount(agent, 3)
    await node.stop()
    const again = await world.start(node.disk.copy())
    const { tick } = again.agent(agent.id).status
    await again.stop()
    return { disk: again.disk, agent: agent.id, tick }
  }

  /** Starts on a damaged copy: the agent goes on from where it was, or stands still and says why. */
  const outcome = async (world: World, disk: Disk, agent: string, tick: number, what: string): Promise<string> => {
    const node = await world.start(disk)
    const { state, reason, tick: at } = node.agent(agent).status
    if (state === 'active') {
      expect(at, what).toBeGreaterThanOrEqual(tick)
      // Its module may be what was hit.
      const fault = eventually(node, () => node.agent(agent).status.state !== 'active')
      const next = await Promise.race([nextCount(node.agent(agent), at + 1), fault])
      fault.catch(() => {})
      if (next === undefined) {
        expect(node.agent(agent).status, what).toMatchObject({ state: 'faulted', reason: expect.stringContaining('damaged') })
        await node.stop()
        return 'faulted'
      }
      expect(next.count, what).toBe(next.tick)
      await node.stop()
      // What it wrote since is sound.
      const again = await world.start(disk.copy())
      expect(again.agent(agent).status, what).toMatchObject({ state: 'active' })
      expect(again.agent(agent).status.tick, what).toBeGreaterThanOrEqual(next.tick)
      await again.stop()
    } else {
      expect(['halted', 'faulted'], what).toContain(state)
      expect(reason, what).toContain('damaged')
      await node.stop()
    }
    return state
  }

  const damage = async (hurt: (bytes: Uint8Array, at: number) => Uint8Array, step: number): Promise<Set<string>> => {
    const { disk, agent, tick } = await lived()
    const states = new Set<string>()
    const places = disk.names().flatMap((name) => {
      const { length } = disk.peek(name)
      return Array.from({ length: Math.ceil(length / step) }, (_, i) => ({ name, at: i * step }))
    })
    let next = 0
    const lane = async (): Promise<void> => {
      for (let place = places[next++]; place !== undefined; place = places[next++]) {
        const copy = disk.copy()
        copy.poke(place.name, hurt(copy.peek(place.name), place.at))
        // A world of its own: nodes that meet have other things to do.
        const alone = createWorld()
        states.add(await outcome(alone, copy, agent, tick, `${place.name} at ${place.at}`).finally(() => alone.stop()))
      }
    }
    await Promise.all(Array.from({ length: 8 }, lane))
    return states
  }

  it('by a flipped byte', async () => {
    const flip = (bytes: Uint8Array, at: number): Uint8Array => bytes.with(at, (bytes[at] ?? 0) ^ 0x10)
    expect(await damage(flip, 2503)).toContain('active')
  })

  it('by a lost sector', async () => {
    expect(await damage((bytes, at) => bytes.fill(0, at, at + SECTOR), 4 * SECTOR)).toEqual(
      new Set(['active', 'halted', 'faulted']),
    )
  })

  it('by a cut', async () => {
    expect(await damage((bytes, at) => bytes.slice(0, at), 10 * SECTOR)).toContain('halted')
  })

  it('takes nobody in and starts nobody, and says so', async () => {
    const { disk } = await lived()
    const log = disk.names().find((name) => name.startsWith('log')) ?? ''
    disk.poke(log, disk.peek(log).slice(0, 20_000))
    const b = await world.start(disk)
    await new Promise<void>((resolve) => b.onevent(({ code }) => code === 'STORE_DAMAGED' && resolve()))
    await expect(spawnCounter(b)).rejects.toMatchObject({ code: 'STORE_DAMAGED' })
    const a = await world.start()
    const agent = await spawnCounter(a)
    await expect(agent.moveTo(b.id)).rejects.toMatchObject({
      code: 'HANDOFF_REJECTED',
      message: expect.stringContaining('damaged'),
    })
    await expect(b.import(await agent.export(), { force: true })).rejects.toMatchObject({ code: 'STORE_DAMAGED' })
    await eventually(a, () => agent.status.state === 'active')
  })

  it('or written by a newer version is left alone', async () => {
    const disk = makeDisk()
    const store = await openLogStore(disk.open(), { random: testCrypto.random })
    await store.commit({ put: [[keys.identity('main'), encode({ v: 2, seed: new Uint8Array(32) })]] })
    await store.close()
    const before = disk.names().map((name) => disk.peek(name))
    await expect(world.start(disk)).rejects.toMatchObject({ code: 'STORE_VERSION' })
    expect(disk.names().map((name) => disk.peek(name))).toEqual(before)
  })
})
