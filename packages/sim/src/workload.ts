/**
 * What people do with agents: start them, talk to them, move them, carry them in files, pause and retire them. Nobody
 * waits for anybody, and everybody tries again.
 *
 * @module
 */
import type { Agent, Node } from '@igor/core'
import { FAILS, GROWS, HURRIES, MAX_IDS, messageOf, PLAIN, probe } from './probe.ts'
import type { Random } from './random.ts'
import { TICKED } from './trace.ts'
import { type Machine, MINUTE, SECOND, WITNESS, type World } from './world.ts'

export interface WorkloadOptions {
  readonly agents: number
  /** Mean microseconds between two things that somebody does. */
  readonly everyUs: number
  /** Milliseconds between ticks, least and most. */
  readonly intervalMs: readonly [number, number]
  /** Chance that what is done with an agent is a recovery by force. */
  readonly forced: number
  /** Agents have the first machine's node as their witness, which moves them when their host is gone. */
  readonly witness: boolean
  /** Microcents that an agent begins with. */
  readonly budget: () => bigint
  /** Until then things are done. */
  readonly untilUs: number
}

export interface Workload {
  /** Agents that may be on their way to a machine. */
  movingTo(machine: number): string[]
  /** Agents that were retired, or may have been. */
  readonly retiring: ReadonlySet<string>
  /** Agents that were packed up in a file. */
  readonly carried: ReadonlySet<string>
  /** Brings what was interrupted to its end: files to where they are for, agents back to work. */
  settle(): void
}

interface Known {
  readonly id: string
  next: number
  readonly targets: Set<number>
  files: { readonly to: number; readonly bytes: Uint8Array }[]
}

const CAPABILITIES = { clock: { version: 1 }, rand: { version: 1 }, log: { version: 1 }, inbox: { version: 1 } }
/** Between two looks at who may tick. */
const LEASES_US = SECOND / 2
/** Microcents that are enough for the rest of a run. */
const RELIEF = 10n ** 15n
/** An agent is asked again to go on after so long. */
const RESUME_US = 10 * SECOND

