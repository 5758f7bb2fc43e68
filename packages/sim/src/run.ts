/**
 * One run: a world, a workload and faults from one seed; then peace, and the question whether everybody is well.
 *
 * @module
 */
import type { Row } from '@igor/core/simulated'
import { createFaults, drawPlan } from './faults.ts'
import { OVERBILLS } from './liar.ts'
import type { CrashPlan } from './points.ts'
import { createRandom } from './random.ts'
import { REQUIRED } from './required.ts'
import type { Scheduler } from './scheduler.ts'
import { createWorkload, type Workload } from './workload.ts'
import { createWorld, MINUTE, SECOND, WITNESS, type World } from './world.ts'

export interface RunOptions {
  readonly seed: number
  /** Simulated minutes in which things go wrong. Default: 0.2 to 1.2, by the seed. */
  readonly minutes?: number
  /** Default: 3 or 4, by the seed. */
  readonly nodes?: number
  readonly agents?: number
  /** From 0 (nothing goes wrong) to 1. */
  readonly level?: number
  readonly traced?: boolean
  /** A process ends there too. */
  readonly crash?: CrashPlan
  /** Kinds of faults that are left out. */
  readonly without?: readonly string[]
  /** Agents have a witness, which moves them when their host is gone. Default: by the seed, in every other one. */
  readonly witness?: boolean
  /** Byzantine hosts besides the nodes. Default: 0 to 2, by the seed. */
  readonly liars?: number
  /** Kinds of faults that happen often. */
  readonly focus?: readonly string[]
}

export interface RunResult {
  readonly seed: number
  /** What did not hold; empty when all did. */
  readonly failures: readonly string[]
  /** Of everything that happened, in order. */
  readonly hash: string
  /** Simulated minutes in which things went wrong. */
  readonly minutes: number
  readonly simulatedMs: number
  readonly events: number
  readonly nodes: number
  readonly ticks: number
  readonly faults: ReadonlyMap<string, number>
  /** What Byzantine hosts did, by kind. */
  readonly lies: ReadonlyMap<string, number>
  /** Crash points that were come to, and how often. */
  readonly points: ReadonlyMap<string, number>
  /** Those at which a process ended. */
  readonly struck: ReadonlySet<string>
  readonly looked: ReadonlyMap<string, number>
  readonly trace: readonly string[]
}

/** Microcents that never run out. */
const RICH = 10n ** 16n
/** Shorter runs are full of work. */
const BUSY_MINUTES = 5
/** In peace every undecided move ends, and every agent that can live does, within this. */
const PEACE_US = 5 * MINUTE
/** A witness waits for whom a handoff names as long as their word holds: ten minutes, by a clock that may be ahead. */
const WITNESSED_PEACE_US = 30 * MINUTE
/** Looked at so often whether it has. */
const LOOK_US = 5 * SECOND

/** More than this in a simulated second is nobody's work. */
const SPIN_EVENTS = 100_000

/** Whoever sleeps for nothing again and again takes the thread of its node. */
const watchSpin = (scheduler: Scheduler): (() => boolean) => {
  let [second, before] = [0, 0]
  return () => {
    const now = Math.floor(scheduler.now / SECOND)
    if (now !== second) [second, before] = [now, scheduler.events]
    return scheduler.events - before > SPIN_EVENTS
  }
}

/** Who takes an agent from a host that billed falsely, and runs its journal again, does not go on from there. */
const isFoundOut = (row: Row): boolean => row.state === 'recovery-required' && /does not come out again/.test(row.why)

/** Why not everybody is well; empty: all are. */
const unwell = (world: World, workload: Workload, since: ReadonlyMap<string, number>): string[] => {
  const { checks } = world
  return [...checks.agents()].flatMap((agent) => {
    if (workload.retiring.has(agent) || checks.excuseOf(agent) !== undefined) return []
    const short = `agent …${agent.slice(-6)}`
    const rows = [...checks.rowsOf(agent)]
    const owners = rows.filter(([, row]) => row.state === 'active-owner')
    if (owners.length === 0 && checks.histories.isSpoiled(agent)) {
      checks.seen('a liar can end what it holds')
      return []
    }
    if (owners.length === 0 && world.lies.has(OVERBILLS) && rows.some(([, row]) => isFoundOut(row))) {
      checks.seen('a false bill halts')
      return []
    }
    if (owners.length !== 1) {
      const all = rows.map(
        ([machine, row]) => `node ${machine} ${row.state}${row.state === 'recovery-required' ? ` (${row.why})` : ''}`,
      )
      return [`${short} has ${owners.length} owners: ${all.join(', ') || 'no row anywhere'}`]
    }
    if (checks.fails(agent)) return []
    if (checks.lastTick(agent) <= (since.get(agent) ?? 0)) return [`${short} does not tick any more, at node ${owners[0]?.[0]}`]
    if (rows.some(([, row]) => row.state === 'handoff-pending'))
      return [`${short} lives, and a node still waits for what became of it`]
    const missing = checks.missing(agent)
    if (missing.length > 0) return [`${short} lost messages that were acknowledged: ${missing.join(', ')}`]
    const unpaid = checks.histories.unpaid(agent, String(owners[0]?.[1].slot.id))
    return unpaid === 0n ? [] : [`${short} lost ${unpaid} microcents that were acknowledged`]
  })
}

