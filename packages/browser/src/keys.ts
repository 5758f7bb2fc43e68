/**
 * How the store's keys lie in IndexedDB.
 *
 * @module
 */
import { VITAL_PREFIX } from '@igor/core'

/** The first character above those that a key may have: every key with a prefix sorts below prefix + this. */
const ABOVE = '\x7f'

/** Vital keys are kept twice, with checksums. */
export function isVital(key: string): boolean {
  return key.startsWith(VITAL_PREFIX)
}

/** Whether some key with this prefix may be vital. */
export function mayBeVital(prefix: string): boolean {
  return isVital(prefix) || VITAL_PREFIX.startsWith(prefix)
}

/** All keys that begin with the prefix. */
export function prefixRange(prefix: string): IDBKeyRange {
  return IDBKeyRange.bound(prefix, prefix + ABOVE, false, true)
}
