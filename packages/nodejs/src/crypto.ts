import { createPrivateKey, createPublicKey, hash, type KeyObject, randomFillSync, sign, verify } from 'node:crypto'
import { type Crypto, IgorError } from '@igor/core'

/** What stands before a raw Ed25519 seed in a PKCS #8 key (RFC 8410, section 7). */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex')
const SEED = 32
/** What stands before a raw Ed25519 public key (RFC 8410, section 4). */
const SPKI = Buffer.from('302a300506032b6570032100', 'hex')
/** Keys that are kept made: hosts whose agents this node is the witness of. */
const MAX_KEYS = 1000

/** Node's own cryptography. */
export function nodeCrypto(): Crypto {
  const made = new Map<string, KeyObject>()
  const keyOf = (raw: Uint8Array): KeyObject => {
    const name = Buffer.from(raw).toString('base64')
    const known = made.get(name)
    if (known !== undefined) return known
    if (made.size >= MAX_KEYS) made.clear()
    const key = createPublicKey({ key: Buffer.concat([SPKI, raw]), format: 'der', type: 'spki' })
    made.set(name, key)
    return key
  }
  return {
    verify: async (message, signature, publicKey) => verify(null, message, keyOf(publicKey), signature),
    random: (length) => randomFillSync(new Uint8Array(length)),
    sha256: async (inputs) => inputs.map(sha256),
    async signer(seed) {
      if (seed.length !== SEED) throw new IgorError('BAD_REQUEST', `a seed has ${SEED} bytes, this one has ${seed.length}`)
      const key = createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' })
      const spki = createPublicKey(key).export({ format: 'der', type: 'spki' })
      return {
        publicKey: new Uint8Array(spki.subarray(-32)),
        sign: async (message) => new Uint8Array(sign(null, message, key)),
      }
    },
  }
}

/** SHA-256, at once: for 4 KiB this takes less than handing it to a thread pool would. */
export function sha256(bytes: Uint8Array): Uint8Array {
  // A copy: Node's buffers may share their memory with others, and must not be transferred.
  return new Uint8Array(hash('sha256', bytes, 'buffer'))
}
