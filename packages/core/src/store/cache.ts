/** Largest value that is kept: rows and records, not chunks of memory. */
const MAX_CACHED = 2048
/** Bytes kept in all. */
const MAX_CACHE = 8 * 1024 * 1024

/** Values that were lately written or read. */
export interface Cache {
  get(key: string): Uint8Array | undefined
  set(key: string, value: Uint8Array): void
  delete(key: string): void
  clear(): void
}

export function makeCache(): Cache {
  // In order of use: a Map iterates in order of insertion.
  const values = new Map<string, Uint8Array>()
  let bytes = 0
  const drop = (key: string): Uint8Array | undefined => {
    const value = values.get(key)
    if (value !== undefined) {
      bytes -= value.length
      values.delete(key)
    }
    return value
  }
  return {
    get(key) {
      const value = drop(key)
      if (value === undefined) return undefined
      values.set(key, value)
      bytes += value.length
      return value
    },
    set(key, value) {
      drop(key)
      if (value.length > MAX_CACHED) return
      // A copy: the value may be a view of something large.
      values.set(key, value.slice())
      bytes += value.length
      for (const oldest of values.keys()) {
        if (bytes <= MAX_CACHE) break
        drop(oldest)
      }
    },
    delete(key) {
      drop(key)
    },
    clear() {
      values.clear()
      bytes = 0
    },
  }
}
