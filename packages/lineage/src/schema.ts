/**
 * Fixed schemas over canonical DAG-CBOR: exact fields, types and ranges, or refused. There is no
 * generic walking: every byte of what is read belongs to a field that is named here or in the files
 * that use this one.
 *
 * @module
 */
import { decode, encode } from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import { equalBytes, plainBytes } from './bytes.ts'
import { LineageError } from './errors.ts'
import { keyOfDid, keyOfPeerId } from './identity.ts'

/** Checks a value and gives it back in its type; throws LineageError that names `where`. */
export type Read<T> = (value: unknown, where: string) => T

const MAX_INT64 = 2n ** 63n - 1n
/** The last time that a `Date` can show, Unix ms. */
const MAX_TIME_MS = 8_640_000_000_000_000
export const RAW = 0x55
export const DAG_CBOR = 0x71
/** CIDv1, codec, sha2-256 (0x12) of 32 bytes: the only CIDs there are here. */
const CID_BYTES = 36

const refuse = (where: string, wanted: string): LineageError => new LineageError('BAD_FIELD', `${where} must be ${wanted}`)

const OPTIONAL = new WeakSet<object>()

/** A field that is left out where there is nothing to say: it has one spelling too. */
export function optional<T>(read: Read<T>): Read<T> {
  const left: Read<T> = (value, where) => read(value, where)
  OPTIONAL.add(left)
  return left
}

/** An object with exactly these fields. */
export function object<T extends object>(spec: { readonly [K in keyof T]-?: Read<T[K]> }): Read<T> {
  const keys = Object.keys(spec) as (keyof T & string)[]
  return (value, where) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refuse(where, 'an object')
    for (const key of Object.keys(value)) {
      if (!Object.hasOwn(spec, key)) throw refuse(where, `without the field ${JSON.stringify(key.slice(0, 64))}`)
    }
    const result: Partial<T> = {}
    for (const key of keys) {
      if (!Object.hasOwn(value, key) && OPTIONAL.has(spec[key])) continue
      if (!Object.hasOwn(value, key)) throw refuse(`${where}.${key}`, 'there')
      result[key] = spec[key]((value as T)[key], `${where}.${key}`)
    }
    return result as T
  }
}

/** One of several objects, told apart by their field `kind`. */
export function byKind<T extends { readonly kind: string }>(
  specs: {
    readonly [K in T['kind']]: Read<Extract<T, { readonly kind: K }>>
  },
): Read<T> {
  return (value, where) => {
    const kind = typeof value === 'object' && value !== null ? (value as { kind?: unknown }).kind : undefined
    if (typeof kind !== 'string' || !Object.hasOwn(specs, kind)) throw refuse(`${where}.kind`, 'a known kind')
    return (specs as Record<string, Read<T>>)[kind]?.(value, kind) as T
  }
}

export const literal =
  <const T extends string | number>(wanted: T): Read<T> =>
  (value, where) => {
    if (value !== wanted) throw refuse(where, JSON.stringify(wanted))
    return wanted
  }

export const oneOf =
  <const T extends string>(...wanted: readonly T[]): Read<T> =>
  (value, where) => {
    if (!wanted.includes(value as T)) throw refuse(where, `one of ${wanted.join(', ')}`)
    return value as T
  }

export const nullable =
  <T>(read: Read<T>): Read<T | null> =>
  (value, where) =>
    value === null ? null : read(value, where)

export const list =
  <T>(read: Read<T>, max: number): Read<readonly T[]> =>
  (value, where) => {
    if (!Array.isArray(value) || value.length > max) throw refuse(where, `a list of at most ${max}`)
    return value.map((item, index) => read(item, `${where}[${index}]`))
  }

export const integer =
  (min: number, max: number): Read<number> =>
  (value, where) => {
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max || Object.is(value, -0)) {
      throw refuse(where, `an integer from ${min} to ${max}`)
    }
    return value
  }

export const natural = integer(0, Number.MAX_SAFE_INTEGER)
/** Unix milliseconds. */
export const time = integer(0, MAX_TIME_MS)
export const uint32 = integer(0, 0xffff_ffff)

