/**
 * Vital values: two copies, each sealed with a checksum, written in one transaction.
 *
 * Format of a copy: SHA-256 of (key as ASCII, a zero byte, value), 32 bytes, then the value. The key
 * is in it so that a value cannot stand under another's name.
 *
 * @module
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { sameBytes } from './bytes.ts'

const DIGEST = 32

export type Vital =
  | { readonly state: 'absent'; readonly value: undefined }
  | { readonly state: 'damaged' }
  /** `once`: the other copy is lost or damaged. */
  | { readonly state: 'twice' | 'once'; readonly value: Uint8Array; readonly sealed: Uint8Array }

/** The checksum is made here and not by WebCrypto: a transaction would end while one waits for that. */
export function sealVital(key: string, value: Uint8Array): Uint8Array {
  const sealed = new Uint8Array(DIGEST + value.length)
  sealed.set(digest(key, value))
  sealed.set(value, DIGEST)
  return sealed
}

/** What two copies, as they were found, say together. */
export function readVital(key: string, first: unknown, second: unknown): Vital {
  if (first === undefined && second === undefined) return { state: 'absent', value: undefined }
  const intact = [first, second].filter((copy) => isIntact(key, copy))
  const [sealed, other] = intact
  // Two intact copies that differ cannot come from a crash, since one transaction writes both.
  if (sealed === undefined || (other !== undefined && !sameBytes(sealed, other))) return { state: 'damaged' }
  return { state: other === undefined ? 'once' : 'twice', value: sealed.slice(DIGEST), sealed }
}

function isIntact(key: string, copy: unknown): copy is Uint8Array {
  if (!(copy instanceof Uint8Array) || copy.length < DIGEST) return false
  return sameBytes(copy.subarray(0, DIGEST), digest(key, copy.subarray(DIGEST)))
}

function digest(key: string, value: Uint8Array): Uint8Array {
  return sha256
    .create()
    .update(new TextEncoder().encode(`${key}\0`))
    .update(value)
    .digest()
}
