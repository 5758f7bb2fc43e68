/**
 * Signatures that cost a hash, in place of `@noble/curves/ed25519.js` where many seeds are run: what is signed is
 * bound to its key, and who has not got the seed cannot sign. A key that was never made here verifies nothing.
 *
 * @module
 */
import { sha256 } from '@noble/hashes/sha2.js'

const seeds = new Map<string, Uint8Array>()
const publics = new Map<string, Uint8Array>()
/** Keys remembered: more than any run makes. They are functions of their seeds alone. */
const MAX_KEYS = 100_000

const nameOf = (bytes: Uint8Array): string => String.fromCharCode(...bytes)

const hash = (...parts: readonly Uint8Array[]): Uint8Array => {
  const state = sha256.create()
  for (const part of parts) state.update(part)
  return state.digest()
}

const LABEL = new TextEncoder().encode('igor/sim/key')

const getPublicKey = (seed: Uint8Array): Uint8Array => {
  const known = publics.get(nameOf(seed))
  if (known !== undefined) return known.slice()
  const key = hash(LABEL, seed)
  if (seeds.size > MAX_KEYS) {
    seeds.clear()
    publics.clear()
  }
  seeds.set(nameOf(key), seed.slice())
  publics.set(nameOf(seed), key)
  return key.slice()
}

const sign = (message: Uint8Array, seed: Uint8Array): Uint8Array => {
  getPublicKey(seed)
  const signature = new Uint8Array(64)
  signature.set(hash(seed, message))
  signature.set(signature.subarray(0, 32), 32)
  return signature
}

const verify = (signature: Uint8Array, message: Uint8Array, key: Uint8Array): boolean => {
  const seed = seeds.get(nameOf(key))
  if (seed === undefined || signature.length !== 64) return false
  const right = sign(message, seed)
  return right.every((byte, i) => byte === signature[i])
}

export const ed25519 = { getPublicKey, sign, verify }
