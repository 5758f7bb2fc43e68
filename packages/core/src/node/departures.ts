/**
 * Agents that move out, to a node or into a file, and what follows from the target's decision.
 *
 * @module
 */
import { decodeReady, type LineageRecord } from '@igor/lineage'
import type { Context } from '../agent/context.ts'
import type { Hosted } from '../agent/hosted.ts'
import type { Ledger } from '../agent/ledger.ts'
import type { AgentEvent, HandedOver, Move, MovePhase } from '../api.ts'
import { IgorError } from '../errors.ts'
import { askUntilDecided } from '../handoff/ask.ts'
import { checkMigration } from '../handoff/policy.ts'
import { moveOut, type Outgoing } from '../handoff/source.ts'
import { inTime } from '../protocols/wire.ts'
import { messageOf } from '../thrown.ts'

/** One that waits for its witness does not hold up the others; each may have 64 MiB on its way. */
const HAND_OVER_AT_ONCE = 4
/** Its witness has so long to cosign the birth of one that is to leave: a round trip, on a busy machine. */
const BIRTH_MS = 10_000

export interface Departures {
  outgoing(agent: string): Outgoing | undefined
  progress(agent: string): { readonly phase: MovePhase } | undefined
  move(agent: string, target: string, orders: readonly Uint8Array[], signal?: AbortSignal): Promise<Move>
  /** Moves all that live here, a few at a time. */
  handOver(target: string, signal?: AbortSignal): Promise<HandedOver>
  /** Writes a handoff for a file: the agent leaves here, and the file takes it to whoever gave the ready. */
  packUp(agent: string, ready: Uint8Array, orders: readonly Uint8Array[]): Promise<void>
  /** Applies the target's decision on a handoff of this node. */
  settle(ledger: Ledger, decision: LineageRecord): Promise<void>
  /** Asks for the decision on a pending handoff until there is one. */
  ask(ledger: Ledger): void
  /** Resolves when nothing is asked any more, as the signal ends it. */
  stop(): Promise<void>
}

export interface DeparturesOptions {
  readonly context: Context
  readonly hosted: ReadonlyMap<string, Hosted>
  readonly ledgers: ReadonlyMap<string, Ledger>
  /** Its target refused it: it goes on here. */
  readonly goOn: (ledger: Ledger) => Promise<void>
  /** It lives elsewhere now. */
  readonly unhost: (ledger: Ledger) => Promise<void>
  readonly askWitness: (ledger: Ledger) => Promise<void>
  readonly onevent: (agent: string, event: AgentEvent) => void
  readonly onchange: () => void
  /** The node stops. */
  readonly signal: AbortSignal
}

export const createDepartures = (options: DeparturesOptions): Departures => {
  const { context, hosted, ledgers, onevent, onchange } = options
  const outgoing = new Map<string, Outgoing>()
  const phases = new Map<string, MovePhase>()
  const asking = new Map<string, Promise<void>>()

  const settle = async (ledger: Ledger, decision: LineageRecord): Promise<void> => {
    if (ledger.row.state !== 'handoff-pending') return
    if (decision.body.kind === 'refuse') {
      await ledger.takeBack(decision)
      await options.goOn(ledger)
    } else {
      await ledger.depart([decision])
      await options.unhost(ledger)
    }
    phases.delete(ledger.agent)
    onchange()
  }

  const ask = (ledger: Ledger): void => {
    const { agent } = ledger
    if (asking.has(agent)) return
    const settled = (decision: LineageRecord) => settle(ledger, decision)
    const asked = askUntilDecided(context, ledger, settled, () => options.askWitness(ledger), options.signal)
      .catch((error) => context.report({ level: 'error', code: 'HANDOFF_PENDING', agent, message: String(error) }))
      .finally(() => asking.delete(agent))
    asking.set(agent, asked)
  }

  const live = (agent: string): Hosted => {
    const one = hosted.get(agent)
    if (one !== undefined && one.ledger.row.state === 'active-owner') return one
    const ledger = ledgers.get(agent)
    if (ledger?.row.state === 'handoff-pending') throw new IgorError('HANDOFF_PENDING', `${agent} is moving already`)
    if (ledger?.row.state === 'recovery-required')
      throw new IgorError('AGENT_HALTED', `${agent} is halted here: ${ledger.row.why}`)
    throw new IgorError('NOT_AUTHORITATIVE', `${agent} does not live here`)
  }

  /** A witness takes up no history that began without it by more than a birth: whoever left before would belong to nobody. */
  const ensureWitnessed = async ({ ledger, commitment }: Hosted, signal = options.signal): Promise<void> => {
    if (!commitment.witnessed || ledger.chain.cosigned !== null) return
    commitment.hurry()
    await inTime(context.clock, BIRTH_MS, 'its witness', commitment.committed(), signal).catch((cause) => {
      const why = commitment.why ?? messageOf(cause)
      throw new IgorError('WITNESS_UNREACHABLE', `${ledger.agent} stays here: its witness has not cosigned its birth: ${why}`, {
        cause,
      })
    })
  }

  const move: Departures['move'] = async (agent, target, orders, signal) => {
    const one = live(agent)
    await ensureWitnessed(one, signal)
    try {
      const done = await moveOut(context, {
        hosted: one,
        target,
        orders,
        outgoing,
        settle: (decision) => settle(one.ledger, decision),
        onstopped: onchange,
        onprogress: (phase, done, total) => {
          const changed = phases.get(agent) !== phase
          phases.set(agent, phase)
          onevent(agent, { type: 'progress', phase, done, total })
          if (changed) onchange()
        },
        ...(signal ? { signal } : {}),
      })
      onevent(agent, { type: 'moved', move: done })
      return done
    } finally {
      phases.delete(agent)
      if (one.ledger.row.state === 'handoff-pending') ask(one.ledger)
      onchange()
    }
  }

  const handOver: Departures['handOver'] = async (target, signal) => {
    const moves: Move[] = []
    const stayed: { agent: string; why: string }[] = []
    const waiting = [...hosted.keys()]
    const giveAway = async (): Promise<void> => {
      for (let agent = waiting.shift(); agent !== undefined; agent = waiting.shift()) {
        signal?.throwIfAborted()
        try {
          moves.push(await move(agent, target, [], signal))
        } catch (error) {
          stayed.push({ agent, why: messageOf(error) })
        }
      }
    }
    await Promise.all(Array.from({ length: HAND_OVER_AT_ONCE }, giveAway))
    return { moves, stayed }
  }

  return {
    outgoing: (agent) => outgoing.get(agent),
    progress: (agent) => {
      const phase = phases.get(agent)
      return phase === undefined ? undefined : { phase }
    },
    move,
    handOver,
    packUp: async (agent, ready, orders) => {
      const one = live(agent)
      await ensureWitnessed(one)
      // A file is a way to move like any other: the agent's own policy holds.
      const { to, price } = decodeReady(ready).ready
      context.forks.check(to)
      checkMigration(to, price, one.manifest)
      await one.depart(async ({ change }) => {
        const prepared = change === undefined ? undefined : await one.ledger.prepare(change)
        await one.ledger.handoff(ready, orders, prepared)
      })
      ask(one.ledger)
      onchange()
    },
    settle,
    ask,
    stop: async () => {
      await Promise.all(asking.values())
    },
  }
}
