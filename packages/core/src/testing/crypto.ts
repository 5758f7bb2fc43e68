import { describe, expect, it } from 'vitest'
import type { Crypto } from '../platform.ts'
import { noise, utf8 } from './fixture.ts'

/** RFC 8032, section 7.1: tests 1, 2 and 3. */
const ED25519 = [
  {
    seed: '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    key: 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    message: '',
    signature:
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  },
  {
    seed: '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
    key: '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    message: '72',
    signature:
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  },
  {
    seed: 'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
    key: 'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    message: 'af82',
    signature:
      '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
  },
] as const

/** FIPS 180-4 examples. */
const SHA256 = [
  ['', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
  ['abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
  ['a'.repeat(1_000_000), 'cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0'],
] as const

/** Acceptance suite of `Crypto`. */
export function cryptoSuite(make: () => Crypto | Promise<Crypto>): void {
  describe('Crypto', () => {
    it('gives random bytes of any length, never the same', async () => {
      const crypto = await make()
      for (const length of [0, 1, 32, 65_536, 100_000]) expect(crypto.random(length)).toHaveLength(length)
      const seen = new Set(Array.from({ length: 100 }, () => hex(crypto.random(16))))
      expect(seen.size).toBe(100)
      // Were the end of a long request left at zero, this would not hold.
      expect(new Set(crypto.random(100_000).subarray(-1000)).size).toBeGreaterThan(50)
    })

    it('hashes as FIPS 180-4 says', async () => {
      const crypto = await make()
      const hashes = await crypto.sha256(SHA256.map(([text]) => utf8(text)))
      expect(hashes.map(hex)).toEqual(SHA256.map(([, hash]) => hash))
      expect(await crypto.sha256([])).toEqual([])
    })

    it('hashes many in order, and views as what they show', async () => {
      const crypto = await make()
      const whole = noise(70_000)
      const views = Array.from({ length: 500 }, (_, i) => whole.subarray(i, i + i * 100))
      const copies = views.map((view) => view.slice())
      const hashes = await crypto.sha256(views)
      expect(hashes.map(hex)).toEqual((await crypto.sha256(copies)).map(hex))
      expect(new Set(hashes.map(hex)).size).toBe(views.length)
      for (const hash of hashes) expect(hash).toHaveLength(32)
    })

    it('signs as RFC 8032 says', async () => {
      const crypto = await make()
      for (const { seed, key, message, signature } of ED25519) {
        const signer = await crypto.signer(unhex(seed))
        expect(hex(signer.publicKey)).toBe(key)
        expect(hex(await signer.sign(unhex(message)))).toBe(signature)
        expect(hex(await signer.sign(unhex(message)))).toBe(signature)
      }
    })

    it('signs with the seed as it was given, and views as what they show', async () => {
      const crypto = await make()
      const [vector] = ED25519
      const padded = new Uint8Array(48)
      padded.set(unhex(vector.seed), 8)
      const signer = await crypto.signer(padded.subarray(8, 40))
      padded.fill(0)
      expect(hex(await signer.sign(noise(10).subarray(5, 5)))).toBe(vector.signature)
    })

    it('refuses a seed of another length', async () => {
      const crypto = await make()
      for (const length of [0, 31, 33, 64]) {
        await expect(crypto.signer(new Uint8Array(length))).rejects.toMatchObject({ code: 'BAD_REQUEST' })
      }
    })
  })
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

function unhex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
}
