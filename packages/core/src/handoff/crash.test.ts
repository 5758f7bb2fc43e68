import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Node } from '../api.ts'
import { counter } from '../node/fixtures/counter.ts'
import { createWorld, eventually, manifest, nextCount, spawnCounter, tapped, type World } from '../node/fixtures/world.ts'
import { type CrashOptions, type Disk, makeDisk } from '../testing/memory-files.ts'

/** Long, so that an agent ticks when it starts or arrives, and the disks do only what the test makes them do. */
const RARELY = { tick_interval_ms: 60_000 }
const CAPABLE = { log: { version: 1 }, inbox: { version: 1 } }
/** Worlds of one sweep that run at a time: each mostly waits. */
const AT_ONCE = 8

const random = (seed: number) => (): number => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return seed / 2 ** 32
}
const unsynced = (n: number): CrashOptions => (n % 4 < 2 ? { unsynced: 'torn', random: random(n + 1) } : { unsynced: 'gone' })

const SIDES = ['source', 'target'] as const
type Side = (typeof SIDES)[number]
type Running = Awaited<ReturnType<World['start']>>

/** Runs `one` for every n below `count`, a few at a time, each in a world of its own. */
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

/** Resolves when the condition holds, looked at whenever one of the nodes has something to report. */
const reported = (nodes: readonly Node[], condition: () => boolean): Promise<void> =>
  new Promise((resolve) => {
    const offs: (() => void)[] = []
    const look = (): void => {
      if (!condition()) return
      for (const off of offs) off()
      resolve()
    }
    offs.push(...nodes.map((node) => node.onevent(look)))
    look()
  })

const here = (node: Node, id: string) => node.agents().filter((one) => one.agent === id && one.here)

/** Restarts what a crash left, and waits until one node has the agent and the others have not. */
const settled = async (world: World, disks: readonly Disk[], id: string, seen: number, what: string): Promise<void> => {
  const nodes: Running[] = []
  for (const disk of disks) nodes.push(await world.start(disk.copy()))
  const holders = () => nodes.flatMap((node) => here(node, id))
  const done = (): boolean => {
    expect(holders().filter((one) => one.state === 'active').length, what).toBeLessThanOrEqual(1)
    return holders().length === 1 && holders()[0]?.state === 'active'
  }
  await Promise.race(nodes.map((node) => eventually(node, done))).catch((cause) => {
    throw new Error(`${what}: ${JSON.stringify(holders())}`, { cause })
  })
  const home = nodes.find((node) => here(node, id).length === 1)
  if (home === undefined) throw new Error(`${what}: nobody has it`)
  const agent = home.agent(id)
  const { tick, count } = await nextCount(agent, seen)
  expect(count, what).toBe(tick)
  await agent.passport()
  expect(holders(), what).toHaveLength(1)
  await Promise.all(nodes.map((node) => node.stop()))
}

