/**
 * What goes wrong, each kind as often as the seed says.
 *
 * @module
 */
import { type Disk, makeDisk } from '@igor/core/simulated'
import type { Random } from './random.ts'
import type { Workload } from './workload.ts'
import { MINUTE, SECOND, WITNESS, type World } from './world.ts'

/** Kinds of faults, and how many a minute a seed may have of each at most. */
const RATES = {
  'power fails': 1.5,
  'process is killed': 1.5,
  'node is stopped': 1.5,
  'process stands still': 1,
  'machine sleeps': 1,
  'line is cut': 1.5,
  'line is cut one way': 1,
  'node is cut off': 0.6,
  'clock jumps': 0.6,
  'disk is full': 0.5,
  'disk is lost': 1,
  'disk is an older copy, unnoticed': 1,
  'disk is an older copy elsewhere': 1,
  'sectors flip': 1,
  'witness dies': 2,
  'liar goes back': 2,
} as const
export type FaultKind = keyof typeof RATES

/** A minute, of a kind that is looked at closely. */
const FOCUS = 4

/** Kinds after which an agent may have halted, or worse: rare, or nothing else would be tested. */
const GRAVE: readonly FaultKind[] = [
  'disk is lost',
  'disk is an older copy, unnoticed',
  'disk is an older copy elsewhere',
  'sectors flip',
]

/** All that can be left out of a run. */
export const LEFT_OUT: readonly string[] = [...Object.keys(RATES), 'weather', 'threads']

export interface FaultPlan {
  /** A minute, of each kind. */
  readonly rates: ReadonlyMap<FaultKind, number>
  readonly weather: boolean
  readonly threads: boolean
}

/** @param level from 0 (none) to 1 */
export const drawPlan = (
  random: Random,
  level: number,
  minutes: number,
  { without = [], focus = [] }: { readonly without?: readonly string[]; readonly focus?: readonly string[] },
): FaultPlan => {
  const rates = new Map<FaultKind, number>()
  for (const [kind, most] of Object.entries(RATES) as [FaultKind, number][]) {
    const happens = random.chance((GRAVE.includes(kind) ? 0.15 : 0.4) * level)
    // In hours as much goes wrong as in minutes, or no agent would live so long.
    const rate = random.scaled(most / 5, 2 * most) / Math.max(1, minutes / 5)
    if (focus.includes(kind)) rates.set(kind, FOCUS)
    else if (happens && !without.includes(kind)) rates.set(kind, rate)
  }
  const [weather, threads] = [random.chance(0.5 * level), random.chance(0.2 * level)]
  return { rates, weather: weather && !without.includes('weather'), threads: threads && !without.includes('threads') }
}

