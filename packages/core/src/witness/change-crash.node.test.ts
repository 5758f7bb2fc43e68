import { describe, expect, it } from 'vitest'
import type { Node } from '../api.ts'
import { createWorld, eventually, nextCount, spawnCounter, type World } from '../node/fixtures/world.ts'
import { type CrashOptions, type Disk, makeDisk } from '../testing/memory-files.ts'
import { systemClock } from '../worker/fixtures/clock.ts'

const WITNESS = { witness: { leaseMs: 1000 }, policy: { maxAgents: 0 } }
/** Worlds that run at a time: each mostly waits. */
const AT_ONCE = 6
/** Operations of each disk in one change, and a few after it. */
const OPERATIONS = { holder: 14, old: 6, next: 8 }

const SIDES = ['holder', 'old', 'next'] as const
type Side = (typeof SIDES)[number]
type Disks = Readonly<Record<Side, Disk>>

const random = (seed: number) => (): number => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return seed / 2 ** 32
}
const unsynced = (n: number): CrashOptions => (n % 4 < 2 ? { unsynced: 'torn', random: random(n + 1) } : { unsynced: 'gone' })

const sweep = async (count: number, one: (world: World, n: number) => Promise<void>): Promise<void> => {
  let next = 0
  const lane = async (): Promise<void> => {
    for (let n = next++; n < count; n = next++) {
      const world = createWorld()
      await one(world, n).finally(() => world.stop().catch(() => {}))
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, lane))
}

/** One change of witness, in which a side crashes at its nth operation. @returns the last tick that anyone was shown */
const change = async (world: World, crash: { readonly side: Side; readonly n: number }) => {
  const disks: Disks = { holder: makeDisk(), old: makeDisk(), next: makeDisk() }
  const old = await world.start(disks.old, WITNESS)
  const next = await world.start(disks.next, WITNESS)
  const holder = await world.start(disks.holder)
  await eventually(holder, () => [old, next].every(({ id }) => holder.peers().some((peer) => peer.id === id)))
  const agent = await spawnCounter(holder, { witness: old.id })
  let { tick: seen } = await nextCount(agent, 1)
  const watching = new AbortController()
  const watched = (async () => {
    for await (const event of agent.watch(watching.signal)) if (event.type === 'log') seen = Math.max(seen, event.tick)
  })().catch(() => {})
  const before = disks[crash.side].operations
  disks[crash.side].crashAt(crash.n, unsynced(crash.n))
  const changed = agent.changeWitness(next.id).then(
    () => true,
    () => false,
  )
  const acknowledged = await Promise.race([changed, systemClock.sleep(3000).then(() => false)])
  const crashed = disks[crash.side].operations - before > crash.n
  watching.abort()
  await watched
  await Promise.all([holder, old, next].map((node) => node.stop().catch(() => {})))
  return { id: agent.id, seen, disks, crashed, acknowledged, old: old.id, next: next.id }
}

const here = (node: Node, id: string) => node.agents().find((one) => one.agent === id && one.here)

describe('a change of witness, with a crash at any operation of a disk', () => {
  it.each(SIDES)(
    'has happened or not, and the agent goes on with one of the two: at the %s',
    { timeout: 120_000 },
    async (side) => {
      let crashes = 0
      await sweep(OPERATIONS[side], async (world, n) => {
        const what = `${side} at ${n}`
        const { id, seen, disks, crashed, acknowledged, old, next } = await change(world, { side, n })
        if (crashed) crashes++
        await world.start(disks.old.copy(), WITNESS)
        await world.start(disks.next.copy(), WITNESS)
        const home = await world.start(disks.holder.copy())
        const lives = (): boolean => here(home, id)?.state === 'active' && (here(home, id)?.leaseMs ?? 0) > 0
        await eventually(home, lives).catch((cause) => {
          throw new Error(`${what}: ${JSON.stringify(home.agents(), (_, v) => (typeof v === 'bigint' ? Number(v) : v))}`, {
            cause,
          })
        })
        const agent = home.agent(id)
        expect(acknowledged ? [next] : [old, next], what).toContain(agent.status.witness)
        const first = await nextCount(agent, seen)
        expect(first.count, what).toBe(first.tick)
        const { hosts, asserted } = await agent.passport()
        expect(asserted, what).toEqual([])
        expect(new Set(hosts.map(({ peer }) => peer)), what).toEqual(new Set([home.id]))
      })
      expect(crashes).toBeGreaterThan(OPERATIONS[side] / 2)
    },
  )
})
