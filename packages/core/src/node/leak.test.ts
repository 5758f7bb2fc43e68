import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { inThreads } from '../execution/in-thread.ts'
import type { Clock, Threads } from '../platform.ts'
import { openLogStore } from '../store/log-store.ts'
import type { Disk } from '../testing/memory-files.ts'
import { systemClock } from '../worker/fixtures/clock.ts'
import { buildAgent, count, i32, load } from '../worker/fixtures/wasm.ts'
import { createWorld, eventually, manifest, nextCount, spawnCounter, testCrypto, type World } from './fixtures/world.ts'

/** Sleeps that have not ended. */
const countedClock = (): Clock & { readonly sleeping: number } => {
  let sleeping = 0
  return {
    ...systemClock,
    sleep: async (ms, signal) => {
      sleeping++
      try {
        await systemClock.sleep(ms, signal)
      } finally {
        sleeping--
      }
    },
    get sleeping() {
      return sleeping
    },
  }
}

const countedThreads = (): Threads & { readonly alive: number } => {
  let alive = 0
  const threads = inThreads()
  return {
    ...threads,
    spawn: () => {
      alive++
      const thread = threads.spawn()
      const { terminate } = thread
      return Object.assign(thread, {
        terminate: () => {
          alive--
          terminate()
        },
      })
    },
    get alive() {
      return alive
    },
  }
}

const keysOn = async (disk: Disk): Promise<string[]> => {
  const store = await openLogStore(disk.copy().open(), { random: testCrypto.random })
  const keys = await store.list('')
  await store.close()
  // Rows of turns have a bound of their own: turns.test.ts.
  return keys.filter((key) => !key.startsWith('turn/'))
}

const sizeOf = (disk: Disk): number => disk.names().reduce((sum, name) => sum + disk.peek(name).length, 0)

describe('a node', () => {
  let world: World
  beforeEach(() => {
    world = createWorld()
  })
  afterEach(async () => {
    await world.stop()
  })

  it('leaves no timer and no thread behind, whatever it was in the middle of', async () => {
    const clock = countedClock()
    const threads = countedThreads()
    const a = await world.start(undefined, { clock, threads })
    const b = await world.start(undefined, { clock, threads })
    const agent = await spawnCounter(a)
    await nextCount(agent, 1)
    // A watcher that stays, one that asks for an agent that is on its way, and a move in the middle.
    const ended = new AbortController()
    const watching = (async () => {
      for await (const _ of b.agent(agent.id).watch(ended.signal)) {
      }
    })().catch(() => {})
    await eventually(b, () => b.agents().length === 1)
    const moving = agent.moveTo(b.id).catch(() => {})
    await Promise.all([a.stop(), b.stop()])
    ended.abort()
    await Promise.all([watching, moving])
    expect(threads.alive).toBe(0)
    expect(clock.sleeping).toBe(0)
  })

  it('keeps as little after ten thousand ticks as after a hundred', async () => {
    const node = await world.start()
    const agent = await node.spawn({
      // Asks for more until its count ends in eight zero bits.
      module: buildAgent({ memory: 2, tick: [...count(16), ...load(16), ...i32(255), 0x71] }),
      manifest: manifest({ tick_interval_ms: 10 }),
    })
    await eventually(node, () => agent.status.tick >= 100)
    const early = (await keysOn(node.disk)).length
    await eventually(node, () => agent.status.tick >= 10_000)
    expect((await keysOn(node.disk)).length).toBeLessThanOrEqual(early + 20)
    expect(sizeOf(node.disk)).toBeLessThan(16 * 1024 * 1024)
  })

  it('keeps of an agent that went to and fro only the records that moved it', async () => {
    const a = await world.start()
    const b = await world.start()
    const agent = await spawnCounter(a)
    await b.importKey(seedOf(await a.exportKeys()))
    await eventually(b, () => b.agents().some((one) => one.owned))
    const moves = 60
    const rest = async () => {
      const all = await keysOn(a.disk)
      return all.filter((key) => !key.includes('/record/')).length
    }
    let early = 0
    for (let i = 0; i < moves; i++) {
      const [from, to] = i % 2 === 0 ? [a, b] : [b, a]
      await from.agent(agent.id).moveTo(to.id)
      if (i === 3) early = await rest()
    }
    const { tick } = a.agent(agent.id).status
    await nextCount(a.agent(agent.id), tick + 1)
    const all = await keysOn(a.disk)
    // Two for each move, genesis, and a window of plain ones.
    expect(all.filter((key) => key.includes('/record/')).length).toBeLessThanOrEqual(2 * moves + 1 + 20)
    expect(await rest()).toBeLessThanOrEqual(early + 6)
  })
})

const seedOf = ([first = '']: readonly string[]): Uint8Array =>
  Uint8Array.from(first.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16))
