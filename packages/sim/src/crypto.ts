/**
 * Hashes and signatures that are there at once, and randomness from the seed.
 *
 * @module
 */
import type { Crypto } from '@igor/core'
import { publicKeyOf, signerOfSeed } from '@igor/lineage'
import { sha256 } from '@noble/hashes/sha2.js'
import type { Process } from './process.ts'

export const createCrypto = (process: Process): Crypto => ({
  random: (length) => process.random.bytes(length),
  sha256: async (inputs) => inputs.map((input) => sha256(input)),
  signer: async (seed) => ({ publicKey: publicKeyOf(seed), sign: signerOfSeed(seed) }),
})