describe('a machine that crashes at any operation of its disk', () => {
  let world: World
  beforeEach(() => {
    world = createWorld()
  })
  afterEach(async () => {
    await world.stop().catch(() => {})
  })

  /** One move, of which a message may be lost with the line, and a side crash at its nth operation. */
  const move = async (world: World, lost: string | undefined, crash?: { readonly side: Side; readonly n: number }) => {
    let cut = (): void => {}
    let mend = (): void => {}
    let gone = false
    const lose = tapped((type) => {
      if (type !== lost || gone) return 'pass'
      gone = true
      cut()
      return 'drop'
    })
    const a = await world.start(makeDisk(), { wrap: lose })
    const b = await world.start(makeDisk(), { wrap: lose })
    cut = () => world.hub.cut(a.id, b.id, true)
    mend = () => world.hub.cut(a.id, b.id, false)
    const agent = await spawnCounter(a, RARELY)
    let { tick: seen } = await nextCount(agent, 1)
    const disks = { source: a.disk, target: b.disk }
    const before = { source: a.disk.operations, target: b.disk.operations }
    if (crash !== undefined) disks[crash.side].crashAt(crash.n, unsynced(crash.n))
    const crashed = (): boolean => crash !== undefined && disks[crash.side].operations - before[crash.side] > crash.n
    // It ticks when it arrives; taken back, it waits for its time.
    const ticked = ({ tick }: { tick: number }): void => {
      seen = tick
    }
    const back = (): boolean => agent.status.epoch === 3 && agent.status.state === 'active'
    const arrives = lost === 'commit' ? eventually(a, back) : nextCount(agent, 2).then(ticked)
    arrives.catch(() => {})
    await agent.moveTo(b.id).catch(() => {})
    mend()
    await Promise.race([arrives, reported([a, b], crashed)])
    const operations = { source: a.disk.operations - before.source, target: b.disk.operations - before.target }
    await Promise.all([a.stop().catch(() => {}), b.stop().catch(() => {})])
    return { id: agent.id, seen, disks: [a.disk, b.disk], operations }
  }

  describe.each([
    ['a move', undefined],
    ['a move whose commit is lost', 'commit'],
    ['a move whose answer is lost', 'done'],
  ] as const)('in %s', (_, lost) => {
    it.each(SIDES)('leaves one owner, and no tick lost or doubled: at the %s', async (side) => {
      const clean = await move(world, lost)
      const count = clean.operations[side]
      expect(count).toBeGreaterThan(1)
      await sweep(count, async (world, n) => {
        const { id, seen, disks, operations } = await move(world, lost, { side, n })
        expect(operations[side]).toBe(n + 1)
        await settled(world, disks, id, seen, `${side} at ${n}`)
      })
    })
  })

  it('in a spawn leaves a whole agent or nothing', async () => {
    const spawn = async (world: World, crashAt?: number) => {
      const node = await world.start(makeDisk())
      const before = node.disk.operations
      if (crashAt !== undefined) node.disk.crashAt(crashAt, unsynced(crashAt))
      const agent = await spawnCounter(node, RARELY).catch(() => undefined)
      const crashed = (): boolean => crashAt !== undefined && node.disk.operations - before > crashAt
      const seen = await Promise.race([
        agent === undefined ? undefined : nextCount(agent, 1).then(({ tick }) => tick),
        reported([node], crashed).then(() => 0),
      ])
      const operations = node.disk.operations - before
      await node.stop().catch(() => {})
      return { node, agent, seen, operations }
    }
    const { operations } = await spawn(world)
    await sweep(operations, async (world, n) => {
      const { node, agent, seen } = await spawn(world, n)
      const again = await world.start(node.disk.copy())
      const all = again.agents()
      if (agent !== undefined) expect(all, `at ${n}`).toMatchObject([{ agent: agent.id, state: 'active', here: true }])
      for (const { agent: id } of all) {
        const { tick, count } = await nextCount(again.agent(id), seen)
        expect(count, `at ${n}`).toBe(tick)
      }
      await again.stop()
    })
  })

  it.each(SIDES)('in handing over a file leaves one owner: at the %s', async (side) => {
    const carry = async (world: World, crashAt?: number) => {
      const [a, b] = [await world.start(makeDisk()), await world.start(makeDisk())]
      const agent = await spawnCounter(a, RARELY)
      const { tick: seen } = await nextCount(agent, 1)
      const ready = await b.ready()
      const disk = side === 'source' ? a.disk : b.disk
      const before = disk.operations
      if (crashAt !== undefined) disk.crashAt(crashAt, unsynced(crashAt))
      const crashed = (): boolean => crashAt !== undefined && disk.operations - before > crashAt
      const file = await agent.export({ to: ready }).catch(() => undefined)
      if (file !== undefined) await b.import(file).catch(() => {})
      if (file !== undefined && !crashed())
        await Promise.race([eventually(a, () => !agent.status.here), reported([a, b], crashed)])
      const operations = disk.operations - before
      await Promise.all([a.stop().catch(() => {}), b.stop().catch(() => {})])
      return { id: agent.id, seen, file, operations, disks: [a.disk, b.disk] as const }
    }
    const { operations } = await carry(world)
    await sweep(operations, async (world, n) => {
      const { id, seen, file, disks } = await carry(world, n)
      const b = await world.start(disks[1].copy())
      // Whoever carried the file tries again, if it was not taken.
      if (file !== undefined && here(b, id).length === 0) await b.import(file)
      await b.stop()
      const a = await world.start(disks[0].copy())
      const packed = a.agent(id).status.state
      await a.stop()
      // The record is there, though the file was not given out: it can be made again.
      if (file === undefined && packed === 'moving') {
        const [a2, b2] = [await world.start(disks[0].copy()), await world.start(disks[1].copy())]
        await b2.import(await a2.agent(id).export())
        await Promise.all([a2.stop(), b2.stop()])
        return settled(world, [a2.disk, b2.disk], id, seen, `${side} at ${n}`)
      }
      await settled(world, [disks[0], b.disk], id, seen, `${side} at ${n}`)
    })
  })

  it('while an agent ticks and hears loses nothing that was seen or acknowledged', async () => {
    const live = async (world: World, crashAt: number) => {
      const node = await world.start(makeDisk())
      const agent = await node.spawn({ module: counter(), manifest: manifest({ tick_interval_ms: 10, capabilities: CAPABLE }) })
      let seen = (await nextCount(agent, 1)).tick
      const before = node.disk.operations
      node.disk.crashAt(crashAt, unsynced(crashAt))
      const ended = new AbortController()
      const watching = (async () => {
        for await (const event of agent.watch(ended.signal)) if (event.type === 'log') seen = Math.max(seen, event.tick)
      })()
      // Nobody reads the inbox of a counter: what is acknowledged stays in it.
      let sent = 0
      const sending = (async () => {
        for (; sent < 60; sent++) await agent.send('kept', { signal: ended.signal })
      })().catch(() => {})
      await reported([node], () => node.disk.operations - before > crashAt)
      ended.abort()
      await Promise.all([watching, sending])
      await node.stop().catch(() => {})
      return { id: agent.id, seen, sent, disk: node.disk }
    }
    await sweep(16, async (world, n) => {
      const { id, seen, sent, disk } = await live(world, n)
      const again = await world.start(disk.copy())
      const agent = again.agent(id)
      expect(agent.status.inbox, `at ${n}`).toBeGreaterThanOrEqual(sent)
      const { tick, count } = await nextCount(agent, seen)
      expect(count, `at ${n}`).toBe(tick)
      await again.stop()
    })
  })
})
