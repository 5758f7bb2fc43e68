/**
 * The host's part of a state: what the runtime must carry beside memory and globals
 * (docs/design.md, section 4).
 *
 * @module
 */
import { decode, encode } from '@ipld/dag-cbor'
import { IgorError } from '../errors.ts'

export interface HostPart {
  readonly kv: readonly (readonly [key: Uint8Array, value: Uint8Array])[]
  readonly tick: number
  /** Time of the last tick, Unix ns. */
  readonly time: bigint
  /** Ticks that failed in a row. */
  readonly failures: number
  /** Why it rests, after too many failures. */
  readonly faulted: string | null
  readonly paused: boolean
  /** n of the last order applied. */
  readonly lastOrder: number
  /** Messages not yet taken, oldest first. */
  readonly inbox: readonly Uint8Array[]
  /** Ids of the latest messages let in, 16 bytes each, oldest first. */
  readonly seen: Uint8Array
}

export const ID_BYTES = 16
/** Messages that wait at a time: more means that the agent does not keep up. */
export const MAX_INBOX = 64
/** Bytes that wait at a time; together with kv and `seen` a host part stays within one block. */
export const MAX_INBOX_BYTES = 256 * 1024
export const MAX_MESSAGE_BYTES = 64 * 1024
/** A sender repeats a message within minutes; 256 later ones from others may come between. */
export const MAX_SEEN = 256

export const emptyHostPart: HostPart = {
  kv: [],
  tick: 0,
  time: 0n,
  failures: 0,
  faulted: null,
  paused: false,
  lastOrder: 0,
  inbox: [],
  seen: new Uint8Array(),
}

export const encodeHostPart = (part: HostPart): Uint8Array => encode({ v: 1, ...part })

const isBytes = (value: unknown): value is Uint8Array => value instanceof Uint8Array
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
const isPair = (value: unknown): boolean => Array.isArray(value) && value.length === 2 && value.every(isBytes)

/** @throws IgorError BAD_FILE: it may come from another node or a file */
export const decodeHostPart = (bytes: Uint8Array): HostPart => {
  const bad = (what: string): never => {
    throw new IgorError('BAD_FILE', `the host's part of the state is not valid: ${what}`)
  }
  let value: Record<string, unknown>
  try {
    value = decode<Record<string, unknown>>(bytes)
  } catch (cause) {
    throw new IgorError('BAD_FILE', "the host's part of the state is not dag-cbor", { cause })
  }
  if (value === null || typeof value !== 'object' || value.v !== 1) return bad('version')
  const { kv, tick, failures, faulted, paused, lastOrder, inbox, seen } = value
  const time = isCount(value.time) ? BigInt(value.time) : value.time
  if (!Array.isArray(kv) || !kv.every(isPair)) return bad('kv')
  if (!isCount(tick)) return bad('tick')
  if (typeof time !== 'bigint' || time < 0n) return bad('time')
  if (!isCount(failures)) return bad('failures')
  if (faulted !== null && (typeof faulted !== 'string' || faulted.length > 1024)) return bad('faulted')
  if (typeof paused !== 'boolean') return bad('paused')
  if (!isCount(lastOrder)) return bad('lastOrder')
  if (!Array.isArray(inbox) || inbox.length > MAX_INBOX || !inbox.every((m) => isBytes(m) && m.length <= MAX_MESSAGE_BYTES))
    return bad('inbox')
  if (!isBytes(seen) || seen.length % ID_BYTES !== 0 || seen.length > MAX_SEEN * ID_BYTES) return bad('seen')
  return { kv: kv as HostPart['kv'], tick, time, failures, faulted, paused, lastOrder, inbox: inbox as Uint8Array[], seen }
}
