/**
 * The agent's small key-value store: part of its state, whole in the host's part of it.
 *
 * @module
 */

export const MAX_KV_KEY = 256
export const MAX_KV_VALUE = 64 * 1024
/** Keys and values together. With a full inbox the host's part still fits into one block of 1 MiB. */
export const MAX_KV_BYTES = 256 * 1024
/** Each entry costs some bytes beside its own. */
export const MAX_KV_ENTRIES = 1024

export type KvEntry = readonly [key: Uint8Array, value: Uint8Array]

/** A kv at a tick boundary; never changed in place. */
export interface Kv {
  readonly entries: ReadonlyMap<string, KvEntry>
  readonly bytes: number
}

/** A kv that a job works on. The boundary below stays as it is until the job has settled. */
export interface KvDraft {
  get(key: Uint8Array): Uint8Array | undefined
  /** False when it would be over a limit of the whole. */
  put(key: Uint8Array, value: Uint8Array): boolean
  /** False when there was none. */
  remove(key: Uint8Array): boolean
  /** The kv as it is now; the very `base` if nothing was written. */
  settle(): Kv
}

// One character a byte: a key of at most 256 bytes, as a Map can compare it.
const nameOf = (key: Uint8Array): string => Reflect.apply(String.fromCharCode, undefined, key)

export const emptyKv: Kv = { entries: new Map(), bytes: 0 }

/** @returns undefined when the entries break a limit or are out of order, as no honest host writes them */
export const kvOf = (list: readonly KvEntry[]): Kv | undefined => {
  const entries = new Map<string, KvEntry>()
  let bytes = 0
  let last: string | undefined
  for (const entry of list) {
    const [key, value] = entry
    if (key.length === 0 || key.length > MAX_KV_KEY || value.length > MAX_KV_VALUE) return undefined
    const name = nameOf(key)
    if (last !== undefined && name <= last) return undefined
    last = name
    entries.set(name, entry)
    bytes += key.length + value.length
  }
  return entries.size > MAX_KV_ENTRIES || bytes > MAX_KV_BYTES ? undefined : { entries, bytes }
}

/** In the order of the keys' bytes: one kv has one encoding, whatever was written first. */
export const kvEntries = (kv: Kv): readonly KvEntry[] =>
  [...kv.entries].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry)

export const draftKv = (base: Kv): KvDraft => {
  let own: Map<string, KvEntry> | undefined
  let bytes = base.bytes
  const write = (): Map<string, KvEntry> => {
    own ??= new Map(base.entries)
    return own
  }
  const sizeOf = (entry: KvEntry | undefined): number => (entry === undefined ? 0 : entry[0].length + entry[1].length)
  return {
    get: (key) => (own ?? base.entries).get(nameOf(key))?.[1],
    put: (key, value) => {
      const name = nameOf(key)
      const current = own ?? base.entries
      const old = current.get(name)
      const after = bytes - sizeOf(old) + key.length + value.length
      if (after > MAX_KV_BYTES || (old === undefined && current.size >= MAX_KV_ENTRIES)) return false
      write().set(name, [key.slice(), value.slice()])
      bytes = after
      return true
    },
    remove: (key) => {
      const name = nameOf(key)
      const old = (own ?? base.entries).get(name)
      if (old === undefined) return false
      write().delete(name)
      bytes -= sizeOf(old)
      return true
    },
    settle: () => (own === undefined ? base : { entries: own, bytes }),
  }
}
