/**
 * Who may read what of the agents here: genesis is for anyone, history and life for whoever may
 * watch, blocks for the target of a move under way.
 *
 * @module
 */

import { hexOf } from '../agent/blocks.ts'
import { type Context, nowMs } from '../agent/context.ts'
import { IgorError } from '../errors.ts'
import { keys } from '../keys.ts'
import type { BlockSource } from '../protocols/blocks.ts'
import { checkProof } from '../protocols/watch.ts'
import type { Residents } from './residents.ts'

export interface Access {
  readonly blocks: BlockSource
  /** @throws IgorError NOT_OWNER | NOT_AUTHORITATIVE */
  checkWatcher(agent: string, peer: string, proof: Uint8Array | undefined): void
}

export const createAccess = ({ context, residents }: { context: Context; residents: Residents }): Access => {
  const isOwner = (agent: string, peer: string, proof: Uint8Array | undefined): boolean => {
    if (proof === undefined) return false
    try {
      return checkProof(agent, peer, nowMs(context.clock), proof)
    } catch {
      return false
    }
  }
  const isTarget = (agent: string, peer: string): boolean => residents.outgoing(agent)?.peer === peer
  /** A handoff to it stands open: it needs the history to decide. */
  const isOffered = (agent: string, peer: string): boolean => {
    const authority = residents.ledger(agent)?.chain.authority
    return authority?.status === 'offered' && authority.ready.to === peer
  }
  const isPublic = (agent: string): boolean => residents.manifest(agent)?.public ?? false

  return {
    blocks: {
      records: (agent, peer, proof) => {
        const ledger = residents.ledger(agent)
        if (ledger === undefined) throw new IgorError('UNKNOWN_AGENT', `${agent} is not known here`)
        const hostedThem = ledger.chain.hosts.some((host) => host.peer === peer)
        if (isTarget(agent, peer) || isOffered(agent, peer) || isPublic(agent) || hostedThem || isOwner(agent, peer, proof))
          return ledger.records
        return ledger.records.slice(0, 1)
      },
      block: async (agent, peer, cid) => {
        if (!isTarget(agent, peer)) throw new IgorError('NOT_OWNER', `blocks of ${agent} go to the target of a move only`)
        return (
          (await context.store.get(keys.block(agent, hexOf(cid.multihash.digest)))) ??
          (await context.store.get(keys.module(cid.toString())))
        )
      },
      served: (agent, peer, bytes) => {
        const move = residents.outgoing(agent)
        if (move?.peer === peer) move.onserved(bytes)
      },
    },
    checkWatcher: (agent, peer, proof) => {
      if (residents.hosted(agent) === undefined && residents.ledger(agent)?.row.state !== 'recovery-required') {
        throw new IgorError('NOT_AUTHORITATIVE', `${agent} does not live here`)
      }
      if (!isPublic(agent) && !isOwner(agent, peer, proof)) {
        throw new IgorError('NOT_OWNER', `${agent} is not public: only its owner may watch it`)
      }
    },
  }
}
