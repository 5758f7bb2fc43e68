/**
 * At most one running node writes for a slot of a store. A page that was frozen, or came out of the
 * back/forward cache, may believe that it still is that node after another has begun to act for the
 * slot: every batch of a node is written only while the store names its own start as the slot's last.
 *
 * @module
 */
import { ConflictError, IgorError } from '../errors.ts'
import { keys } from '../keys.ts'
import type { Crypto, Expectation, Store } from '../platform.ts'

const MARK_BYTES = 16

/**
 * Takes the slot: whatever else runs for it writes nothing from here on.
 *
 * @param onlost told once, when another start of the same slot has taken it: this node must end
 * @returns the store as this start may use it
 */
export const fenceStore = async (store: Store, crypto: Crypto, slot: string, onlost: () => void): Promise<Store> => {
  const key = keys.boot(slot)
  const mine: Expectation = [key, crypto.random(MARK_BYTES)]
  await store.commit({ put: [[key, mine[1] as Uint8Array]] })
  let lost = false
  return {
    get: (name) => store.get(name),
    list: (prefix) => store.list(prefix),
    commit: async (batch) => {
      try {
        await store.commit({ ...batch, expect: [...(batch.expect ?? []), mine] })
      } catch (error) {
        if (!(error instanceof ConflictError) || !error.keys.includes(key)) throw error
        if (!lost) onlost()
        lost = true
        throw new IgorError('NODE_REPLACED', `another start of this node (${slot}) has taken its place: this one ends`, {
          cause: error,
        })
      }
    },
    usage: () => store.usage(),
    get damaged() {
      return store.damaged
    },
    close: () => store.close(),
  }
}