/** Runs a seed. What it does depends on nothing else. */
export const runSeed = async (options: RunOptions): Promise<RunResult> => {
  const { seed, level = 1, traced = false } = options
  const random = createRandom(seed, 'run')
  const minutes = options.minutes ?? random.scaled(0.2, 1.2)
  const machines = options.nodes ?? 3 + random.below(2)
  const calm = level === 0
  const liars = options.liars ?? (calm ? 0 : random.fork('liars').pick([0, 0, 0, 1, 1, 2]))
  const witness = options.witness ?? random.fork('witness').chance(0.5)
  // A witness that hosts nothing has to find somebody who does.
  const aloof = witness && random.fork('aloof').chance(0.4)
  const money = random.fork('money')
  const priced = money.chance(0.5)
  const plan = drawPlan(random.fork('plan'), level, minutes, options)
  const untilUs = minutes * MINUTE
  const cramped = !calm && random.chance(0.1)
  const world: World = createWorld({
    seed,
    machines: machines + liars,
    liars,
    traced,
    witness,
    price: () => (priced ? money.pick([0n, BigInt(Math.round(money.scaled(1e6, 1e12)))]) : 0n),
    slowLines: calm ? 0 : random.pick([0, 0, 0.2]),
    skewUs: calm ? 0 : random.pick([0, SECOND, 4 * MINUTE]),
    drift: calm ? 0 : random.pick([0, 0.0002]),
    room: (machine) => {
      if (world.scheduler.now >= untilUs) return undefined
      return machine === WITNESS && aloof ? 0 : cramped ? 1 : undefined
    },
  })
  const { scheduler, checks } = world
  // For hours on end people do less: there is more of what takes long.
  const busy = minutes <= BUSY_MINUTES
  const workload = createWorkload(world, random.fork('workload'), {
    agents: options.agents ?? 1 + random.below(2),
    everyUs: busy ? random.scaled(SECOND / 4, 3 * SECOND) : random.scaled(10 * SECOND, MINUTE),
    intervalMs: busy ? [500, 10_000] : [1000, 60_000],
    witness,
    budget: () => (money.chance(0.5) ? RICH : BigInt(Math.round(money.scaled(1, 1e12)))),
    forced: calm ? 0 : random.pick([0, 0, 0, 0.3]),
    untilUs,
  })
  if (!calm) createFaults(world, workload, random.fork('faults'), plan, untilUs, Math.min(60 * MINUTE, untilUs / 2))
  const crashes = random.fork('crash points')
  const moment = crashes.chance(0.5) ? crashes.below(2000) : undefined
  // The points of a move are few among thousands of others: they are chosen by name.
  const chosen = Array.from({ length: crashes.below(4) }, () => ({ point: crashes.pick(REQUIRED), nth: crashes.below(3) }))
  world.points.plan([...(calm ? [] : chosen), ...(options.crash === undefined ? [] : [options.crash])])
  if (!calm && moment !== undefined) world.points.planMoment(moment)
  for (const { index } of world.machines) scheduler.after(random.between(0, SECOND), () => world.start(index))
  const isSpinning = watchSpin(scheduler)
  const failed = (): boolean => {
    if (checks.failures.length === 0 && isSpinning())
      checks.fail(`some node is busy with nothing: ${SPIN_EVENTS} events in a second`)
    return checks.failures.length > 0
  }
  try {
    await scheduler.run(untilUs, failed)
    if (!failed()) await settle(world, workload, cramped || aloof, failed)
  } finally {
    world.end()
  }
  return {
    seed,
    failures: [...checks.failures],
    hash: world.trace.hash,
    minutes,
    simulatedMs: scheduler.now / 1000,
    events: scheduler.events,
    nodes: machines,
    ticks: checks.looked.get('one life a tick') ?? 0,
    faults: world.faults,
    lies: world.lies,
    points: world.points.seen,
    struck: world.points.struck,
    looked: checks.looked,
    trace: world.trace.lines,
  }
}

const settle = async (world: World, workload: Workload, cramped: boolean, failed: () => boolean): Promise<void> => {
  const { scheduler, checks } = world
  // A pause may last until now and as long again.
  const end = scheduler.now + (world.witness === undefined ? PEACE_US : WITNESSED_PEACE_US) + scheduler.now / 2
  const since = new Map(Array.from(checks.agents(), (agent) => [agent, checks.lastTick(agent)]))
  // Their operators make room, which takes a restart.
  world.banish()
  if (cramped) for (const { index } of world.machines) world.stop(index, SECOND)
  workload.settle()
  let ill = ['nobody looked']
  while (scheduler.now < end && ill.length > 0 && checks.failures.length === 0) {
    await scheduler.run(scheduler.now + LOOK_US, failed)
    ill = unwell(world, workload, since)
  }
  if (checks.failures.length === 0) for (const what of ill) checks.fail(`in peace ${what}`)
}
