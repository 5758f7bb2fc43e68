/**
 * Whether a node that says it hosts an agent does by the agent's history. Presence is only a word: a
 * message or an order that is brought to a liar would be lost, and its "committed" believed.
 *
 * @module
 */
import type { Chain } from '@igor/lineage'
import type { Context } from '../agent/context.ts'
import { IgorError } from '../errors.ts'
import { type Puller, pullFrom } from '../protocols/blocks.ts'
import { verifyGently } from '../protocols/verify-gently.ts'

/** A host that cannot be asked now may be back soon. */
const DOUBT_MS = 3000
/** Hosts that were proven, remembered: one an agent. */
const MAX_PROVEN = 10_000

export interface HostProver {
  /**
   * @param epoch that the peer claims
   * @param proof of the owner, for an agent that is not public
   * @throws IgorError NOT_AUTHORITATIVE
   */
  assure(agent: string, host: string, epoch: number, proof: Uint8Array | undefined, signal?: AbortSignal): Promise<void>
}

export const createHostProver = (
  context: Context,
  distrust: (agent: string, peer: string, forMs: number) => void,
): HostProver => {
  const proven = new Map<string, string>()

  const historyAt = async (
    agent: string,
    host: string,
    proof: Uint8Array | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Chain | undefined> => {
    let puller: Puller | undefined
    try {
      puller = await pullFrom(context, host, false, signal)
      const records = await puller.records(agent, { brief: true, ...(proof === undefined ? {} : { proof }) })
      // Genesis alone is what a stranger gets of an agent that is not public: nothing more can be known.
      if (records.length < 2 && proof === undefined) return undefined
      return await verifyGently(context, records)
    } finally {
      await puller?.close().catch(() => {})
    }
  }

  return {
    assure: async (agent, host, epoch, proof, signal) => {
      const claim = `${host} ${epoch}`
      if (proven.get(agent) === claim) return
      const lies = (): never => {
        distrust(agent, host, Number.POSITIVE_INFINITY)
        throw new IgorError('NOT_AUTHORITATIVE', `${host} says that it hosts ${agent}, but cannot show it`)
      }
      let chain: Chain | undefined
      try {
        chain = await historyAt(agent, host, proof, signal)
      } catch (error) {
        if (signal?.aborted === true) throw error
        const lied = !(error instanceof IgorError) || error.code === 'UNKNOWN_AGENT' || error.code === 'PROTOCOL_VIOLATION'
        if (lied) return lies()
        distrust(agent, host, DOUBT_MS)
        throw error
      }
      if (chain === undefined) return
      const held = chain.agent === agent && chain.hosts.some((one) => one.peer === host && one.epoch >= epoch)
      if (!held) return lies()
      // It did host it, and knows better than its last word where it went.
      if (chain.authority.by !== host) throw new IgorError('NOT_AUTHORITATIVE', `${agent} has left ${host}`)
      if (proven.size >= MAX_PROVEN) proven.clear()
      proven.set(agent, claim)
    },
  }
}
