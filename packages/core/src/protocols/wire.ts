/**
 * Messages of the protocols: dag-cbor maps with a `type`, read field by field with limits.
 *
 * @module
 */
import { decode, encode } from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import { IgorError } from '../errors.ts'
import type { Channel, Clock } from '../platform.ts'

/** What may cross a relayed connection; larger things are blocks. */
export const MAX_MESSAGE = 64 * 1024

/** How long a peer that keeps its connection may take to answer a small question. */
export const ANSWER_MS = 15_000

export const violation = (peer: string, what: string): IgorError =>
  new IgorError('PROTOCOL_VIOLATION', `peer ${peer} broke the protocol: ${what}`)

/** Reads typed fields of a message, each with its limit. Throws IgorError PROTOCOL_VIOLATION. */
export interface Fields {
  readonly type: string
  text(name: string, max: number): string
  optionalText(name: string, max: number): string | undefined
  bytes(name: string, max: number, exact?: boolean): Uint8Array
  count(name: string, max?: number): number
  big(name: string): bigint
  flag(name: string): boolean
  cid(name: string): CID
  list<T>(name: string, max: number, read: (item: unknown, fail: (what: string) => never) => T): T[]
  has(name: string): boolean
}

export const fieldsOf = (peer: string, frame: Uint8Array): Fields => {
  const fail = (what: string): never => {
    throw violation(peer, what)
  }
  let value: Record<string, unknown>
  try {
    value = decode<Record<string, unknown>>(frame)
  } catch {
    return fail('a message is not dag-cbor')
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value) || typeof value.type !== 'string')
    return fail('a message has no type')
  const type = value.type.slice(0, 64)
  const wrong = (name: string): never => fail(`field ${name} of ${type} is missing, of another type, or too large`)
  const text = (name: string, max: number): string => {
    const field = value[name]
    return typeof field === 'string' && field.length <= max ? field : wrong(name)
  }
  return {
    type,
    text,
    optionalText: (name, max) => (value[name] === undefined || value[name] === null ? undefined : text(name, max)),
    bytes: (name, max, exact = false) => {
      const field = value[name]
      if (!(field instanceof Uint8Array) || field.length > max || (exact && field.length !== max)) return wrong(name)
      return field
    },
    count: (name, max = Number.MAX_SAFE_INTEGER) => {
      const field = value[name]
      return Number.isSafeInteger(field) && (field as number) >= 0 && (field as number) <= max ? (field as number) : wrong(name)
    },
    big: (name) => {
      const field = value[name]
      if (typeof field === 'bigint') return field
      return Number.isSafeInteger(field) ? BigInt(field as number) : wrong(name)
    },
    flag: (name) => (typeof value[name] === 'boolean' ? (value[name] as boolean) : wrong(name)),
    cid: (name) => CID.asCID(value[name]) ?? wrong(name),
    list: (name, max, read) => {
      const field = value[name]
      if (!Array.isArray(field) || field.length > max) return wrong(name)
      return field.map((item) => read(item, () => wrong(name)))
    },
    has: (name) => value[name] !== undefined && value[name] !== null,
  }
}

export type Message = { readonly type: string } & Readonly<Record<string, unknown>>

export const say = async (channel: Channel, message: Message, signal?: AbortSignal): Promise<void> =>
  channel.send(encode(message), signal)

/** A signal that fires after `ms`, or with `outer`; `clear` leaves no timer behind. */
export const deadline = (
  clock: Clock,
  ms: number,
  what: string,
  outer?: AbortSignal,
): { signal: AbortSignal; clear: () => void } => {
  const limit = new AbortController()
  const timer = new AbortController()
  const onouter = (): void => limit.abort(outer?.reason)
  if (outer?.aborted === true) limit.abort(outer.reason)
  outer?.addEventListener('abort', onouter)
  clock.sleep(ms, timer.signal).then(
    () => limit.abort(new IgorError('PEER_UNREACHABLE', `${what}: no answer within ${Math.round(ms / 1000)} s`)),
    () => {},
  )
  return {
    signal: limit.signal,
    clear: () => {
      timer.abort()
      outer?.removeEventListener('abort', onouter)
    },
  }
}

/** Waits for `task` no longer than `ms`. @param what names who is waited for */
export const inTime = async (
  clock: Clock,
  ms: number,
  what: string,
  task: Promise<unknown>,
  outer?: AbortSignal,
): Promise<void> => {
  const limit = deadline(clock, ms, what, outer)
  try {
    await Promise.race([
      task,
      new Promise<never>((_, reject) => {
        const onabort = (): void => reject(limit.signal.reason)
        if (limit.signal.aborted) onabort()
        limit.signal.addEventListener('abort', onabort, { once: true })
      }),
    ])
  } finally {
    limit.clear()
  }
}

export interface Hearing {
  readonly clock: Clock
  readonly ms?: number
  readonly signal?: AbortSignal
  /** Largest frame; default: a small message. */
  readonly max?: number
}

/** The next message, or undefined at the end. Throws when it is late, too large or malformed. */
export const hear = async (
  channel: Channel,
  { clock, ms = ANSWER_MS, signal, max = MAX_MESSAGE }: Hearing,
): Promise<Fields | undefined> => {
  const limit = deadline(clock, ms, `peer ${channel.peer}`, signal)
  try {
    const frame = await channel.receive(limit.signal)
    if (frame === undefined) return undefined
    if (frame.length > max) throw violation(channel.peer, `a message of ${frame.length} bytes, at most ${max} are allowed`)
    return fieldsOf(channel.peer, frame)
  } finally {
    limit.clear()
  }
}

/** Like `hear`, for when the other side owes an answer; turns its `error` message into an IgorError. */
export const hearAnswer = async (channel: Channel, hearing: Hearing): Promise<Fields> => {
  const answer = await hear(channel, hearing)
  if (answer === undefined) throw new IgorError('CHANNEL_FAILED', `peer ${channel.peer} closed the channel without an answer`)
  if (answer.type === 'error') throw readError(channel.peer, answer)
  return answer
}

const REMOTE_CODES = [
  'UNKNOWN_AGENT',
  'NOT_OWNER',
  'NOT_AUTHORITATIVE',
  'BAD_ORDER',
  'BAD_MESSAGE',
  'BAD_REQUEST',
  'QUOTA',
  'AGENT_HALTED',
  'HANDOFF_REJECTED',
  'VERSION_UNKNOWN',
  'HANDOFF_REFUSED',
  'HANDOFF_PENDING',
  'HANDOFF_FAILED',
  'PEER_UNREACHABLE',
  'UNKNOWN_PEER',
  'CAPABILITY_NOT_GRANTED',
  'STORE_FULL',
  'PROTOCOL_VIOLATION',
  'NODE_STOPPED',
  'LEASE_HELD',
  'WITNESS_UNREACHABLE',
] as const

/** What a peer said that went wrong there. */
export const readError = (peer: string, fields: Fields): IgorError => {
  const code = fields.text('code', 64)
  const known = REMOTE_CODES.find((one) => one === code)
  return new IgorError(known ?? 'HOST_FAULT', `${fields.text('message', 2048)}${known === undefined ? ` (peer ${peer})` : ''}`)
}

/** What a peer is told of a failure here: known errors as they are, others without inner detail. */
export const sayError = async (channel: Channel, error: unknown): Promise<void> => {
  const known = error instanceof IgorError
  await say(channel, {
    type: 'error',
    code: known ? error.code : 'HOST_FAULT',
    message: known ? error.message.slice(0, 1024) : 'the other node failed',
  })
}
