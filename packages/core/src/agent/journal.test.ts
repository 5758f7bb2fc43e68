import type { JournalEntry } from '@igor/lineage'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Agent } from '../api.ts'
import { inThreads } from '../execution/in-thread.ts'
import { keys } from '../keys.ts'
import {
  createWorld,
  eventually,
  manifest,
  nextCount,
  spawnCounter,
  testCrypto,
  until,
  type World,
} from '../node/fixtures/world.ts'
import { openLogStore } from '../store/log-store.ts'
import { type CrashOptions, type Disk, makeDisk } from '../testing/memory-files.ts'
import { add, buildAgent, call, count, i32, load, store, unreachable, when } from '../worker/fixtures/wasm.ts'
import { withOwnRows } from './fixtures/own-rows.ts'
import { openJournal } from './journal.ts'

const COUNT = 8
const TEXT = 64
const INBOX = 1024
const AT_ONCE = 8

/** Counts the messages that it takes, and says how many there were: as one character above the space. */
const hearer = (): Uint8Array =>
  buildAgent({
    imports: { 'igor.inbox_next': 'i32 i32 -> i32', 'igor.log_emit': 'i32 i32 ->' },
    memory: 1,
    tick: [
      ...when(call('igor.inbox_next', i32(INBOX), i32(64)), [
        ...count(COUNT),
        ...store(TEXT, add(load(COUNT), i32(32))),
        ...call('igor.log_emit', i32(TEXT), i32(1)),
      ]),
      ...i32(0),
    ],
  })
const heard = (text: string): number => text.charCodeAt(0) - 32

const random = (seed: number) => (): number => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return seed / 2 ** 32
}
const unsynced = (n: number): CrashOptions => (n % 4 < 2 ? { unsynced: 'torn', random: random(n + 1) } : { unsynced: 'gone' })

/** What the store of a stopped node holds. */
const rowsOf = async (disk: Disk, prefix: string): Promise<Map<string, Uint8Array>> => {
  const rows = new Map<string, Uint8Array>()
  const opened = await openLogStore(disk.copy().open(), { random: testCrypto.random })
  for (const key of await opened.list(prefix)) rows.set(key, (await opened.get(key)) ?? new Uint8Array())
  await opened.close()
  return rows
}

const change = async (disk: Disk, put: readonly (readonly [string, Uint8Array])[]): Promise<Disk> => {
  const copy = disk.copy()
  const opened = await openLogStore(copy.open(), { random: testCrypto.random })
  await opened.commit({ put })
  await opened.close()
  return copy
}

