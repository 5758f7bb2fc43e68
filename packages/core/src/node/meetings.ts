/**
 * What this node does about agents that others say they host: learn whether it owns them, and
 * compare histories where one of them lives here too.
 *
 * @module
 */
import { startChain } from '@igor/lineage'
import type { Context } from '../agent/context.ts'
import { IgorError } from '../errors.ts'
import { pullFrom } from '../protocols/blocks.ts'
import type { Said, SaidAgent } from '../protocols/presence.ts'
import { verifyGently } from '../protocols/verify-gently.ts'
import { deadline } from '../protocols/wire.ts'
import type { Owner } from './owner.ts'
import type { Residents } from './residents.ts'

/** Before the same agent is looked at again at the same peer. */
const AGAIN_MS = 10_000
/** A history of the greatest length comes in less. */
const LOOK_MS = 60_000
/** Pulls at a time: presence is free to send, answering it is not. */
const MAX_AT_ONCE = 4
/** Agents looked at, remembered. */
const MAX_REMEMBERED = 5000

export interface Meetings {
  heard(said: Said): void
}

interface Options {
  readonly context: Context
  readonly residents: Residents
  readonly owner: Owner
  readonly onchange: () => void
}

export const createMeetings = ({ context, residents, owner, onchange }: Options): Meetings => {
  const looked = new Map<string, number>()
  let busy = 0

  const conflicts = (said: SaidAgent): boolean => {
    const ledger = residents.ledger(said.agent)
    if (ledger === undefined || residents.outgoing(said.agent) !== undefined) return false
    if (context.forks.contradicts(ledger.records, said)) return true
    const here = ledger.row.state === 'active-owner' || ledger.row.state === 'handoff-pending'
    const alive = said.state !== 'moved' && said.state !== 'retired'
    return here && alive && said.epoch >= ledger.chain.epoch
  }

  const look = async (peer: string, agent: string): Promise<void> => {
    const limit = deadline(context.clock, LOOK_MS, `peer ${peer}`, context.signal)
    const puller = await pullFrom(context, peer, false, limit.signal).catch((error) => {
      limit.clear()
      throw error
    })
    try {
      const mine = residents.ledger(agent)
      const lives = mine?.row.state === 'active-owner' || mine?.row.state === 'handoff-pending'
      const shown = await puller.records(agent)
      // Of an agent that is not public a peer shows its history to whoever proves to be its host.
      const records = shown.length < 2 && mine !== undefined && lives ? await puller.meet(agent, mine.records) : shown
      const [genesis] = records
      if (genesis?.body.kind !== 'genesis' || genesis.body.agent !== agent) return
      // Verified first: a forged nonce would make the owner a stranger to its own agent.
      startChain(genesis)
      if (owner.learn(genesis.body)) onchange()
      const ledger = residents.ledger(agent)
      if (ledger === undefined || records.length < 2) return
      await residents.reconcile(ledger, { chain: await verifyGently(context, records), records })
    } finally {
      limit.clear()
      await puller.close().catch(() => {})
    }
  }

  return {
    heard: (said) => {
      for (const one of said.agents) {
        const meets = conflicts(one)
        // That its birth was learnt there must not keep a contradiction waiting.
        const key = `${said.peer} ${one.agent} ${meets}`
        if (!meets && owner.owns(one.agent) !== undefined) continue
        const last = looked.get(key)
        if (busy >= MAX_AT_ONCE || (last !== undefined && context.clock.elapsed() - last < AGAIN_MS)) continue
        if (looked.size >= MAX_REMEMBERED) looked.clear()
        looked.set(key, context.clock.elapsed())
        busy++
        look(said.peer, one.agent)
          .catch((error) => {
            if (error instanceof IgorError && error.code === 'AGENT_HALTED') {
              context.report({ level: 'error', code: 'AGENT_HALTED', agent: one.agent, peer: said.peer, message: error.message })
            }
          })
          .finally(() => {
            busy--
          })
      }
    },
  }
}
