/** A place that outlives what is opened in it: a folder, a database, a piece of memory. */
export interface Fixture<T> {
  /** Opens it; again after `close`, with what was there before. */
  open(): Promise<T>
  /** Removes the place, once everything opened in it is closed. */
  clean(): Promise<void>
}

/** Bytes that look random and are the same every time (xorshift32). */
export function noise(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length)
  let x = seed * 2654435761 || 1
  for (let i = 0; i < length; i++) {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    bytes[i] = x
  }
  return bytes
}

/** Text as UTF-8. */
export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** A fresh 0..255 in order. */
export function everyByte(): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, i) => i)
}
