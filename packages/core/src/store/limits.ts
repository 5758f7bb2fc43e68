/**
 * What every `Store` holds its callers to, whatever it stands on.
 *
 * @module
 */
import { IgorError } from '../errors.ts'
import type { Batch } from '../platform.ts'

/** Longest key, in characters (all ASCII, so bytes too). */
export const MAX_KEY = 256
/** Largest value: a memory chunk is 4 KiB, a block 1 MiB, the largest host part of a state less than this. */
export const MAX_VALUE = 4 * 1024 * 1024
/** Largest batch: the 64 MiB of a full agent, twice. */
export const MAX_BATCH = 128 * 1024 * 1024
/** Most keys in one batch (put, remove and expect each): a full agent has 16,384 chunks. */
export const MAX_BATCH_KEYS = 100_000
/** Keys with this prefix are kept twice, apart from the rest (design section 6). */
export const VITAL_PREFIX = 'vital/'

/** Largest value of a vital key: they are all held in memory. */
export const MAX_VITAL = 64 * 1024

/** Printable ASCII, space to tilde. */
const PRINTABLE = /^[\x20-\x7e]*$/

/** @throws IgorError BAD_REQUEST */
export function checkKey(key: string): void {
  if (key.length === 0) throw bad('a key is empty')
  checkPrefix(key)
}

/** @throws IgorError BAD_REQUEST */
export function checkPrefix(prefix: string): void {
  if (prefix.length > MAX_KEY) throw bad(`a key has ${prefix.length} characters, at most ${MAX_KEY} are allowed`)
  if (!PRINTABLE.test(prefix)) throw bad(`the key ${JSON.stringify(prefix)} is not printable ASCII`)
}

/**
 * Checks a batch before anything is written.
 *
 * @returns the bytes of its keys and values
 * @throws IgorError BAD_REQUEST
 */
export function checkBatch(batch: Batch): number {
  const { put = [], remove = [], expect = [] } = batch
  const most = Math.max(put.length, remove.length, expect.length)
  if (most > MAX_BATCH_KEYS) throw bad(`a batch has ${most} keys, at most ${MAX_BATCH_KEYS} are allowed`)
  let bytes = 0
  for (const [key, value] of put) {
    checkKey(key)
    checkValue(key, value)
    bytes += key.length + value.length
  }
  for (const key of remove) {
    checkKey(key)
    bytes += key.length
  }
  for (const [key, value] of expect) {
    checkKey(key)
    if (value !== undefined) checkValue(key, value)
  }
  if (bytes > MAX_BATCH) throw bad(`a batch has ${bytes} bytes, at most ${MAX_BATCH} are allowed`)
  return bytes
}

function checkValue(key: string, value: Uint8Array): void {
  if (!(value instanceof Uint8Array)) throw bad(`the value of ${key} is not a Uint8Array`)
  const most = key.startsWith(VITAL_PREFIX) ? MAX_VITAL : MAX_VALUE
  if (value.length > most) throw bad(`the value of ${key} has ${value.length} bytes, at most ${most} are allowed`)
}

function bad(what: string): IgorError {
  return new IgorError('BAD_REQUEST', `the store refuses this: ${what}`)
}
