/**
 * The platform's `Crypto` on WebCrypto.
 *
 * @module
 */
import { type Crypto, IgorError, type Signer } from '@igor/core'
import { ed25519 } from '@noble/curves/ed25519.js'

/** Bytes that one call of getRandomValues gives at most (Web Cryptography, section 10.1.1). */
const RANDOM_AT_ONCE = 65_536
/** Bytes of an Ed25519 seed (RFC 8032, section 5.1.5). */
const SEED = 32
/** What stands before a raw Ed25519 seed in PKCS #8 (RFC 8410, section 7). */
const PKCS8 = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20]

export interface WebCryptoOptions {
  /** False: sign by @noble/curves even where the engine could (for tests of the fallback). */
  readonly native?: boolean
}

/** Random, SHA-256 and Ed25519. An engine whose WebCrypto has no Ed25519 signs by @noble/curves, ten times slower. */
export function webCrypto(options: WebCryptoOptions = {}): Crypto {
  return {
    random: (length) => {
      const bytes = new Uint8Array(length)
      for (let start = 0; start < length; start += RANDOM_AT_ONCE) {
        crypto.getRandomValues(bytes.subarray(start, start + RANDOM_AT_ONCE))
      }
      return bytes
    },
    sha256: async (inputs) => {
      const digests = await Promise.all(inputs.map((input) => crypto.subtle.digest('SHA-256', unshared(input))))
      return digests.map((digest) => new Uint8Array(digest))
    },
    signer: async (seed) => {
      if (seed.length !== SEED) throw new IgorError('BAD_REQUEST', `an Ed25519 seed has ${SEED} bytes, this one ${seed.length}`)
      const own = seed.slice()
      const publicKey = ed25519.getPublicKey(own)
      const native = options.native === false ? undefined : await nativeSigner(own, publicKey)
      return native ?? { publicKey, sign: async (message) => ed25519.sign(message, own) }
    },
  }
}

/** @returns undefined where the engine has no Ed25519 */
async function nativeSigner(seed: Uint8Array, publicKey: Uint8Array): Promise<Signer | undefined> {
  const wrapped = new Uint8Array([...PKCS8, ...seed])
  const key = await crypto.subtle.importKey('pkcs8', wrapped, 'Ed25519', false, ['sign']).catch(() => undefined)
  if (key === undefined) return undefined
  return { publicKey, sign: async (message) => new Uint8Array(await crypto.subtle.sign('Ed25519', key, unshared(message))) }
}

/** Igor has no shared memory (design section 3), which is all that WebCrypto would refuse. */
function unshared(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes as Uint8Array<ArrayBuffer>
}
