/**
 * Several last words in one body, as a page that is being closed posts them to its server: dag-cbor, a
 * list of byte strings.
 *
 * @module
 */
import { decode, encode } from '@ipld/dag-cbor'
import type { LastWords } from '../api.ts'
import { IgorError } from '../errors.ts'

/** `navigator.sendBeacon` carries 64 KiB for all of a page's beacons together; words are at most 512 bytes each. */
export const MAX_LAST_WORDS = 60 * 1024
const MAX_WORD = 512
const MAX_WORDS = 256

/** Those that fit: an agent whose word does not go along waits for its lease to end. */
export const packLastWords = (words: readonly LastWords[]): Uint8Array => {
  let size = 4
  const fitting = words.slice(0, MAX_WORDS).filter(({ bytes }) => {
    size += bytes.length + 3
    return size <= MAX_LAST_WORDS
  })
  return encode(fitting.map(({ bytes }) => bytes))
}

/** @throws IgorError BAD_MESSAGE */
export const readLastWords = (body: Uint8Array): readonly Uint8Array[] => {
  const bad = (why: string, cause?: unknown): IgorError => new IgorError('BAD_MESSAGE', `last words: ${why}`, { cause })
  if (body.length > MAX_LAST_WORDS) throw bad(`at most ${MAX_LAST_WORDS} bytes`)
  let list: unknown
  try {
    list = decode(body)
  } catch (error) {
    throw bad('not dag-cbor', error)
  }
  if (!Array.isArray(list) || list.length > MAX_WORDS) throw bad(`a list of at most ${MAX_WORDS}`)
  for (const word of list) {
    if (!(word instanceof Uint8Array) || word.length === 0 || word.length > MAX_WORD) throw bad(`each 1 to ${MAX_WORD} bytes`)
  }
  return list as Uint8Array[]
}