/** A non-negative i64 of the wire. */
export const int64: Read<bigint> = (value, where) => {
  const number = typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : value
  if (typeof number !== 'bigint' || number < 0n || number > MAX_INT64) throw refuse(where, 'an integer from 0 to 2^63 - 1')
  return number
}

export const bytes =
  (min: number, max = min): Read<Uint8Array> =>
  (value, where) => {
    if (!(value instanceof Uint8Array) || value.length < min || value.length > max) {
      throw refuse(where, min === max ? `${min} bytes` : `${min} to ${max} bytes`)
    }
    return value
  }

/** Text for people: well-formed Unicode, no control characters, at most `max` code points. */
export const text =
  (min: number, max: number): Read<string> =>
  (value, where) => {
    // Code units first: counting the code points of a huge string would cost its length.
    if (typeof value !== 'string' || value.length > 2 * max || !value.isWellFormed() || /\p{Cc}/u.test(value)) {
      throw refuse(where, `text of ${min} to ${max} characters without control characters`)
    }
    const length = [...value].length
    if (length < min || length > max) throw refuse(where, `text of ${min} to ${max} characters`)
    return value
  }

/** A word for programs: printable ASCII without spaces. */
export const word =
  (max: number): Read<string> =>
  (value, where) => {
    if (typeof value !== 'string' || value.length > max || !/^[\x21-\x7e]+$/.test(value)) {
      throw refuse(where, `1 to ${max} printable ASCII characters without spaces`)
    }
    return value
  }

export const did: Read<string> = (value, where) => {
  if (typeof value !== 'string') throw refuse(where, 'a did:key')
  keyOfDid(value)
  return value
}

export const peerId: Read<string> = (value, where) => {
  if (typeof value !== 'string') throw refuse(where, 'a peer id')
  keyOfPeerId(value)
  return value
}

/** A CIDv1 with sha2-256 and one of these codecs. */
export const cid =
  (...codecs: readonly number[]): Read<CID> =>
  (value, where) => {
    const known = value === null || typeof value !== 'object' ? null : CID.asCID(value)
    const b = known?.bytes
    if (known === null || b?.length !== CID_BYTES || b[0] !== 1 || !codecs.includes(b[1] ?? 0) || b[2] !== 0x12 || b[3] !== 32) {
      throw refuse(where, `a CIDv1 of sha2-256 with codec ${codecs.map((codec) => `0x${codec.toString(16)}`).join(' or ')}`)
    }
    return known
  }

/**
 * Encodes what `read` accepts.
 *
 * @throws LineageError BAD_FIELD | TOO_LARGE
 */
export function encodeAs<T>(read: Read<T>, value: T, where: string, maxBytes: number): Uint8Array {
  // A copy: in Node.js the codec answers with a piece of a shared pool.
  const encoded = new Uint8Array(encode(read(value, where)))
  if (encoded.length > maxBytes)
    throw new LineageError('TOO_LARGE', `${where} has ${encoded.length} bytes, at most ${maxBytes} are allowed`)
  return encoded
}

/**
 * Decodes what `encodeAs` gives, and only that: a second spelling of the same value is refused, so
 * that one value has one CID.
 *
 * @throws LineageError TOO_LARGE | BAD_ENCODING | BAD_FIELD (and BAD_DID, BAD_PEER_ID)
 */
export function decodeAs<T>(read: Read<T>, encoded: Uint8Array, where: string, maxBytes: number): T {
  if (!(encoded instanceof Uint8Array)) throw new LineageError('BAD_ENCODING', `${where} must be bytes`)
  if (encoded.length > maxBytes)
    throw new LineageError('TOO_LARGE', `${where} has ${encoded.length} bytes, at most ${maxBytes} are allowed`)
  let value: unknown
  try {
    value = decode(plainBytes(encoded))
  } catch (cause) {
    throw new LineageError('BAD_ENCODING', `${where} is not DAG-CBOR`, { cause })
  }
  const result = read(value, where)
  if (!equalBytes(encode(result), encoded)) throw new LineageError('BAD_ENCODING', `${where} is not canonical DAG-CBOR`)
  return result
}
