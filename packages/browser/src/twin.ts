/**
 * The twin of a store's incarnation (design section 6). IndexedDB may be restored without
 * localStorage, or the other way round: a twin that differs tells.
 *
 * @module
 */
import { readItem, writeItem } from './web-storage.ts'

/** Characters of a twin; an incarnation has at most 64 bytes. */
const MAX_TWIN = 128
const HEX = /^(?:[0-9a-f]{2})+$/

export interface IncarnationTwin {
  /** Undefined where there is none, it is not hex, or localStorage is blocked. */
  get(): string | undefined
  /**
   * Keeps it as far as the browser lets; a twin that could not be kept is absent.
   *
   * @throws RangeError if it is not 1 to 64 bytes in lower-case hex
   */
  set(hex: string): void
}

/**
 * @param slot of the node, see `claimSlot`
 * @param name of the store, where it is not the default
 */
export function incarnationTwin(slot: string, name = 'igor'): IncarnationTwin {
  const key = `igor/${name}/incarnation/${slot}`
  return {
    get: () => {
      const twin = readItem('localStorage', key)
      return twin !== undefined && isTwin(twin) ? twin : undefined
    },
    set: (hex) => {
      if (!isTwin(hex)) throw new RangeError(`an incarnation is 1 to ${MAX_TWIN / 2} bytes in lower-case hex`)
      writeItem('localStorage', key, hex)
    },
  }
}

function isTwin(text: string): boolean {
  return text.length <= MAX_TWIN && HEX.test(text)
}
