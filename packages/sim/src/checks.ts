/**
 * What must hold, whatever happens (docs/design.md, sections 5 to 7).
 *
 * @module
 */
import type { Row } from '@igor/core/simulated'
import { createHistories, type Histories } from './histories.ts'
import { readReport } from './probe.ts'

/** Why an agent may stand still for good, or its life may be in doubt. */
export type Excuse =
  /** A store was lost or damaged: it may halt, but never live twice. */
  | 'lost'
  /**
   * Its owner recovered it by force; or, of one without a witness, a host's disk was rolled back unnoticed, or a host lied;
   * or its witness's disk was rolled back: it may even live twice.
   */
  | 'forked'

export interface Checks {
  /** What does not hold; empty: nothing. */
  readonly failures: readonly string[]
  /** How often each was looked at. */
  readonly looked: ReadonlyMap<string, number>
  readonly histories: Histories
  /** One more thing that was looked at. */
  seen(what: string): void
  /** From now on this agent may halt, or worse. */
  excuse(agent: string, excuse: Excuse): void
  excuseOf(agent: string): Excuse | undefined
  /** A row is durable at a machine. */
  row(machine: number, agent: string, row: Row): void
  /** The machine's store is another one from now on. */
  forget(machine: number): void
  /** Every agent that ever had a row. */
  agents(): Iterable<string>
  rowsOf(agent: string): ReadonlyMap<number, Row>
  /** A node showed a record to somebody. */
  shown(machine: number, agent: string, epoch: number, seq: number, id: string): void
  /** A tick that was shown, as the agent logged it. */
  tick(agent: string, tick: number, line: string): void
  lastTick(agent: string): number
  /** Its last tick failed: it was handed something that it fails at, and its clock may stand still for long. */
  fails(agent: string): boolean
  /** It has a witness: a host that was deposed keeps its row until it hears of it, and may show what is then given up. */
  witnessed(agent: string): void
  isWitnessed(agent: string): boolean
  /** Machines at which the witnessed agent may tick at this moment. */
  holders(agent: string, machines: readonly number[]): void
  /** A message was acknowledged. */
  acknowledged(agent: string, id: number): void
  /** Messages that were acknowledged and not in what the agent logged last. */
  missing(agent: string): readonly number[]
  retired(agent: string): void
  fail(what: string): void
}

/** Slots and ticks remembered for one agent: beyond that the oldest are forgotten. */
const MAX_REMEMBERED = 20_000

export const createChecks = (): Checks => {
  const failures: string[] = []
  const looked = new Map<string, number>()
  const excuses = new Map<string, Excuse>()
  const rows = new Map<string, Map<number, Row>>()
  const slots = new Map<string, string>()
  const ticks = new Map<string, Map<number, string>>()
  const last = new Map<string, { readonly tick: number; readonly line: string }>()
  const acks = new Map<string, Set<number>>()
  const watched = new Set<string>()
  const failing = new Set<string>()
  const gone = new Map<string, number>()
  const look = (what: string): void => void looked.set(what, (looked.get(what) ?? 0) + 1)
  const fail = (what: string): void => void failures.push(what)
  const short = (agent: string): string => `agent …${agent.slice(-6)}`

  const histories = createHistories({ fail, look, isForked: (agent) => excuses.get(agent) === 'forked' })

  const checkOwners = (agent: string): void => {
    if (watched.has(agent)) return
    look('one owner')
    if (excuses.get(agent) === 'forked') return
    const owners = [...(rows.get(agent) ?? [])].filter(([, row]) => row.state === 'active-owner')
    if (owners.length > 1) fail(`${short(agent)} lives twice: at nodes ${owners.map(([machine]) => machine).join(' and ')}`)
  }

  return {
    failures,
    looked,
    seen: look,
    histories,
    fail,
    excuse: (agent, excuse) => {
      if (excuses.get(agent) !== 'forked') excuses.set(agent, excuse)
    },
    excuseOf: (agent) => excuses.get(agent),
    row: (machine, agent, row) => {
      const known = rows.get(agent) ?? new Map<number, Row>()
      rows.set(agent, known)
      const before = known.get(machine)
      known.set(machine, row)
      look('slots only rise')
      if (before !== undefined && excuses.get(agent) !== 'forked') {
        const [a, b] = [before.slot, row.slot]
        const lower = b.epoch < a.epoch || (b.epoch === a.epoch && b.seq < a.seq)
        if (lower) fail(`${short(agent)}: node ${machine} went back from slot ${a.epoch}/${a.seq} to ${b.epoch}/${b.seq}`)
        if (b.epoch === a.epoch && b.seq === a.seq && !a.id.equals(b.id))
          fail(`${short(agent)}: node ${machine} wrote slot ${a.epoch}/${a.seq} twice`)
      }
      if (row.state === 'active-owner') checkOwners(agent)
    },
    forget: (machine) => {
      for (const known of rows.values()) known.delete(machine)
    },
    agents: () => rows.keys(),
    rowsOf: (agent) => rows.get(agent) ?? new Map(),
    shown: (machine, agent, epoch, seq, id) => {
      look('one record a slot')
      const slot = `${agent} ${epoch} ${seq}`
      const known = slots.get(slot)
      if (known === undefined) {
        if (slots.size > MAX_REMEMBERED) slots.clear()
        slots.set(slot, id)
      } else if (known !== id && excuses.get(agent) !== 'forked' && !watched.has(agent)) {
        fail(`${short(agent)}: slot ${epoch}/${seq} holds two records, the second shown by node ${machine}`)
      }
    },
    tick: (agent, tick, line) => {
      const report = readReport(line)
      // What a failed tick says is no report.
      if (report === undefined) failing.add(agent)
      if (report === undefined) return
      failing.delete(agent)
      look('one life a tick')
      const known = ticks.get(agent) ?? new Map<number, string>()
      ticks.set(agent, known)
      const before = known.get(tick)
      if (excuses.get(agent) === 'forked') return
      if (before !== undefined && before !== report.digest) fail(`${short(agent)} lived tick ${tick} twice`)
      if (report.ticks !== tick) fail(`${short(agent)} ticked ${report.ticks} times by tick ${tick}`)
      if (report.doubles > 0) fail(`${short(agent)} got a message twice, by tick ${tick}`)
      const end = gone.get(agent)
      if (end !== undefined && tick > end) fail(`${short(agent)} ticked after it was retired, at tick ${tick}`)
      if (known.size > MAX_REMEMBERED) known.clear()
      known.set(tick, report.digest)
      if (tick > (last.get(agent)?.tick ?? 0)) last.set(agent, { tick, line })
    },
    lastTick: (agent) => last.get(agent)?.tick ?? 0,
    witnessed: (agent) => void watched.add(agent),
    isWitnessed: (agent) => watched.has(agent),
    holders: (agent, machines) => {
      look('one lease')
      if (machines.length > 1 && excuses.get(agent) !== 'forked')
        fail(`${short(agent)} has a lease at nodes ${machines.join(' and ')}`)
    },
    fails: (agent) => failing.has(agent),
    acknowledged: (agent, id) => {
      const ids = acks.get(agent) ?? new Set()
      ids.add(id)
      acks.set(agent, ids)
    },
    missing: (agent) => {
      look('nothing acknowledged is lost')
      const report = readReport(last.get(agent)?.line ?? '')
      return [...(acks.get(agent) ?? [])].filter((id) => report?.has(id) !== true)
    },
    retired: (agent) => void gone.set(agent, last.get(agent)?.tick ?? 0),
  }
}
