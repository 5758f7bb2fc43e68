/** What the tests of this folder share: random batches, what they should leave, and looking at a store. */
import * as fc from 'fast-check'
import { StoreDamagedError } from '../errors.ts'
import type { Batch, Store } from '../platform.ts'

export type Content = ReadonlyMap<string, Uint8Array>

/** Few keys, so that they are often written again. */
const KEYS = ['vital/a', 'vital/b', 'block/1', 'block/2', 'block/3', 'x']

const keyOf = fc.constantFrom(...KEYS)
const bytesOf = fc.uint8Array({ maxLength: 40 })
/** Some batches that are not durable, some with a value that takes several pages. */
const batchOf: fc.Arbitrary<Batch> = fc.record({
  put: fc.array(
    fc.tuple(
      keyOf,
      fc.oneof({ weight: 6, arbitrary: bytesOf }, { weight: 1, arbitrary: fc.uint8Array({ minLength: 300, maxLength: 600 }) }),
    ),
    {
      maxLength: 3,
    },
  ),
  remove: fc.array(keyOf, { maxLength: 2 }),
  durable: fc.boolean(),
})
/** Batches that are committed at the same time. */
export const wavesOf: fc.Arbitrary<Batch[][]> = fc.array(fc.array(batchOf, { minLength: 1, maxLength: 3 }), {
  minLength: 2,
  maxLength: 6,
})

/** What the store holds after none, one, two … of the batches. */
export function statesOf(batches: readonly Batch[]): Content[] {
  const states: Map<string, Uint8Array>[] = [new Map()]
  for (const { put = [], remove = [] } of batches) {
    const next = new Map(states.at(-1))
    for (const key of remove) next.delete(key)
    for (const [key, value] of put) next.set(key, value)
    states.push(next)
  }
  return states
}

/** Everything that a store holds. */
export async function contentOf(store: Store): Promise<Content> {
  const content = new Map<string, Uint8Array>()
  for (const key of await store.list('')) {
    const value = await store.get(key)
    if (value === undefined) throw new Error(`${key} is listed, and is not there`)
    content.set(key, value)
  }
  return content
}

export function sameContent(a: Content, b: Content): boolean {
  if (a.size !== b.size) return false
  for (const [key, value] of a) if (!sameValue(b.get(key), value)) return false
  return true
}

export function sameValue(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : a.length === b.length && a.every((byte, i) => byte === b[i])
}

/** What each of these keys reads as. */
export async function readings(
  store: Store,
  keys: Iterable<string> = KEYS,
): Promise<Map<string, Uint8Array | undefined | 'damaged'>> {
  const read = new Map<string, Uint8Array | undefined | 'damaged'>()
  for (const key of keys) {
    try {
      read.set(key, await store.get(key))
    } catch (error) {
      if (!(error instanceof StoreDamagedError)) throw error
      read.set(key, 'damaged')
    }
  }
  return read
}

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export function randomBytes(length: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(length))
}
