/**
 * The randomness of a tick: derived, so that whoever knows R can run the tick again
 * (docs/design.md, section 3).
 *
 * @module
 */
import { chacha20 } from '@noble/ciphers/chacha.js'

export type Sha256 = (bytes: Uint8Array) => Uint8Array

const DOMAIN = new TextEncoder().encode('igor/seed/1')
const SEED_BYTES = 32

/**
 * SHA-256("igor/seed/1" || R || tick), the tick as 8 bytes, little-endian.
 * @param root R, 32 bytes
 */
export const tickSeed = (sha256: Sha256, root: Uint8Array, tick: number): Uint8Array => {
  const input = new Uint8Array(DOMAIN.length + SEED_BYTES + 8)
  input.set(DOMAIN)
  input.set(root.subarray(0, SEED_BYTES), DOMAIN.length)
  new DataView(input.buffer).setBigUint64(DOMAIN.length + SEED_BYTES, BigInt(tick), true)
  return sha256(input)
}

/** ChaCha20 works in blocks of this many bytes (RFC 8439). */
const BLOCK = 64
/** How much is made at a time, at least: most ticks ask for a few bytes, some for them one by one. */
const BUFFER = 8 * BLOCK
const NONCE = new Uint8Array(12)

/** The keystream of ChaCha20 (RFC 8439; key: the seed, nonce 0, counter from 0), from where it was left. */
export const randomStream = (seed: Uint8Array): ((out: Uint8Array) => void) => {
  const buffer = new Uint8Array(BUFFER)
  let counter = 0
  let used = BUFFER
  return (out) => {
    let done = Math.min(out.length, BUFFER - used)
    out.set(buffer.subarray(used, used + done))
    used += done
    const whole = out.length - done - ((out.length - done) % BUFFER)
    if (whole > 0) {
      out.set(chacha20(seed, NONCE, new Uint8Array(whole), undefined, counter), done)
      counter += whole / BLOCK
      done += whole
    }
    if (done === out.length) return
    buffer.set(chacha20(seed, NONCE, new Uint8Array(BUFFER), undefined, counter))
    counter += BUFFER / BLOCK
    used = out.length - done
    out.set(buffer.subarray(0, used), done)
  }
}
