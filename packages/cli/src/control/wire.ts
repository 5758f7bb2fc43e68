/**
 * Values between a command and the node it talks to: one line of JSON, then the bytes it names, in order. `Uint8Array` and
 * bigint survive the way; modules and files do not grow by base64.
 *
 * @module
 */

/** An agent's file is at most this long: 64 MiB of memory, its module and its records. */
export const MAX_MESSAGE_BYTES = 256 * 1024 * 1024
/** The JSON part: lists of some thousand agents. */
export const MAX_JSON_BYTES = 16 * 1024 * 1024

const NEWLINE = 10

/** @returns the parts of the message, to be written one after the other */
export function encodeMessage(value: unknown): Uint8Array[] {
  const attachments: Uint8Array[] = []
  const json = JSON.stringify(
    tag(value, (bytes) => {
      attachments.push(bytes)
      return { $bytes: bytes.length }
    }),
  )
  return [Buffer.from(`${json}\n`), ...attachments]
}

/** @throws Error when the message is not one that `encodeMessage` made */
export function decodeMessage(message: Uint8Array): unknown {
  const end = message.indexOf(NEWLINE)
  if (end < 0 || end > MAX_JSON_BYTES) throw new Error('not a control message')
  let offset = end + 1
  const value: unknown = JSON.parse(Buffer.from(message.buffer, message.byteOffset, end).toString('utf8'))
  const decoded = untag(value, (mark) => {
    if (!isLength(mark.$bytes) || offset + mark.$bytes > message.length) throw new Error('a control message was cut')
    offset += mark.$bytes
    // A copy, and no Buffer, whose `slice` is another one.
    return new Uint8Array(message.subarray(offset - mark.$bytes, offset))
  })
  if (offset !== message.length) throw new Error('a control message has bytes that belong to nothing')
  return decoded
}

/** One item of a stream, as a line; bytes as base64, for they are small. */
export function encodeLine(value: unknown): string {
  return `${JSON.stringify(tag(value, (bytes) => ({ $bytes: Buffer.from(bytes).toString('base64') })))}\n`
}

export function decodeLine(line: string): unknown {
  return untag(JSON.parse(line), (mark) => {
    if (typeof mark.$bytes !== 'string') throw new Error('not a line of a control stream')
    return new Uint8Array(Buffer.from(mark.$bytes, 'base64'))
  })
}

function isLength(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function tag(value: unknown, bytes: (bytes: Uint8Array) => object): unknown {
  if (typeof value === 'bigint') return { $int: value.toString() }
  if (value instanceof Uint8Array) return bytes(value)
  if (Array.isArray(value)) return value.map((item) => tag(item, bytes))
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, tag(item, bytes)]))
  }
  return value
}

function untag(value: unknown, bytes: (mark: { $bytes: unknown }) => Uint8Array): unknown {
  if (Array.isArray(value)) return value.map((item) => untag(item, bytes))
  if (typeof value !== 'object' || value === null) return value
  if ('$bytes' in value) return bytes(value)
  if ('$int' in value && typeof value.$int === 'string') return BigInt(value.$int)
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, untag(item, bytes)]))
}
