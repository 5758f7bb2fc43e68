/**
 * Proofs that somebody forked an agent: found where histories meet, checked, kept, passed on, and acted upon
 * (docs/design.md, section 5). A node believes none that it has not checked itself.
 *
 * @module
 */
import { type ForkProof, MAX_PROOF_BYTES, readForkProof } from '@igor/lineage'
import type { Context, Forks } from '../agent/context.ts'
import type { Proof } from '../api.ts'
import { contradicts, findForks } from '../authority/contradiction.ts'
import { IgorError } from '../errors.ts'
import { keys } from '../keys.ts'

export const FORKS_TOPIC = '/igor/forks/1'

/** Proofs kept, one a signer and agent. */
const MAX_PROOFS = 256
/** Of what one peer brings, one is checked in this time. */
const CHECK_MS = 1000
/** Between two proofs that this node passes on: others check one a second. */
const SAY_MS = 1500
/** Peers remembered: by their last proof, and as told of all that is known. */
const MAX_PEERS = 1000

export const openForks = async (
  context: Pick<Context, 'clock' | 'store' | 'network' | 'peer' | 'signal' | 'report'>,
): Promise<Forks> => {
  const { clock, store, network, signal, report } = context
  /** Key in the store, and whom it convicts. */
  const known = new Map<string, string>()
  const checked = new Map<string, number>()
  const greeted = new Set<string>()
  const untold = new Set<string>()
  let telling = false

  const learn = (key: string): void => void known.set(key, key.split('/')[1] ?? '')
  for (const key of await store.list(keys.forks)) learn(key)

  const mayCheck = (peer: string): boolean => {
    const now = clock.elapsed()
    if (now - (checked.get(peer) ?? Number.NEGATIVE_INFINITY) < CHECK_MS) return false
    if (checked.size >= MAX_PEERS) checked.clear()
    checked.set(peer, now)
    return true
  }

  const tell = async (): Promise<void> => {
    if (telling) return
    telling = true
    try {
      for (const key of untold) {
        untold.delete(key)
        const proof = await store.get(key)
        if (proof !== undefined) await network.publish(FORKS_TOPIC, proof)
        await clock.sleep(SAY_MS, signal)
      }
    } catch {
      // Whoever comes is told anew.
    } finally {
      telling = false
    }
  }

  const keep = async ({ signer, agent, as, bytes }: ForkProof, from?: string): Promise<void> => {
    const key = keys.fork(signer, agent)
    if (known.has(key)) return
    // The one kept longest goes, and what it proved is forgotten.
    const remove = [...known.keys()].slice(0, Math.max(0, known.size - MAX_PROOFS + 1))
    for (const old of remove) known.delete(old)
    learn(key)
    // One that cannot be kept is acted upon all the same, and hinders nothing else.
    await store.commit({ remove, put: [[key, bytes]] }).catch(() => {})
    report({
      level: 'warn',
      code: 'FORK_PROVEN',
      agent,
      peer: signer,
      message: `${signer} ${as} two histories of ${agent}, as igor proofs shows`,
    })
    if (from !== undefined) return
    untold.add(key)
    void tell()
  }

  const compare: Forks['compare'] = async (mine, theirs) => {
    for (const proof of findForks(mine, theirs)) await keep(proof)
  }

  const close = network.subscribe(FORKS_TOPIC, (message, from) => {
    if (from === context.peer || message.length > MAX_PROOF_BYTES || !mayCheck(from)) return
    try {
      const proof = readForkProof(message)
      untold.delete(keys.fork(proof.signer, proof.agent))
      void keep(proof, from)
    } catch (error) {
      report({
        level: 'warn',
        code: 'PROTOCOL_VIOLATION',
        peer: from,
        message: `no proof: ${String(error)}`,
      })
    }
  })

  const convicts = (peer: string): boolean => peer !== context.peer && [...known.values()].includes(peer)

  return {
    convicts,
    check: (peer) => {
      if (convicts(peer))
        throw new IgorError('HANDOFF_REJECTED', `${peer} signed two histories of an agent, as igor proofs shows`)
    },
    compare,
    contradicts,
    shown: async (peer, mine, records) => {
      if (mayCheck(peer)) await compare(mine, { records })
    },
    greet: (peer) => {
      if (greeted.has(peer)) return
      if (greeted.size >= MAX_PEERS) greeted.clear()
      greeted.add(peer)
      for (const key of known.keys()) untold.add(key)
      void tell()
    },
    list: async () => {
      const proofs: Proof[] = []
      for (const [key, signer] of known) {
        const bytes = await store.get(key)
        if (bytes !== undefined) proofs.push({ signer, agent: key.slice(keys.fork(signer, '').length), bytes })
      }
      return proofs
    },
    close,
  }
}
