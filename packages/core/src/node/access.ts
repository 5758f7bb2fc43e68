/**
 * Who may read what of the agents here: genesis is for anyone, history and life for whoever may
 * watch, blocks for the target of a move under way.
 *
 * @module
 */
import { moduleParts, pruneRecords } from '@igor/lineage'
import type { CID } from 'multiformats/cid'
import { hexOf } from '../agent/blocks.ts'
import { type Context, nowMs } from '../agent/context.ts'
import { IgorError } from '../errors.ts'
import { keys } from '../keys.ts'
import type { BlockSource } from '../protocols/blocks.ts'
import { verifyGently } from '../protocols/verify-gently.ts'
import { checkProof } from '../protocols/watch.ts'
import type { WitnessService } from '../witness/service.ts'
import type { Residents } from './residents.ts'
import type { Upgrades } from './upgrades.ts'

export interface Access {
  readonly blocks: BlockSource
  /** @throws IgorError NOT_OWNER | NOT_AUTHORITATIVE */
  /** True if the peer has a word of the agent's owner. */
  isOwner(agent: string, peer: string, proof: Uint8Array | undefined): boolean
  /** @throws IgorError NOT_OWNER | NOT_AUTHORITATIVE */
  checkWatcher(agent: string, peer: string, proof: Uint8Array | undefined): void
}

interface AccessOptions {
  readonly context: Context
  readonly residents: Residents
  /** The witness that this node serves: it shows what it keeps to whoever may go on from it. */
  readonly service: WitnessService | undefined
  readonly upgrades: Upgrades
}

export const createAccess = ({ context, residents, service, upgrades }: AccessOptions): Access => {
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

  /** Of this agent's module alone: others' modules stand beside it, and anyone can have an agent to move. */
  const moduleBlock = async (agent: string, cid: CID): Promise<Uint8Array | undefined> => {
    const module = residents.ledger(agent)?.chain.module
    const root = module === undefined ? undefined : await context.store.get(keys.module(module.toString()))
    if (module === undefined || root === undefined) return undefined
    const name = cid.toString()
    if (module.toString() === name) return root
    return moduleParts(module, root).some((part) => part.toString() === name) ? context.store.get(keys.module(name)) : undefined
  }

  return {
    isOwner,
    blocks: {
      meet: async (agent, peer, theirs) => {
        const ledger = residents.ledger(agent)
        if (ledger === undefined) throw new IgorError('UNKNOWN_AGENT', `${agent} is not known here`)
        const chain = await verifyGently(context, theirs)
        const { authority } = chain
        // Only a history that makes it the host opens this one: a stranger's word does not.
        if (chain.agent !== agent || !chain.genesis.id.equals(ledger.chain.genesis.id) || authority.by !== peer) {
          throw new IgorError('NOT_OWNER', `by that history ${agent} does not live at ${peer}`)
        }
        const mine = pruneRecords(ledger.records)
        await residents.reconcile(ledger, { chain, records: theirs }).catch(() => {})
        return mine
      },
      records: async (agent, peer, proof) => {
        if (service?.serves(agent, peer) === true) return (await service.records(agent)) ?? []
        const ledger = residents.ledger(agent)
        if (ledger === undefined) throw new IgorError('UNKNOWN_AGENT', `${agent} is not known here`)
        const hostedThem = ledger.chain.hosts.some((host) => host.peer === peer)
        if (isTarget(agent, peer) || isOffered(agent, peer) || isPublic(agent) || hostedThem || isOwner(agent, peer, proof))
          return ledger.records
        return ledger.records.slice(0, 1)
      },
      block: async (agent, peer, cid, proof) => {
        if (service?.serves(agent, peer) === true) return service.block(agent, cid)
        const offered = upgrades.block(agent, cid)
        if (offered !== undefined) return offered
        if (!isTarget(agent, peer) && !isOwner(agent, peer, proof))
          throw new IgorError('NOT_OWNER', `blocks of ${agent} go to the target of a move, and to its owner`)
        const own = await context.store.get(keys.block(agent, hexOf(cid.multihash.digest)))
        return own ?? moduleBlock(agent, cid)
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