describe('an agent that ticks', () => {
  let world: World
  beforeEach(() => {
    world = createWorld()
  })
  afterEach(async () => {
    await world.stop()
  })

  it('writes no state and no record for it: a restart runs its journal again', async () => {
    const node = await world.start()
    const agent = await spawnCounter(node)
    await nextCount(agent, 12)
    const { seq } = agent.status
    expect(seq).toBe(1)
    await node.stop()
    const { tick } = agent.status
    expect((await rowsOf(node.disk, keys.blocks(agent.id))).size).toBeGreaterThan(0)
    const again = await world.start(node.disk.copy())
    const back = again.agent(agent.id)
    expect(back.status).toMatchObject({ state: 'active', seq: 1, tick: expect.any(Number) })
    expect(back.status.tick).toBeGreaterThanOrEqual(tick)
    const next = await nextCount(back, tick + 1)
    expect(next.count).toBe(next.tick)
  })

  it('makes a state when its journal is long enough, and a restart begins there', async () => {
    const node = await world.start()
    const capabilities = { log: { version: 1 }, inbox: { version: 1 } }
    const agent = await node.spawn({ module: hearer(), manifest: manifest({ capabilities, tick_interval_ms: 10 }) })
    // Too long for it: it stays where it is.
    await agent.send(new Uint8Array(60_000))
    expect(agent.status.seq).toBe(1)
    await agent.send(new Uint8Array(60_000))
    await eventually(node, () => agent.status.seq >= 2)
    await node.stop()
    const journaled = [...(await rowsOf(node.disk, keys.journal(agent.id)))].reduce((sum, [, { length }]) => sum + length, 0)
    expect(journaled).toBeLessThan(60_000)
    const again = await world.start(node.disk.copy())
    expect(again.agent(agent.id).status).toMatchObject({ state: 'active', inbox: 2 })
  })

  it('bills what replay finds again: fuel of ticks, and the limit of one that failed', async () => {
    const node = await world.start()
    const agent = await node.spawn({
      module: buildAgent({ memory: 1, tick: [...count(COUNT), ...when(load(COUNT), unreachable), ...i32(0)] }),
      manifest: manifest({ tick_interval_ms: 10, resource_limits: { max_fuel_per_tick: 5000 } }),
      budget: 1_000_000n,
    })
    await eventually(node, () => agent.status.state === 'faulted')
    await agent.resume()
    await agent.pause()
    const file = await agent.export()
    const { readCar } = await import('@igor/lineage')
    const { head } = await readCar(file)
    if (head.body.kind !== 'checkpoint') throw new Error('not a checkpoint')
    // Five attempts before it rested; perhaps one more before it was paused.
    const failures = Number(head.body.fuel / 5000n)
    expect([5, 6]).toContain(failures)
    expect(head.body.journal).not.toBeUndefined()
  })

  it('stands still when its journal does not come out again, and says so', async () => {
    const node = await world.start()
    const agent = await spawnCounter(node)
    await nextCount(agent, 6)
    await node.stop()
    const disk = await withOwnRows(node.disk)
    const rows = [...(await rowsOf(disk, keys.journal(agent.id)))]
    const entries = openJournal(
      agent.id,
      { epoch: 1, seq: 1 },
      rows.map(([, bytes]) => bytes),
    ).entries()
    const lied = entries.map((entry): JournalEntry => (entry.kind === 'run' ? { ...entry, fuel: entry.fuel + 1n } : entry))
    const empty = openJournal(agent.id, { epoch: 1, seq: 1 })
    const forged = empty.fold(empty.append(lied)).put
    const again = await world.start(await change(disk, [...rows.map(([key]) => [key, new Uint8Array()] as const), ...forged]))
    const back = again.agent(agent.id)
    await eventually(again, () => back.status.state === 'halted')
    expect(back.status.reason).toMatch(/does not come out again: from tick 1 on/)
  })

  it('goes on from its journal when its worker is lost', async () => {
    const threads = inThreads()
    const spawned: { terminate(): void; onexit: ((reason: string) => void) | undefined }[] = []
    const node = await world.start(makeDisk(), {
      threads: {
        ...threads,
        spawn: () => {
          const thread = threads.spawn()
          spawned.push(thread)
          return thread
        },
      },
    })
    const agent = await spawnCounter(node)
    const { tick } = await nextCount(agent, 5)
    const lost = spawned[0]
    lost?.terminate()
    lost?.onexit?.('pulled')
    const next = await nextCount(agent, tick + 3)
    expect(next.count).toBe(next.tick)
    expect(spawned.length).toBeGreaterThan(1)
  })

  it('takes each message once, and none is lost, wherever the machine crashes between ticks, orders and states', async () => {
    const live = async (world: World, crashAt: number) => {
      const node = await world.start(makeDisk())
      const capabilities = { log: { version: 1 }, inbox: { version: 1 } }
      const agent = await node.spawn({ module: hearer(), manifest: manifest({ tick_interval_ms: 10, capabilities }) })
      let seen = 0
      const ended = new AbortController()
      const watching = (async () => {
        for await (const event of agent.watch(ended.signal)) if (event.type === 'log') seen = Math.max(seen, heard(event.text))
      })()
      const before = node.disk.operations
      node.disk.crashAt(crashAt, unsynced(crashAt))
      const crashed = new Promise<void>((resolve) => {
        const off = node.onevent(() => {
          if (node.disk.operations - before <= crashAt) return
          off()
          resolve()
        })
      })
      let sent = 0
      const sending = (async () => {
        for (; sent < 40; ) {
          await agent.send(`message ${sent}`, { signal: ended.signal })
          sent++
          if (sent % 3 === 0) await agent.pause({ signal: ended.signal })
          if (sent % 3 === 0) await agent.resume({ signal: ended.signal })
        }
      })().catch(() => {})
      await crashed
      ended.abort()
      await Promise.all([watching, sending])
      await node.stop().catch(() => {})
      return { id: agent.id, seen, sent, disk: node.disk }
    }
    let next = 0
    const lane = async (): Promise<void> => {
      for (let n = next++; n < 48; n = next++) {
        const world = createWorld()
        try {
          const { id, seen, sent, disk } = await live(world, n)
          const again = await world.start(disk.copy())
          const agent: Agent = again.agent(id)
          if (agent.status.state === 'paused') await agent.resume()
          let last = 0
          const done = until(agent, (event) => {
            if (event.type === 'log') last = heard(event.text)
            return event.type === 'log' && last > sent ? last : undefined
          })
          await agent.send('the last')
          await eventually(again, () => agent.status.inbox === 0)
          const total = await done
          expect(seen, `at ${n}`).toBeLessThanOrEqual(sent + 1)
          // One that was under way when it crashed may have come too.
          expect([sent + 1, sent + 2], `at ${n}`).toContain(Math.max(total, last))
        } finally {
          await world.stop().catch(() => {})
        }
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, lane))
  }, 60_000)
})
