/**
 * Whoever comes with an agent, or asks about one: how many at a time, and which conversation it is.
 *
 * @module
 */
import { createKeyedSerial } from '../agent/serial.ts'
import { IgorError } from '../errors.ts'
import type { Channel } from '../platform.ts'
import { type Fields, hear, say, sayError, violation } from '../protocols/wire.ts'
import type { Inbound } from './inbound.ts'
import { reject } from './protocol.ts'
import { status } from './status.ts'
import { takeOver } from './takeover.ts'
import { arrive } from './target.ts'

/** Moves that one peer may have under way here. */
const MAX_PER_PEER = 4
/** Moves under way here: each may hold a worker's copy of an agent. */
const MAX_ARRIVALS = 16
/** Of the first message of a conversation: a record and what is said beside it. */
const MAX_FIRST = 32 * 1024

export interface Arrivals {
  /** Agents on their way in. */
  readonly count: number
  handle(channel: Channel): Promise<void>
}

export const createArrivals = (inbound: Inbound): Arrivals => {
  const { context } = inbound
  const byPeer = new Map<string, number>()
  const agents = new Set<string>()
  const serialOf = createKeyedSerial()

  const admitPeer = (peer: string): (() => void) => {
    const open = byPeer.get(peer) ?? 0
    if (open >= MAX_PER_PEER) throw new IgorError('QUOTA', `${open} moves from that peer are under way already`)
    byPeer.set(peer, open + 1)
    return () => {
      const left = (byPeer.get(peer) ?? 1) - 1
      if (left === 0) byPeer.delete(peer)
      else byPeer.set(peer, left)
    }
  }

  const offer = async (channel: Channel, fields: Fields, come: (agent: string) => Promise<void>): Promise<void> => {
    let leave = (): void => {}
    let agent: string | undefined
    try {
      leave = admitPeer(channel.peer)
      agent = fields.text('agent', 128)
      if (agents.size >= MAX_ARRIVALS) throw new IgorError('QUOTA', `${agents.size} moves to this node are under way already`)
      if (agents.has(agent)) throw new IgorError('HANDOFF_PENDING', `${agent} is on its way to this node already`)
      agents.add(agent)
    } catch (error) {
      leave()
      return reject(channel, error)
    }
    try {
      await come(agent)
    } finally {
      agents.delete(agent)
      leave()
    }
    // A module that came for nothing would stay for ever, and anyone can offer one after the other.
    if (agents.size === 0 && inbound.ledger(agent)?.row.state !== 'active-owner') await inbound.sweep()
  }

  return {
    get count() {
      return agents.size
    },
    handle: async (channel) => {
      const first = await hear(channel, { clock: context.clock, signal: context.signal, max: MAX_FIRST })
      if (first === undefined) return
      if (first.type === 'offer') await offer(channel, first, (agent) => arrive(inbound, serialOf(agent), channel, agent, first))
      else if (first.type === 'takeover') await offer(channel, first, (agent) => takeOver(inbound, channel, agent))
      else if (first.type === 'status') await status(inbound, serialOf, channel, first)
      else if (first.type === 'ready?') await readyForFile(inbound, channel)
      else throw violation(channel.peer, `${first.type} instead of offer or status`)
    },
  }
}

const readyForFile = async (inbound: Inbound, channel: Channel): Promise<void> => {
  try {
    await say(channel, { type: 'ready', ready: await inbound.readyForFile(channel.peer) })
  } catch (error) {
    await sayError(channel, error)
  }
}
