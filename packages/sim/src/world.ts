/**
 * Machines with a node each: started, stopped, crashed, paused, robbed of their disks. The nodes are core's own.
 *
 * @module
 */
import { createCoreNode, type Node, openForks, openLogStore, type Store, witnessOffice } from '@igor/core'
import { type CrashOptions, type Disk, decodeRow, keys, makeDisk, witnessKeys } from '@igor/core/simulated'
import { peerIdOf, publicKeyOf } from '@igor/lineage'
import { type Checks, createChecks } from './checks.ts'
import { createClock, type MachineClock } from './clock.ts'
import { createCrypto } from './crypto.ts'
import { createFiles } from './disk.ts'
import { createEar, drawVices, type LiarOptions, lyingNetwork, lyingThreads } from './liar.ts'
import { isRecord, labelOf, seeBatch, seeMessage } from './look.ts'
import { createFabric, type Fabric } from './network.ts'
import { createPoints, type Points } from './points.ts'
import { createProcess, type Process } from './process.ts'
import { createRandom, type Random } from './random.ts'
import { createScheduler, type Scheduler } from './scheduler.ts'
import { createThreads, type ThreadFaults } from './threads.ts'
import { createTrace, DID, FAULT, type Trace } from './trace.ts'
import { calm, createLines, type Lines, type Weather } from './wire.ts'

export const SECOND = 1_000_000
export const MINUTE = 60 * SECOND

/** The machine whose node is the witness, where there is one. */
export const WITNESS = 0

/** So small that a short life compacts it. */
const COMPACT_ABOVE = 96 * 1024

export interface Machine {
  readonly index: number
  /** Runs now; undefined: crashed, stopped or starting. */
  readonly node: Node | undefined
  /** The peer id of its store; undefined before its first start. */
  readonly peer: string | undefined
  readonly process: Process | undefined
  readonly disk: Disk
  readonly clock: MachineClock
  /** Its host lies. */
  readonly liar: boolean
  /** Where its store is: another one is noticed at the start. */
  residence: string
}

export type Crash = CrashOptions['unsynced']

export interface WorldOptions {
  readonly seed: number
  readonly machines: number
  /** Keeps the lines of the trace. */
  readonly traced?: boolean
  /** Chance that a line between two machines is a slow one. */
  readonly slowLines?: number
  /** Agents that a machine takes. */
  readonly room?: (machine: number) => number | undefined
  /** Microcents that a machine asks for a nominal second. Default 0. */
  readonly price?: (machine: number) => bigint
  /** So many of the machines, the last ones, lie. */
  readonly liars?: number
  /** The node of machine `WITNESS` is one. */
  readonly witness?: boolean
  readonly skewUs?: number
  readonly drift?: number
}

export interface World {
  readonly random: Random
  readonly scheduler: Scheduler
  readonly checks: Checks
  readonly points: Points
  readonly trace: Trace
  readonly lines: Lines
  readonly weather: Weather
  readonly threadFaults: ThreadFaults
  readonly machines: readonly Machine[]
  /** What hosts were caught at that no honest one does, by kind. */
  readonly lies: Map<string, number>
  /** The witness's machine, if there is one. */
  readonly witness: number | undefined
  readonly fabric: Fabric
  /** Faults so far, by kind. */
  readonly faults: Map<string, number>
  /** Begins to start a machine's node; when that fails, it tries again. */
  start(machine: number): void
  /** Ends its process: the machine's power fails, or (`kept`) the process alone is killed. */
  crash(machine: number, unsynced: Crash, backUs: number): void
  /** As its operator does it. */
  stop(machine: number, backUs: number): void
  pause(machine: number, us: number, sleeps: boolean): void
  /** Ends it and puts another disk in its place. */
  replaceDisk(machine: number, disk: Disk, backUs: number): void
  /** Called when a node is up. */
  onstart(listener: (machine: Machine, node: Node) => void): void
  fault(kind: string, machine: number, text: string): void
  did(machine: number, text: string): void
  /** Liars are gone for good. */
  banish(): void
  /** Ends all processes. */
  end(): void
}

interface Running extends Machine {
  node: Node | undefined
  peer: string | undefined
  process: Process | undefined
  disk: Disk
  lives: number
  starting: boolean
  /** It does not come back. */
  banished: boolean
}

