/**
 * The owner's keys that this node holds, and which agents they command.
 *
 * @module
 */
import { agentSeed, didOf, type Genesis, publicKeyOf, type Sign, signerOfSeed } from '@igor/lineage'
import { hexOf } from '../agent/blocks.ts'
import { IgorError } from '../errors.ts'
import { addOwnerSeed, readOwnerSeeds } from '../identity.ts'
import type { Crypto, Store } from '../platform.ts'

/** Agents whose ownership was looked up: more than one node ever lists. */
const MAX_KNOWN = 20_000

export interface Owner {
  /** The key of a new agent, from the first seed of the ring. */
  newAgent(): { readonly agent: string; readonly nonce: Uint8Array; readonly sign: Sign }
  /** Undefined: not known yet. */
  owns(agent: string): boolean | undefined
  /** Looks through the ring, and remembers the agent's birth. The genesis must have been verified: a false nonce would hide whose it is. */
  learn(genesis: Genesis): boolean
  /** Unix ms of an agent's genesis, once learnt. */
  bornAt(agent: string): number | undefined
  /** An n for an order: at least `least`, and above every one given before. */
  nextOrder(agent: string, least: number): number
  /** @throws IgorError NOT_OWNER */
  signer(agent: string): Sign
  seeds(): readonly string[]
  add(seed: Uint8Array): Promise<void>
}

export const openOwner = async (store: Store, crypto: Crypto): Promise<Owner> => {
  let ring = await readOwnerSeeds(store, crypto)
  const nonces = new Map<string, Uint8Array>()
  const births = new Map<string, number>()
  const signers = new Map<string, Sign>()
  const ordered = new Map<string, number>()
  const find = (agent: string, nonce: Uint8Array): boolean => {
    for (const seed of ring) {
      const secret = agentSeed(seed, nonce)
      if (didOf(publicKeyOf(secret)) !== agent) continue
      signers.set(agent, signerOfSeed(secret))
      return true
    }
    return false
  }
  /** The one learnt longest ago that is nobody's here: strangers must not crowd out the owner's own. */
  const forgetStranger = (): void => {
    for (const agent of births.keys()) {
      if (signers.has(agent)) continue
      births.delete(agent)
      nonces.delete(agent)
      return
    }
  }
  return {
    newAgent: () => {
      const [seed] = ring
      if (seed === undefined) throw new IgorError('STORE_DAMAGED', 'this node has no owner key')
      const nonce = crypto.random(32)
      const secret = agentSeed(seed, nonce)
      const agent = didOf(publicKeyOf(secret))
      const sign = signerOfSeed(secret)
      nonces.set(agent, nonce)
      signers.set(agent, sign)
      return { agent, nonce, sign }
    },
    owns: (agent) => (nonces.has(agent) ? signers.has(agent) : undefined),
    learn: ({ agent, nonce, time }) => {
      if (births.has(agent)) return signers.has(agent)
      if (births.size >= MAX_KNOWN) forgetStranger()
      births.set(agent, time)
      nonces.set(agent, nonce)
      return find(agent, nonce)
    },
    bornAt: (agent) => births.get(agent),
    nextOrder: (agent, least) => {
      const n = Math.max(least, (ordered.get(agent) ?? 0) + 1)
      ordered.set(agent, n)
      return n
    },
    signer: (agent) => {
      const sign = signers.get(agent)
      if (sign === undefined) {
        throw new IgorError('NOT_OWNER', `this node does not hold the key of ${agent}'s owner: import it, or ask the owner`)
      }
      return sign
    },
    seeds: () => ring.map(hexOf),
    add: async (seed) => {
      ring = await addOwnerSeed(store, crypto, seed)
      for (const [agent, nonce] of nonces) if (!signers.has(agent)) find(agent, nonce)
    },
  }
}