export const createWorkload = (world: World, random: Random, options: WorkloadOptions): Workload => {
  const { scheduler, checks, machines, trace } = world
  const known: Known[] = []
  const keys = new Set<string>()
  const retiring = new Set<string>()
  const carried = new Set<string>()
  let settling = false
  const lied = machines.some(({ liar }) => liar)

  const up = (): (Machine & { readonly node: Node })[] =>
    machines.filter(
      (one): one is Machine & { node: Node } => one.node !== undefined && !one.liar && one.process?.paused === false,
    )

  /** What fails is nobody's fault; it is seen in the trace. */
  const attempt = (machine: Machine, what: string, work: () => Promise<string>): void => {
    const { process } = machine
    world.did(machine.index, what)
    const tell = (text: string): void => {
      if (process?.alive === true) world.did(machine.index, `${what}: ${text}`)
    }
    const failed = (error: unknown): void => tell(error instanceof Error ? error.message : String(error))
    // A name that is not known throws at once.
    void Promise.resolve().then(work).then(tell, failed)
  }

  const follow = async (machine: Machine, agent: Agent, leaves: boolean): Promise<void> => {
    for await (const event of agent.watch(new AbortController().signal)) {
      if (event.type === 'log') {
        trace.note(
          scheduler.now,
          TICKED,
          machine.index,
          event.tick,
          () => `sees tick ${event.tick} of …${agent.id.slice(-6)}: ${event.text.slice(0, 24)}`,
        )
        checks.tick(agent.id, event.tick, event.text)
      }
      if (leaves && event.type === 'status' && !event.status.here) return
    }
  }

  world.onstart((machine, node) => {
    const watched = new Set<string>()
    const look = (): void => {
      // By the row on its disk: listing what a node knows of all agents takes long.
      for (const id of checks.agents()) {
        if (watched.has(id) || checks.rowsOf(id).get(machine.index)?.state !== 'active-owner') continue
        try {
          const agent = node.agent(id)
          watched.add(id)
          void follow(machine, agent, true)
            .catch(() => {})
            .finally(() => watched.delete(id))
        } catch {
          // Its row is there a moment before the node knows it.
        }
      }
    }
    node.onchange(look)
    node.onevent(({ code, message }) => {
      world.did(machine.index, `reports ${code}: ${message}`)
      const [, signer] = /^(\S+) signed a false /.exec(message) ?? []
      if (code === 'REPLAY_DIFFERS' && signer !== undefined) checks.histories.accused(machine.index, signer)
    })
    look()
    void shareKeys(node).catch(() => {})
  })

  /** Every node holds every key, so that anyone can order. */
  const shareKeys = async (node: Node): Promise<void> => {
    const own = await node.exportKeys()
    for (const key of own) keys.add(key)
    for (const { node: other } of up()) {
      const has = await other.exportKeys()
      for (const key of keys) {
        if (has.includes(key)) continue
        await other.importKey(Uint8Array.from(key.match(/../g) ?? [], (hex) => Number.parseInt(hex, 16)))
      }
    }
  }

  const shortOf = (id: string): string => `…${id.slice(-6)}`

  const spawn = (): void => {
    const here = up()
    if (here.length === 0) return
    const machine = random.pick(here)
    const interval = Math.round(random.scaled(...options.intervalMs))
    const witness = options.witness && random.chance(0.85) ? machines[WITNESS]?.peer : undefined
    const budget = options.budget()
    // What a host shows to others is its word.
    const watcher = !lied && random.chance(0.3) ? random.pick(here) : undefined
    attempt(machine, 'starts an agent', async () => {
      const agent = await machine.node.spawn({
        module: probe(),
        name: 'probe',
        budget,
        ...(witness === undefined ? {} : { witness }),
        manifest: {
          capabilities: CAPABILITIES,
          tick_interval_ms: interval,
          public: random.chance(0.7),
          ...(witness === undefined ? {} : { failover: 'witness' }),
        },
      })
      if (witness !== undefined) checks.witnessed(agent.id)
      known.push({ id: agent.id, next: 0, targets: new Set(), files: [] })
      if (watcher !== undefined && watcher !== machine) {
        scheduler.after(5 * SECOND, () => {
          if (watcher.node === undefined) return
          try {
            void follow(watcher, watcher.node.agent(agent.id), false).catch(() => {})
          } catch {
            // It is not in sight there.
          }
        })
      }
      return shortOf(agent.id)
    })
  }

  /** What a liar acknowledges is worth nothing. */
  const hostIsHonest = (one: Known, { node }: { readonly node: Node }): boolean => {
    const machine = world.fabric.peers.get(node.agent(one.id).status.host)
    return !lied || (machine !== undefined && checks.histories.honest(machine))
  }

  const send = (one: Known, machine: Machine & { node: Node }): void => {
    if (one.next >= MAX_IDS) return
    const id = one.next++
    const kind = random.chance(0.8) ? PLAIN : random.pick([FAILS, HURRIES, GROWS])
    attempt(machine, `sends message ${id} (${kind}) to ${shortOf(one.id)}`, async () => {
      const trusted = hostIsHonest(one, machine)
      await machine.node.agent(one.id).send(messageOf(id, kind))
      if (trusted && hostIsHonest(one, machine)) checks.acknowledged(one.id, id)
      return 'committed'
    })
  }

  const move = (one: Known, machine: Machine & { node: Node }): void => {
    const target = random.pick(machines)
    const { peer } = target
    if (peer === undefined) return
    one.targets.add(target.index)
    if (target.liar && !checks.isWitnessed(one.id)) checks.excuse(one.id, 'forked')
    attempt(machine, `moves ${shortOf(one.id)} to node ${target.index}`, async () => {
      const done = await machine.node.agent(one.id).moveTo(peer)
      return `arrived at tick ${done.tick}`
    })
  }

  const carry = (one: Known): void => {
    const source = up().find(({ node }) => node.agents().some(({ agent, here }) => here && agent === one.id))
    const target = random.pick(machines)
    if (source === undefined || target.node === undefined || target.liar || target === source) return
    const { node } = target
    one.targets.add(target.index)
    carried.add(one.id)
    attempt(source, `packs ${shortOf(one.id)} up for node ${target.index}`, async () => {
      const bytes = await source.node.agent(one.id).export({ to: await node.ready() })
      one.files.push({ to: target.index, bytes })
      return `${bytes.length} bytes`
    })
  }

  const bring = (one: Known): void => {
    const file = settling ? one.files.shift() : one.files.at(-1)
    if (file === undefined) return
    // Whoever carries it goes on to the next, and comes back later.
    if (settling) one.files.push(file)
    const wrong = random.chance(0.1) && !settling
    const machine = machines[wrong ? random.below(machines.length) : file.to]
    const node = machine?.node
    if (machine === undefined || node === undefined || machine.liar) return
    attempt(machine, `imports ${shortOf(one.id)} from a file for node ${file.to}`, async () => {
      await node.import(file.bytes)
      one.files = one.files.filter((other) => other !== file)
      return 'done'
    })
  }

  const copy = (one: Known, force: boolean): void => {
    const source = up().find(({ node }) => node.agents().some(({ agent, here }) => here && agent === one.id))
    const target = random.pick(up())
    if (source === undefined || target === source) return
    if (force) checks.excuse(one.id, 'forked')
    attempt(source, `copies ${shortOf(one.id)} to node ${target.index}${force ? ', by force' : ''}`, async () => {
      const bytes = await source.node.agent(one.id).export()
      await target.node.import(bytes, { force })
      return 'taken'
    })
  }

  const retire = (one: Known, machine: Machine & { node: Node }): void => {
    retiring.add(one.id)
    attempt(machine, `retires ${shortOf(one.id)}`, async () => {
      await machine.node.agent(one.id).retire()
      scheduler.after(MINUTE, () => checks.retired(one.id))
      return 'done'
    })
  }

  const order = (one: Known, machine: Machine & { node: Node }, kind: 'pause' | 'resume'): void =>
    attempt(machine, `${kind}s ${shortOf(one.id)}`, async () => {
      await machine.node.agent(one.id)[kind]()
      return 'done'
    })

  const fund = (one: Known, machine: Machine & { node: Node }, amount: bigint): void => {
    checks.histories.funds(one.id, amount)
    attempt(machine, `gives ${amount} microcents to ${shortOf(one.id)}`, async () => {
      const trusted = hostIsHonest(one, machine)
      await machine.node.agent(one.id).fund(amount)
      if (trusted && hostIsHonest(one, machine)) checks.histories.funded(one.id, amount)
      return 'applied'
    })
  }

  /** Its owner has it go on here, as far as its witness agrees. */
  const recover = (one: Known, machine: Machine & { node: Node }): void => {
    if (!checks.isWitnessed(one.id)) return
    attempt(machine, `recovers ${shortOf(one.id)}`, async () => {
      await machine.node.recover(one.id)
      return 'it goes on here'
    })
  }

  const act = (): void => {
    const here = up()
    const living = known.filter(({ id }) => !retiring.has(id))
    if (here.length === 0 || living.length === 0) return
    const [one, machine] = [random.pick(living), random.pick(here)]
    const what = random.next()
    if (what < 0.4) send(one, machine)
    else if (what < 0.7) move(one, machine)
    else if (what < 0.74) carry(one)
    else if (what < 0.84) bring(one)
    else if (what < 0.86) recover(one, machine)
    else if (what < 0.88) copy(one, random.chance(options.forced))
    else if (what < 0.92) order(one, machine, 'pause')
    else if (what < 0.97) order(one, machine, 'resume')
    else if (what < 0.99) fund(one, machine, BigInt(Math.round(random.scaled(1, 1e12))))
    else retire(one, machine)
  }

  const next = (): void => {
    scheduler.after(options.everyUs * random.scaled(0.1, 4), () => {
      if (scheduler.now >= options.untilUs) return
      act()
      next()
    })
  }
  const spawnSoon = (left: number): void => {
    if (left <= 0) return
    scheduler.after(random.scaled(10_000, 10 * SECOND), () => {
      if (known.length < options.agents) spawn()
      spawnSoon(left - 1)
    })
  }
  // Some are lost to faults before they are born.
  spawnSoon(options.agents + 2)
  next()

  /** Who may tick now, as its node sees it. */
  const watchLeases = (): void => {
    scheduler.after(LEASES_US, () => {
      for (const { id } of known) {
        if (!checks.isWitnessed(id)) continue
        const may = up().filter(({ node }) =>
          node.agents().some(({ agent, here, leaseMs = 0 }) => here && agent === id && leaseMs > 0),
        )
        checks.holders(
          id,
          may.map(({ index }) => index),
        )
      }
      watchLeases()
    })
  }
  if (options.witness) watchLeases()

  /** One that was packed up by a process that died before it gave the file out: the file can be made again. */
  const packAgain = (one: Known): void => {
    const pending = [...checks.rowsOf(one.id)].find(([, { state }]) => state === 'handoff-pending')
    const source = up().find(({ index }) => index === pending?.[0])
    if (source === undefined || !carried.has(one.id)) return
    attempt(source, `packs ${shortOf(one.id)} up again`, async () => {
      const bytes = await source.node.agent(one.id).export()
      one.files = machines.filter(({ index, liar }) => index !== source.index && !liar).map(({ index }) => ({ to: index, bytes }))
      return `${bytes.length} bytes`
    })
  }

  let rounds = 0
  const settle = (): void => {
    settling = true
    rounds++
    for (const { node } of up()) void shareKeys(node).catch(() => {})
    for (const one of known) {
      bring(one)
      if (one.files.length === 0 || rounds % machines.length === 0) packAgain(one)
      const host = up().find(({ node }) =>
        node.agents().some(({ agent, here, state }) => here && agent === one.id && ['paused', 'faulted'].includes(state)),
      )
      if (host !== undefined) order(one, host, 'resume')
      const poor = up().find(({ node }) =>
        node.agents().some(({ agent, here, state }) => here && agent === one.id && state === 'exhausted'),
      )
      if (poor !== undefined) fund(one, poor, RELIEF)
    }
    scheduler.after(RESUME_US, settle)
  }

  return {
    movingTo: (machine) => known.filter(({ targets }) => targets.has(machine)).map(({ id }) => id),
    retiring,
    carried,
    settle,
  }
}
