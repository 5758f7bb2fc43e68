/**
 * `POST /release`: the last words of a page that is being closed, for the agents that live in it (design section 6).
 *
 * @module
 */
import type { IncomingMessage } from 'node:http'
import { MAX_LAST_WORDS, readLastWords } from '@igor/core'
import { messageOf } from '../failure.ts'

export const RELEASE_PATH = '/release'
/** Each takes some signatures to check; pages close one at a time. */
const MAX_AT_ONCE = 16

let atOnce = 0

/** @returns what to answer; a page that is gone does not read it */
export async function takeLastWords(
  request: IncomingMessage,
  release: (words: Uint8Array) => Promise<boolean>,
): Promise<{ status: number; text: string }> {
  if (atOnce >= MAX_AT_ONCE) return { status: 429, text: 'too many pages close at once\n' }
  atOnce++
  try {
    const body = await readBody(request)
    if (body === undefined) return { status: 413, text: `at most ${MAX_LAST_WORDS} bytes\n` }
    let taken = 0
    for (const words of readLastWords(body)) if (await release(words)) taken++
    return { status: 200, text: `${taken} taken\n` }
  } catch (error) {
    return { status: 400, text: `${messageOf(error)}\n` }
  } finally {
    atOnce--
  }
}

/** @returns undefined when it is larger than it may be */
async function readBody(request: IncomingMessage): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Uint8Array>) {
    size += chunk.length
    if (size > MAX_LAST_WORDS) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
