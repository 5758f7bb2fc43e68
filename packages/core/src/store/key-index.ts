/** Where a value stands in the main log. */
export interface Place {
  readonly offset: number
  readonly length: number
  readonly crc: number
  /** The value itself: of vital keys, which are read from three places at opening. */
  readonly held?: Uint8Array
  /** It is not known what the value is. */
  readonly bad?: true
}

/** The keys in memory, in drawers by what stands up to the last slash, so that most lists look at few. */
export interface KeyIndex {
  readonly size: number
  get(key: string): Place | undefined
  set(key: string, place: Place): void
  delete(key: string): void
  /** In order. */
  list(prefix: string): string[]
  entries(): IterableIterator<readonly [string, Place]>
}

export function makeKeyIndex(): KeyIndex {
  const drawers = new Map<string, Map<string, Place>>()
  let size = 0
  return {
    get size() {
      return size
    },
    get: (key) => drawers.get(drawerOf(key))?.get(key),
    set(key, place) {
      const name = drawerOf(key)
      const drawer = drawers.get(name) ?? new Map<string, Place>()
      drawers.set(name, drawer)
      if (!drawer.has(key)) size++
      drawer.set(key, place)
    },
    delete(key) {
      const name = drawerOf(key)
      const drawer = drawers.get(name)
      if (drawer?.delete(key) !== true) return
      size--
      if (drawer.size === 0) drawers.delete(name)
    },
    list(prefix) {
      const keys: string[] = []
      for (const [name, drawer] of drawers) {
        if (name.startsWith(prefix)) for (const key of drawer.keys()) keys.push(key)
        else if (name === drawerOf(prefix)) for (const key of drawer.keys()) if (key.startsWith(prefix)) keys.push(key)
      }
      return keys.sort()
    },
    *entries() {
      for (const drawer of drawers.values()) yield* drawer
    },
  }
}

function drawerOf(key: string): string {
  return key.slice(0, key.lastIndexOf('/') + 1)
}
