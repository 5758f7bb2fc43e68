import { describe, expect, it } from 'vitest'
import type { Node } from '../api.ts'
import { createWorld, eventually, nextCount, spawnCounter, type World } from '../node/fixtures/world.ts'
import { type CrashOptions, type Disk, makeDisk } from '../testing/memory-files.ts'
import { systemClock } from '../worker/fixtures/clock.ts'

const WITNESS = { witness: { leaseMs: 1000 }, policy: { maxAgents: 0 } }
/** Worlds that run at a time: each mostly waits. */
const AT_ONCE = 6
/** Operations of each disk in one move, and a few after it. */
const OPERATIONS = { source: 20, target: 16, witness: 12 }

const random = (seed: number) => (): number => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return seed / 2 ** 32
}
const unsynced = (n: number): CrashOptions => (n % 4 < 2 ? { unsynced: 'torn', random: random(n + 1) } : { unsynced: 'gone' })

const SIDES = ['source', 'target', 'witness'] as const
type Side = (typeof SIDES)[number]
type Disks = Readonly<Record<Side, Disk>>

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

const here = (node: Node, id: string) => node.agents().filter((one) => one.agent === id && one.here)

/** One move, in which a side crashes at its nth operation. @returns the last tick that anyone was shown */
const move = async (world: World, crash: { readonly side: Side; readonly n: number }) => {
  const disks: Disks = { source: makeDisk(), target: makeDisk(), witness: makeDisk() }
  const witness = await world.start(disks.witness, WITNESS)
  const a = await world.start(disks.source)
  const b = await world.start(disks.target)
  await eventually(a, () => [witness, b].every(({ id }) => a.peers().some((peer) => peer.id === id)))
  const agent = await spawnCounter(a, { witness: witness.id })
  let { tick: seen } = await nextCount(agent, 1)
  const watching = new AbortController()
  const watched = (async () => {
    for await (const event of agent.watch(watching.signal)) if (event.type === 'log') seen = Math.max(seen, event.tick)
  })().catch(() => {})
  const before = disks[crash.side].operations
  disks[crash.side].crashAt(crash.n, unsynced(crash.n))
  const moved = agent.moveTo(b.id).catch(() => undefined)
  await Promise.race([moved, systemClock.sleep(4000)])
  const crashed = disks[crash.side].operations - before > crash.n
  watching.abort()
  await watched
  await Promise.all([a, b, witness].map((node) => node.stop().catch(() => {})))
  return { id: agent.id, seen, disks, crashed }
}

/** Restarts what a crash left, and waits until one node has the agent and it ticks there. */
const settled = async (world: World, disks: Disks, id: string, seen: number, what: string): Promise<void> => {
  await world.start(disks.witness.copy(), WITNESS)
  const nodes = [await world.start(disks.source.copy()), await world.start(disks.target.copy())]
  const done = (): boolean => {
    const active = nodes.flatMap((node) => here(node, id)).filter(({ state, leaseMs = 0 }) => state === 'active' && leaseMs > 0)
    expect(active.length, what).toBeLessThanOrEqual(1)
    return active.length === 1
  }
  await Promise.race(nodes.map((node) => eventually(node, done))).catch((cause) => {
    throw new Error(
      `${what}: ${JSON.stringify(
        nodes.map((node) => node.agents()),
        (_, value) => (typeof value === 'bigint' ? `${value}` : value),
      )}`,
      { cause },
    )
  })
  const home = nodes.find((node) => here(node, id).some(({ state }) => state === 'active'))
  if (home === undefined) throw new Error(`${what}: nobody has it`)
  const agent = home.agent(id)
  const first = await nextCount(agent, seen)
  expect(first.count, what).toBe(first.tick)
  await agent.passport()
}

describe('a move of an agent with a witness, with a crash at any operation of a disk', () => {
  it.each(SIDES)('leaves one owner, and nothing lost that was shown: at the %s', { timeout: 120_000 }, async (side) => {
    let crashes = 0
    await sweep(OPERATIONS[side], async (world, n) => {
      const { id, seen, disks, crashed } = await move(world, { side, n })
      if (crashed) crashes++
      await settled(world, disks, id, seen, `${side} at ${n}`)
    })
    expect(crashes).toBeGreaterThan(OPERATIONS[side] / 2)
  })
})
