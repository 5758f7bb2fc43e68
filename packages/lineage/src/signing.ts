/**
 * One way to sign: Ed25519 over `utf8(domain) ++ 0x00 ++ body`, so that no signature for one purpose
 * serves another.
 *
 * @module
 */
import { ed25519 } from '@noble/curves/ed25519.js'
import { concatBytes, utf8Bytes } from './bytes.ts'
import { LineageError } from './errors.ts'
import { bytes, decodeAs, encodeAs, object } from './schema.ts'
import type { Signed } from './types.ts'

export const LINEAGE_DOMAIN = 'igor/lineage/1'
export const READY_DOMAIN = 'igor/ready/1'
export const ORDER_DOMAIN = 'igor/order/1'
export const COSIGN_DOMAIN = 'igor/cosign/1'

export const SIGNATURE_BYTES = 64
/** Default cap of an encoded `Signed`: the largest is a record. */
export const MAX_SIGNED_BYTES = 24 * 1024

/** Signs with a key that the caller holds; 64 bytes (RFC 8032). */
export type Sign = (message: Uint8Array) => Promise<Uint8Array>

const readSigned = object<Signed>({ body: bytes(1, MAX_SIGNED_BYTES), signature: bytes(SIGNATURE_BYTES) })

/** What is signed for a body under a domain. */
export function signedMessage(domain: string, body: Uint8Array): Uint8Array {
  return concatBytes(utf8Bytes(domain), Uint8Array.of(0), body)
}

/** @throws LineageError BAD_SIGNATURE when `sign` gives something else than 64 bytes */
export async function signBody(domain: string, body: Uint8Array, sign: Sign): Promise<Signed> {
  const signature = await sign(signedMessage(domain, body))
  if (!(signature instanceof Uint8Array) || signature.length !== SIGNATURE_BYTES) {
    throw new LineageError('BAD_SIGNATURE', `a signature has ${SIGNATURE_BYTES} bytes`)
  }
  return { body, signature }
}

/** DAG-CBOR `{body, signature}`. */
export function encodeSigned(signed: Signed): Uint8Array {
  return encodeAs(readSigned, signed, 'signed', Number.MAX_SAFE_INTEGER)
}

/**
 * Does not check the signature.
 *
 * @throws LineageError TOO_LARGE | BAD_ENCODING | BAD_FIELD
 */
export function decodeSigned(encoded: Uint8Array, maxBytes = MAX_SIGNED_BYTES): Signed {
  return decodeAs(readSigned, encoded, 'signed', maxBytes)
}

/**
 * Ed25519 with cofactorless RFC 8032 decoding rules pinned (`zip215: false`: canonical points and
 * scalars only, no small-order key). Implementations of Ed25519 disagree on odd signatures that only
 * an attacker makes; if one node's platform took what another's refuses, they would see two different
 * chains. So every verdict comes from this one implementation, whatever the platform offers.
 */
export function verifySigned(domain: string, signed: Signed, publicKey: Uint8Array): boolean {
  try {
    return ed25519.verify(signed.signature, signedMessage(domain, signed.body), publicKey, { zip215: false })
  } catch {
    return false
  }
}

/** A signer for a 32-byte seed that is at hand, such as an agent's key made from its owner's. */
export function signerOfSeed(seed: Uint8Array): Sign {
  return async (message) => ed25519.sign(message, seed)
}
