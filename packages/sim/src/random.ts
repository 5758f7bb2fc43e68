/**
 * Chance from a seed. A stream can be forked by a name, so that more draws in one place change nothing in another.
 *
 * @module
 */

export interface Random {
  /** From 0 to 1, without 1. */
  next(): number
  /** A whole number below `n`. */
  below(n: number): number
  chance(probability: number): boolean
  between(least: number, most: number): number
  /** Even over orders of magnitude: from 1 ms to 1 h as often below a second as above. */
  scaled(least: number, most: number): number
  pick<T>(items: readonly T[]): T
  bytes(length: number): Uint8Array
  fork(name: string): Random
}

/** FNV-1a over the name's characters, from a start that is a number of its own. */
const hashOf = (name: string, start: number): number => {
  let h = (0x811c9dc5 ^ start) >>> 0
  for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193) >>> 0
  return h
}

/** sfc32, from PractRand by Chris Doty-Humphrey. */
const sfc32 = (a: number, b: number, c: number): (() => number) => {
  let d = 1
  const next = (): number => {
    const t = (((a + b) | 0) + d) | 0
    d = (d + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (c << 21) | (c >>> 11)
    c = (c + t) | 0
    return t >>> 0
  }
  for (let i = 0; i < 12; i++) next()
  return next
}

/** @param seed a whole number from 0 to 2^53 */
export const createRandom = (seed: number, name = ''): Random => {
  const low = seed >>> 0
  const high = Math.floor(seed / 2 ** 32) >>> 0
  const u32 = sfc32(hashOf(name, low), hashOf(name, high ^ 0x9e3779b9), (low ^ Math.imul(high, 0x85ebca6b)) | 0)
  const next = (): number => u32() / 2 ** 32
  const random: Random = {
    next,
    below: (n) => Math.floor(next() * n),
    chance: (probability) => next() < probability,
    between: (least, most) => least + next() * (most - least),
    scaled: (least, most) => least * (most / least) ** next(),
    pick: (items) => {
      const item = items[Math.floor(next() * items.length)]
      if (item === undefined && items.length === 0) throw new Error('nothing to pick from')
      return item as (typeof items)[number]
    },
    bytes: (length) => {
      const bytes = new Uint8Array(length)
      for (let i = 0; i < length; i += 4) {
        const word = u32()
        for (let j = i; j < Math.min(i + 4, length); j++) bytes[j] = word >>> (8 * (j - i))
      }
      return bytes
    },
    fork: (child) => createRandom(seed, `${name}/${child}`),
  }
  return random
}