export const createWorld = (options: WorldOptions): World => {
  const random = createRandom(options.seed, 'world')
  const scheduler = createScheduler()
  const checks = createChecks()
  const trace = createTrace(options.traced === true)
  const weather = calm()
  const threadFaults: ThreadFaults = { ends: 0, hangs: 0 }
  const lines = createLines(random.fork('lines'), options.slowLines ?? 0)
  const faults = new Map<string, number>()
  const started: ((machine: Machine, node: Node) => void)[] = []
  const chance = random.fork('crashes')
  const lies = new Map<string, number>()
  const ear = createEar(random.fork('ear'))
  const liars = options.liars ?? 0
  let ended = false

  const fault = (kind: string, machine: number, text: string): void => {
    faults.set(kind, (faults.get(kind) ?? 0) + 1)
    trace.note(scheduler.now, FAULT, machine, kind, () => `*** ${text}`)
  }
  const did = (machine: number, text: string): void => trace.note(scheduler.now, DID, machine, text, () => text)

  const points = createPoints((process, point, half) => {
    const machine = machines[process.machine]
    if (machine === undefined || machine.process !== process) return
    // Half of a write is there: what was synced before is whole, and nothing else is lost.
    const unsynced: Crash = half || chance.chance(0.4) ? 'kept' : chance.chance(0.5) ? 'torn' : 'gone'
    fault('crash at a point', process.machine, `crashes at "${point}" (${unsynced})`)
    crash(process.machine, unsynced, chance.scaled(50_000, 30 * SECOND))
  })
  const fabric = createFabric({
    scheduler,
    lines,
    weather,
    points,
    trace,
    random: random.fork('network'),
    tap: (machine, protocol, message) => {
      if (liars > 0) ear.hear(protocol, message)
      if (checks.histories.honest(machine)) seeMessage(checks, machine, protocol, message)
    },
  })

  const machines = Array.from({ length: options.machines }, (_, index): Running => {
    const own = random.fork(`machine ${index}`)
    const liar = index >= options.machines - liars
    if (liar) checks.histories.distrust(index)
    return {
      index,
      node: undefined,
      peer: undefined,
      process: undefined,
      disk: makeDisk(),
      clock: { offset: own.between(-1, 1) * (options.skewUs ?? 0), drift: own.between(-1, 1) * (options.drift ?? 0), slept: 0 },
      liar,
      residence: `place ${index}`,
      lives: 0,
      starting: false,
      banished: false,
    }
  })
  const at = (index: number): Running => {
    const machine = machines[index]
    if (machine === undefined) throw new Error(`there is no machine ${index}`)
    return machine
  }

  const observed = (store: Store, process: Process, pending: Set<{ readonly label: string }>): Store => ({
    ...store,
    damaged: store.damaged,
    commit: async (batch) => {
      if (!process.alive) return process.never
      const label = labelOf(batch)
      if (points.reach(process, `${label}: asked for`)) return process.never
      const one = { label }
      pending.add(one)
      try {
        await store.commit(batch)
      } finally {
        pending.delete(one)
      }
      if (!process.alive) return process.never
      seeBatch(checks, process.machine, batch)
      if (points.reach(process, `${label}: done`)) return process.never
    },
  })

  /** What became durable just before its process died was not seen. */
  const lookBack = async (store: Store, machine: number): Promise<void> => {
    for (const key of await store.list('')) {
      if (!isRecord(key) && !key.startsWith(witnessKeys.heads)) continue
      const bytes = await store.get(key).catch(() => undefined)
      if (bytes !== undefined) seeBatch(checks, machine, { put: [[key, bytes]] })
    }
  }

  const boot = async (machine: Running, process: Process): Promise<void> => {
    const pending = new Set<{ readonly label: string }>()
    const files = createFiles({
      process,
      disk: machine.disk,
      points,
      trace,
      labels: () => [...pending].map(({ label }) => label),
      syncUs: process.random.scaled(100, 30_000),
    })
    const store = await openLogStore(files, { random: (length) => process.random.bytes(length), compactAbove: COMPACT_ABOVE })
    await lookBack(store, machine.index)
    const room = options.room?.(machine.index)
    const price = options.price?.(machine.index) ?? 0n
    const lying: LiarOptions | undefined = machine.liar
      ? {
          process,
          vices: drawVices(random.fork(`vices ${machine.index}`)),
          ear,
          peers: () => [...fabric.peers.keys()],
          onlie: (what) => void lies.set(what, (lies.get(what) ?? 0) + 1),
        }
      : undefined
    const threads = createThreads(process, threadFaults)
    const node = await createCoreNode(
      {
        clock: createClock(process, machine.clock),
        crypto: createCrypto(process),
        store: observed(store, process, pending),
        threads: lying === undefined ? threads : lyingThreads(lying, threads),
        network: async (seed) => {
          checks.histories.join(peerIdOf(publicKeyOf(seed)), machine.index)
          const network = fabric.join(process, seed)
          return lying === undefined ? network : lyingNetwork(lying, network, seed)
        },
      },
      {
        kind: 'server',
        name: `node-${machine.index}`,
        residence: { read: () => machine.residence },
        forks: openForks,
        ...(options.witness === true && machine.index === WITNESS ? { witness: true, office: witnessOffice } : {}),
        policy: { price, ...(room === undefined ? {} : { maxAgents: room }) },
      },
    )
    if (!process.alive) return
    // What a restored disk says counts once the node has had its chance to notice.
    for (const key of await store.list(keys.authorities)) {
      const row = await store.get(key).catch(() => undefined)
      if (row !== undefined && !machine.liar) checks.row(machine.index, key.slice(keys.authorities.length), decodeRow(row))
    }
    machine.node = node
    machine.peer = node.id
    machine.starting = false
    did(machine.index, 'is up')
    if (!machine.liar) for (const listener of started) listener(machine, node)
  }

  const start = (index: number): void => {
    const machine = at(index)
    if (machine.process?.alive === true || ended || machine.banished) return
    machine.lives++
    const process = createProcess(scheduler, random.fork(`process ${index} ${machine.lives}`), index)
    machine.process = process
    machine.starting = true
    machine.clock.slept = 0
    boot(machine, process).catch((error: unknown) => {
      if (!process.alive) return
      did(index, `cannot start: ${error instanceof Error ? error.message : String(error)}`)
      crash(index, 'kept', 10 * SECOND)
    })
  }

  const down = (machine: Running): void => {
    machine.process?.kill()
    machine.process = undefined
    machine.node = undefined
    machine.starting = false
  }

  const crash = (index: number, unsynced: Crash, backUs: number): void => {
    const machine = at(index)
    down(machine)
    machine.disk.crash({ unsynced, random: () => chance.next() })
    did(index, 'is down')
    scheduler.after(backUs, () => start(index))
  }

  return {
    random,
    scheduler,
    checks,
    points,
    trace,
    lines,
    weather,
    threadFaults,
    machines,
    witness: options.witness === true ? WITNESS : undefined,
    fabric,
    faults,
    lies,
    start,
    crash,
    stop: (index, backUs) => {
      const machine = at(index)
      const { node, process } = machine
      if (node === undefined || process === undefined) return
      machine.node = undefined
      did(index, 'is asked to stop')
      const over = (): void => {
        if (machine.process !== process) return
        // The process ends when its node has stopped; the system keeps what it wrote.
        crash(index, 'kept', backUs)
      }
      node.stop().then(over, (error: unknown) => {
        did(index, `stopped with ${String(error)}`)
        over()
      })
      // An operator waits so long, then kills it.
      scheduler.after(60 * SECOND, over)
    },
    pause: (index, us, sleeps) => {
      const machine = at(index)
      const { process } = machine
      if (process === undefined || process.paused) return
      process.pause()
      scheduler.after(us, () => {
        if (machine.process !== process) return
        if (sleeps) machine.clock.slept += us
        did(index, 'goes on')
        process.resume()
      })
    },
    replaceDisk: (index, disk, backUs) => {
      const machine = at(index)
      down(machine)
      machine.disk = disk
      checks.forget(index)
      machine.peer = undefined
      scheduler.after(backUs, () => start(index))
    },
    onstart: (listener) => started.push(listener),
    fault,
    did,
    banish: () => {
      for (const machine of machines) {
        if (!machine.liar) continue
        machine.banished = true
        down(machine)
        did(machine.index, 'is gone for good')
      }
    },
    end: () => {
      ended = true
      for (const machine of machines) down(machine)
    },
  }
}
