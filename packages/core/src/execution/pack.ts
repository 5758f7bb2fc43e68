/**
 * What is posted to a thread is copied by the platform with the whole buffer that it is a view of: bytes
 * are put into a buffer of their own first.
 *
 * @module
 */
import type { Attempt, Image, ImagePatch } from '../worker/protocol.ts'

export interface Packed<T> {
  readonly value: T
  readonly transfer: readonly ArrayBuffer[]
}

// Not slice(): that of a Node.js Buffer copies nothing.
const own = (bytes: Uint8Array): Uint8Array => (bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes))

/**
 * Puts the chunks into one buffer, which is given away: the caller's stay as they are. Field by field:
 * whatever else the caller's object carries may not be cloneable.
 */
export const packImage = <T extends Image | ImagePatch>(image: T): Packed<Pick<T, keyof Image>> => {
  const all = new Uint8Array(image.chunks.reduce((sum, [, bytes]) => sum + (bytes?.length ?? 0), 0))
  let at = 0
  const chunks = image.chunks.map(([index, bytes]) => {
    if (bytes === null) return [index, null] as const
    const copy = all.subarray(at, at + bytes.length)
    copy.set(bytes)
    at += bytes.length
    return [index, copy] as const
  })
  const kv = image.kv.map(([key, value]) => [own(key), own(value)] as const)
  const { memoryBytes, globals } = image
  return { value: { memoryBytes, chunks, kv, globals: globals.map(own) }, transfer: [all.buffer] }
}

export const packAttempt = ({ tick, time, root, messages, limit, price, balance, receipts }: Attempt): Attempt => ({
  tick,
  time,
  root: own(root),
  messages: messages.map(own),
  limit,
  price,
  balance,
  receipts: receipts.map(own),
})

export const packBytes = own
