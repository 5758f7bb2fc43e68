import { LineageError } from './errors.ts'
import { keyOfPeerId } from './identity.ts'
import { bytes, decodeAs, did, encodeAs, int64, nullable, object, peerId, time } from './schema.ts'
import { decodeSigned, encodeSigned, READY_DOMAIN, type Sign, signBody, verifySigned } from './signing.ts'
import type { Ready, Signed } from './types.ts'

/** Of an encoded, signed ready; the largest that the schema lets through has about 400. */
export const MAX_READY_BYTES = 512

export interface SignedReady {
  readonly ready: Ready
  readonly signed: Signed
  /** What a handoff or recover embeds. */
  readonly bytes: Uint8Array
}

const readReadyBody = object<Ready>({
  agent: nullable(did),
  handoff: bytes(16),
  to: peerId,
  incarnation: bytes(16),
  price: int64,
  nonce: bytes(32),
  expiry: time,
})

/**
 * @param sign with the node key of `ready.to`
 * @throws LineageError BAD_FIELD | BAD_PEER_ID | BAD_DID | BAD_SIGNATURE
 */
export async function makeReady(ready: Ready, sign: Sign): Promise<SignedReady> {
  const signed = await signBody(READY_DOMAIN, encodeAs(readReadyBody, ready, 'ready', MAX_READY_BYTES), sign)
  return { ready, signed, bytes: encodeSigned(signed) }
}

/** Everything but the signature. */
export function decodeReady(encoded: Uint8Array): SignedReady {
  const signed = decodeSigned(encoded, MAX_READY_BYTES)
  return { ready: decodeAs(readReadyBody, signed.body, 'ready', MAX_READY_BYTES), signed, bytes: encoded }
}

/**
 * Decodes and checks the signature of `to`. The expiry is not judged: it takes a clock.
 *
 * @throws LineageError TOO_LARGE | BAD_ENCODING | BAD_FIELD | BAD_PEER_ID | BAD_DID | BAD_SIGNATURE
 */
export function readReady(encoded: Uint8Array): SignedReady {
  const decoded = decodeReady(encoded)
  if (!verifySigned(READY_DOMAIN, decoded.signed, keyOfPeerId(decoded.ready.to))) {
    throw new LineageError('BAD_SIGNATURE', `the ready is not signed by ${decoded.ready.to}`)
  }
  return decoded
}
