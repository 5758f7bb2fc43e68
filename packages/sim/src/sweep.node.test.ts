/**
 * A takeover, a return and a second takeover by a farewell, again and again, each time with a process that ends at another
 * point of it: each operation of each disk, each message of each protocol, at holder, candidate and witness.
 */
import type { Node } from '@igor/core'
import { describe, expect, it, vi } from 'vitest'
import { messageOf, PLAIN, probe } from './probe.ts'
import { createWorld, type Machine, MINUTE, SECOND, type World } from './world.ts'

// Signatures that cost a hash: thousands of them are made in each of hundreds of lives.
vi.mock('@noble/curves/ed25519.js', () => import('./ideal/ed25519.ts'))

const [WITNESS, HOLDER, CANDIDATE] = [0, 1, 2]
const NAMES = ['witness', 'holder', 'candidate']
const PEACE_US = 5 * MINUTE
/** What takes part in a takeover: each message, and each durable write before it is there and after. */
const IS_CHOSEN =
  /^(witness|handoff): \w+\??, (before|after|as)|^(?!journal|store|barrier|identity)[\w: ]+: (asked for|sync log, before|done)$/

interface Point {
  readonly machine: number
  readonly point: string
  /** The how manieth of all points since the takeover began. */
  readonly nth: number
}

const hosts = (world: World, agent: string): Machine[] =>
  world.machines.filter(({ node }) =>
    node?.agents().some((one) => one.agent === agent && one.here && one.state === 'active' && (one.leaseMs ?? 0) > 0),
  )

/** What every node shows of the agent's life is held against the checks. */
const watch = (world: World, agent: () => string | undefined): void => {
  world.onstart((_, node) => {
    let following = false
    const look = (): void => {
      const id = agent()
      if (following || id === undefined || !node.agents().some((one) => one.agent === id && one.here)) return
      following = true
      void follow(node, id).finally(() => {
        following = false
      })
    }
    const follow = async (at: Node, id: string): Promise<void> => {
      for await (const event of at.agent(id).watch(new AbortController().signal)) {
        if (event.type === 'log') world.checks.tick(id, event.tick, event.text)
        if (event.type === 'status' && !event.status.here) return
      }
    }
    node.onchange(look)
  })
}

/** @returns the points of the clean run, and what does not hold */
const live = async (crash?: number): Promise<{ points: Point[]; failures: readonly string[] }> => {
  const world = createWorld({ seed: 4, machines: 3, witness: true, room: (machine) => (machine === WITNESS ? 0 : undefined) })
  const { scheduler, checks, lines, machines } = world
  const points: Point[] = []
  let nth: number | undefined
  const { reach } = world.points
  Object.assign(world.points, {
    reach: (...[process, point, before]: Parameters<typeof reach>) => {
      if (nth !== undefined) points.push({ machine: process.machine, point, nth: nth++ })
      return reach(process, point, before)
    },
  })
  let agent: string | undefined
  watch(world, () => agent)
  const failed = (): boolean => checks.failures.length > 0
  const run = (us: number): Promise<void> => scheduler.run(scheduler.now + us, failed)
  const node = (machine: number): Node | undefined => machines[machine]?.node
  /** Whoever has it hears the message, sooner or later: who sends it tries again. */
  const send = (id: number): void => {
    const from = node(CANDIDATE) ?? node(HOLDER)
    const one = agent
    if (one === undefined || from === undefined) return
    void Promise.resolve()
      .then(() => from.agent(one).send(messageOf(id, PLAIN)))
      .then(
        () => checks.acknowledged(one, id),
        () => {},
      )
  }
  try {
    for (const { index } of machines) world.start(index)
    await run(3 * SECOND)
    const capabilities = { clock: { version: 1 }, rand: { version: 1 }, log: { version: 1 }, inbox: { version: 1 } }
    void node(HOLDER)
      ?.spawn({
        module: probe(),
        name: 'probe',
        witness: machines[WITNESS]?.peer ?? '',
        manifest: { capabilities, tick_interval_ms: 1000, public: true, failover: 'witness' },
      })
      .then(({ id }) => {
        checks.witnessed(id)
        agent = id
      })
    await run(5 * SECOND)
    if (agent === undefined) throw new Error('it was not born')
    const id = agent
    send(1)
    await run(2 * SECOND)

    nth = 0
    if (crash !== undefined) world.points.planMoment(crash)
    // The holder is cut off: the witness gives the agent to the candidate when the lease is over.
    for (const other of [WITNESS, CANDIDATE]) {
      lines.block(HOLDER, other, true)
      lines.block(other, HOLDER, true)
    }
    await run(22 * SECOND)
    send(2)
    lines.mendAll()
    // It learns that it has lost it.
    await run(6 * SECOND)
    // The candidate is stopped, and says so: it comes back in 1.5 s.
    world.stop(CANDIDATE, 30 * SECOND)
    await run(8 * SECOND)
    send(3)
    // Its store was moved meanwhile: what lives there is asked back from the witness, once the lease is over.
    const home = machines[HOLDER]
    if (home !== undefined) home.residence = 'elsewhere'
    world.crash(HOLDER, 'kept', SECOND)
    await run(30 * SECOND)
    nth = undefined

    const since = checks.lastTick(id)
    const end = scheduler.now + PEACE_US
    const well = (): boolean => hosts(world, id).length === 1 && checks.lastTick(id) > since && checks.missing(id).length === 0
    while (scheduler.now < end && !failed() && !well()) await run(SECOND)
    if (!failed() && !well()) {
      const said = machines.map(({ node: at }) => at?.agents().find((one) => one.agent === id))
      checks.fail(
        `${hosts(world, id).length} owners, tick ${checks.lastTick(id)} after ${since}: ${JSON.stringify(said, (_, v) => (typeof v === 'bigint' ? Number(v) : v))}`,
      )
    }
  } finally {
    world.end()
  }
  return { points, failures: [...checks.failures] }
}

describe('takeovers with a crash at any point', () => {
  it('leave one owner, and no tick lost or doubled', { timeout: 300_000 }, async () => {
    const clean = await live()
    expect(clean.failures).toEqual([])
    const names = new Set(clean.points.map(({ point }) => point))
    for (const message of ['commit', 'cosigned', 'renew', 'lease', 'release', 'takeover', 'taken', 'fetch', 'records'])
      expect(
        [...names].some((name) => name.startsWith(`witness: ${message}`)),
        message,
      ).toBe(true)
    // Of each kind at each machine the first. How a disk ends in the middle of a write is the store's own sweep.
    const chosen = new Map<string, Point>()
    for (const one of clean.points) {
      const { machine, point } = one
      const key = `${machine} ${point}`
      if (IS_CHOSEN.test(point) && !chosen.has(key)) chosen.set(key, one)
    }
    const wrong: string[] = []
    for (const { machine, point, nth } of chosen.values()) {
      const { failures } = await live(nth)
      for (const failure of failures) wrong.push(`${NAMES[machine]} at ${nth}, ${point}: ${failure}`)
    }
    expect(wrong).toEqual([])
    expect(chosen.size).toBeGreaterThan(80)
  })
})
