/**
 * Memories in chunks: which differ, which are zero.
 *
 * @module
 */

/** Unit of a snapshot, bytes; 16 to a WebAssembly page. */
export const CHUNK_BYTES = 4096

const WORDS = CHUNK_BYTES / 4

/** A view of whole words, if the bytes are aligned for one. */
function words(bytes: Uint8Array): Int32Array | undefined {
  if (bytes.byteOffset % 4 !== 0) return undefined
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2)
}

function wordsDiffer(a: Int32Array, b: Int32Array, start: number, from = start): boolean {
  // Eight at a time without a branch: four times as fast as one by one.
  for (let i = start, k = from; i < start + WORDS; i += 8, k += 8) {
    const difference =
      ((a[k] as number) ^ (b[i] as number)) |
      ((a[k + 1] as number) ^ (b[i + 1] as number)) |
      ((a[k + 2] as number) ^ (b[i + 2] as number)) |
      ((a[k + 3] as number) ^ (b[i + 3] as number)) |
      ((a[k + 4] as number) ^ (b[i + 4] as number)) |
      ((a[k + 5] as number) ^ (b[i + 5] as number)) |
      ((a[k + 6] as number) ^ (b[i + 6] as number)) |
      ((a[k + 7] as number) ^ (b[i + 7] as number))
    if (difference !== 0) return true
  }
  return false
}

function bytesDiffer(a: Uint8Array, b: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if ((a[i] ?? 0) !== b[i]) return true
  return false
}

/**
 * Indexes of the chunks of `now` that differ from `base`, ascending. The lengths may differ: beyond its end
 * `base` counts as zeros; chunks beyond the end of `now` are not listed.
 */
export function changedChunks(base: Uint8Array, now: Uint8Array): number[] {
  const changed: number[] = []
  const a = words(base)
  const b = words(now)
  const whole = a === undefined || b === undefined ? 0 : Math.floor(Math.min(base.length, now.length) / CHUNK_BYTES)
  if (a !== undefined && b !== undefined) {
    for (let chunk = 0; chunk < whole; chunk++) if (wordsDiffer(a, b, chunk * WORDS)) changed.push(chunk)
  }
  for (let chunk = whole; chunk * CHUNK_BYTES < now.length; chunk++) {
    const start = chunk * CHUNK_BYTES
    const end = Math.min(start + CHUNK_BYTES, now.length)
    const differs = start >= base.length ? !isZero(now.subarray(start, end)) : bytesDiffer(base, now, start, end)
    if (differs) changed.push(chunk)
  }
  return changed
}

const ZEROS = new Int32Array(WORDS)

/**
 * The same where most of the base is zero: it is kept by its other chunks.
 *
 * @param base chunks of `CHUNK_BYTES` by their indexes; the others count as zeros
 * @param now aligned to words, a multiple of `CHUNK_BYTES` long
 */
export function chunksChangedSince(base: ReadonlyMap<number, Uint8Array>, now: Uint8Array): number[] {
  const changed: number[] = []
  const view = words(now)
  for (let chunk = 0; chunk * CHUNK_BYTES < now.length; chunk++) {
    const before = base.get(chunk)
    const same = before === undefined ? ZEROS : words(before)
    const start = chunk * CHUNK_BYTES
    const differs =
      view === undefined || same === undefined
        ? bytesDiffer(before ?? new Uint8Array(CHUNK_BYTES), now.subarray(start, start + CHUNK_BYTES), 0, CHUNK_BYTES)
        : wordsDiffer(same, view, chunk * WORDS, 0)
    if (differs) changed.push(chunk)
  }
  return changed
}

/** Whether all bytes are zero. */
export function isZero(chunk: Uint8Array): boolean {
  const view = words(chunk)
  let at = 0
  if (view !== undefined) {
    for (const end = view.length & ~7; at < end; at += 8) {
      const any =
        (view[at] as number) |
        (view[at + 1] as number) |
        (view[at + 2] as number) |
        (view[at + 3] as number) |
        (view[at + 4] as number) |
        (view[at + 5] as number) |
        (view[at + 6] as number) |
        (view[at + 7] as number)
      if (any !== 0) return false
    }
  }
  for (let i = at * 4; i < chunk.length; i++) if (chunk[i] !== 0) return false
  return true
}