/** Begins to let things go wrong. */
export const createFaults = (
  world: World,
  workload: Workload,
  streams: Random,
  plan: FaultPlan,
  untilUs: number,
  longestUs: number,
): void => {
  let random = streams
  const { scheduler, machines, lines, checks } = world
  const any = (): number => random.below(machines.length)
  const copies = new Map<number, Disk[]>()
  const liars = machines.filter(({ liar }) => liar).map(({ index }) => index)

  /** Agents of which this machine holds something, or may be about to. */
  const involved = (machine: number): string[] => {
    const moving = new Set(workload.movingTo(machine))
    return [...checks.agents()].filter((agent) => {
      const rows = checks.rowsOf(agent)
      return rows.has(machine) || moving.has(agent)
    })
  }
  /** With an honest witness nothing that befalls a host is an excuse, but for who was on its way in somebody's pocket. */
  const excuse = (machine: number, what: 'lost' | 'forked'): void => {
    for (const agent of involved(machine)) if (!checks.isWitnessed(agent)) checks.excuse(agent, what)
    for (const agent of checks.agents()) {
      if (!checks.isWitnessed(agent)) continue
      if (world.witness === machine) checks.excuse(agent, what)
      else if (!checks.histories.isOrdered(agent) || workload.carried.has(agent)) checks.excuse(agent, 'lost')
    }
  }

  const cut = (from: number, to: number, us: number): void => {
    lines.block(from, to, true)
    scheduler.after(us, () => lines.block(from, to, false))
  }

  const flip = (disk: Disk): void => {
    const names = disk.names()
    if (names.length === 0) return
    for (let i = 0; i < 1 + random.below(3); i++) {
      const name = random.pick(names)
      const bytes = disk.peek(name)
      const at = random.below(Math.max(1, bytes.length))
      // A sector's worth of noise, or one bit.
      if (random.chance(0.5)) bytes.set(random.bytes(Math.min(512, bytes.length - at)), at)
      else if (bytes.length > 0) bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8))
      disk.poke(name, bytes)
    }
  }

  const happen: Record<FaultKind, (machine: number) => void> = {
    'power fails': (machine) => world.crash(machine, random.chance(0.6) ? 'torn' : 'gone', random.scaled(100_000, MINUTE)),
    'process is killed': (machine) => world.crash(machine, 'kept', random.scaled(100_000, MINUTE)),
    'node is stopped': (machine) => world.stop(machine, random.scaled(100_000, MINUTE)),
    'process stands still': (machine) => world.pause(machine, random.scaled(SECOND, longestUs), false),
    'machine sleeps': (machine) => world.pause(machine, random.scaled(SECOND, longestUs), true),
    'line is cut': (machine) => {
      const other = any()
      const us = random.scaled(SECOND, MINUTE)
      cut(machine, other, us)
      cut(other, machine, us)
    },
    'line is cut one way': (machine) => cut(machine, any(), random.scaled(SECOND, MINUTE)),
    'node is cut off': (machine) => {
      const us = random.scaled(SECOND, MINUTE)
      for (const { index } of machines) {
        cut(machine, index, us)
        cut(index, machine, us)
      }
    },
    'clock jumps': (machine) => {
      const clock = machines[machine]?.clock
      if (clock !== undefined) clock.offset += random.pick([-1, 1]) * random.scaled(SECOND, 10 * MINUTE)
    },
    'disk is full': (machine) => {
      const disk = machines[machine]?.disk
      if (disk === undefined) return
      const used = disk.names().reduce((sum, name) => sum + disk.peek(name).length, 0)
      disk.capacity = used + random.below(4096)
      scheduler.after(random.scaled(SECOND, 30 * SECOND), () => {
        disk.capacity = Number.POSITIVE_INFINITY
      })
    },
    'disk is lost': (machine) => {
      excuse(machine, 'lost')
      world.replaceDisk(machine, makeDisk(), random.scaled(SECOND, MINUTE))
    },
    'disk is an older copy, unnoticed': (machine) => {
      const copy = copies.get(machine)?.at(-1)
      if (copy === undefined) return
      excuse(machine, 'forked')
      checks.histories.forgot(machine)
      world.replaceDisk(machine, copy.copy(), random.scaled(SECOND, MINUTE))
    },
    'disk is an older copy elsewhere': (machine) => {
      const [one, copy] = [machines[machine], copies.get(machine)?.at(-1)]
      if (copy === undefined || one === undefined) return
      excuse(machine, machine === world.witness ? 'forked' : 'lost')
      one.residence = `another place of ${machine}, since ${scheduler.now}`
      world.replaceDisk(machine, copy.copy(), random.scaled(SECOND, MINUTE))
    },
    'witness dies': () => {
      if (world.witness !== undefined)
        world.crash(WITNESS, random.pick(['torn', 'gone', 'kept']), random.scaled(100_000, 2 * MINUTE))
    },
    'liar goes back': (machine) => {
      const copy = copies.get(machine)?.at(-1)
      if (copy !== undefined) world.replaceDisk(machine, copy.copy(), random.scaled(SECOND / 10, 10 * SECOND))
    },
    'sectors flip': (machine) => {
      const one = machines[machine]
      if (one === undefined) return
      excuse(machine, 'lost')
      world.crash(machine, 'kept', random.scaled(SECOND, 30 * SECOND))
      flip(one.disk)
    },
  }

  const soon = (kind: FaultKind, rate: number, own: Random): void => {
    scheduler.after((MINUTE / rate) * own.scaled(0.1, 4), () => {
      if (scheduler.now >= untilUs) return
      random = own
      const machine = kind === 'witness dies' ? WITNESS : kind === 'liar goes back' ? random.pick(liars) : any()
      world.fault(kind, machine, kind)
      happen[kind](machine)
      soon(kind, rate, own)
    })
  }
  // A stream for each kind: a run without one of them has the others as they were.
  for (const [kind, rate] of plan.rates)
    if ((kind !== 'witness dies' || world.witness !== undefined) && (kind !== 'liar goes back' || liars.length > 0))
      soon(kind, rate, streams.fork(kind))

  if (
    liars.length > 0 ||
    plan.rates.has('disk is an older copy, unnoticed') ||
    plan.rates.has('disk is an older copy elsewhere')
  ) {
    const own = streams.fork('copies')
    const keep = (): void => {
      scheduler.after(own.scaled(SECOND, 20 * SECOND), () => {
        const machine = machines[own.below(machines.length)]
        // As a backup of a machine that runs: what is not synced is not in it.
        if (machine !== undefined) {
          const disk = machine.disk.copy()
          disk.crash({ unsynced: 'kept' })
          copies.set(machine.index, [disk])
        }
        if (scheduler.now < untilUs) keep()
      })
    }
    keep()
  }

  if (plan.weather) {
    const own = streams.fork('weather')
    const change = (): void => {
      Object.assign(world.weather, {
        loss: own.chance(0.5) ? own.between(0, 0.3) : 0,
        duplication: own.chance(0.5) ? own.between(0, 0.5) : 0,
        reordering: own.chance(0.5) ? own.between(0, 0.5) : 0,
        breaks: own.chance(0.5) ? own.scaled(0.001, 0.1) : 0,
        ghosts: own.chance(0.5) ? own.between(0, 0.5) : 0,
      })
      world.fault('weather', -1, `weather: ${JSON.stringify(world.weather)}`)
      scheduler.after(own.scaled(5 * SECOND, 2 * MINUTE), () => {
        if (scheduler.now < untilUs) change()
      })
    }
    change()
  }
  if (plan.threads) Object.assign(world.threadFaults, { ends: streams.scaled(0.001, 0.05), hangs: streams.scaled(0.0005, 0.01) })

  scheduler.after(untilUs - scheduler.now, () => {
    lines.mendAll()
    Object.assign(world.weather, { loss: 0, duplication: 0, reordering: 0, breaks: 0, ghosts: 0 })
    Object.assign(world.threadFaults, { ends: 0, hangs: 0 })
  })
}
