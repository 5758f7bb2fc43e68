/**
 * Reading what a damaged store still has. A value that names itself by its hash can be trusted wherever
 * it was found (docs/design.md, section 6).
 *
 * @module
 */
import { StoreDamagedError } from '../errors.ts'
import type { Store } from '../platform.ts'

export interface Rescue {
  /** The value; on a damaged store the one that may be out of date, then in `doubtful`; undefined: absent or lost. */
  get(key: string): Promise<Uint8Array | undefined>
  /** What was read and has to be written again, once its hash has been checked. */
  readonly doubtful: ReadonlyMap<string, Uint8Array>
  /** True when a value could not be read at all. */
  readonly lossy: boolean
}

export const createRescue = (store: Store): Rescue => {
  const doubtful = new Map<string, Uint8Array>()
  let lossy = false
  return {
    get: async (key) => {
      try {
        return await store.get(key)
      } catch (error) {
        if (!(error instanceof StoreDamagedError)) throw error
        if (error.older === undefined) lossy = true
        else doubtful.set(key, error.older)
        return error.older
      }
    },
    doubtful,
    get lossy() {
      return lossy
    },
  }
}
