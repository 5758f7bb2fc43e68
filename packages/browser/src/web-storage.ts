/**
 * localStorage and sessionStorage as things that may be missing: a browser that blocks site data
 * throws already when they are named.
 *
 * @module
 */

export type Area = 'localStorage' | 'sessionStorage'

/** @returns undefined where there is no such item, or the area is blocked */
export function readItem(area: Area, key: string): string | undefined {
  try {
    return globalThis[area].getItem(key) ?? undefined
  } catch {
    return undefined
  }
}

/** Writes, or removes where `value` is undefined. @returns false where the area is blocked or full: then there is no such item */
export function writeItem(area: Area, key: string, value: string | undefined): boolean {
  try {
    const storage = globalThis[area]
    // First out with the old: it must not stand where the new one does not fit.
    storage.removeItem(key)
    if (value !== undefined) storage.setItem(key, value)
    return true
  } catch {
    return false
  }
}
