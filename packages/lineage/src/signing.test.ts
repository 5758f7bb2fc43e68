import { ed25519 } from '@noble/curves/ed25519.js'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  decodeSigned,
  encodeSigned,
  LineageError,
  publicKeyOf,
  type Signed,
  signBody,
  signedMessage,
  signerOfSeed,
  verifySigned,
} from './index.ts'

const seed = new Uint8Array(32).fill(5)
const publicKey = publicKeyOf(seed)
const body = Uint8Array.of(1, 2, 3)
const sign = signerOfSeed(seed)

describe('signing', () => {
  test('signs domain, zero byte, body', async () => {
    const signed = await signBody('igor/order/1', body, async (message) => {
      expect(message).toEqual(Uint8Array.of(...new TextEncoder().encode('igor/order/1'), 0, 1, 2, 3))
      return sign(message)
    })
    expect(verifySigned('igor/order/1', signed, publicKey)).toBe(true)
  })

  test('a signature serves no other domain, body or key', async () => {
    const signed = await signBody('igor/order/1', body, sign)
    expect(verifySigned('igor/ready/1', signed, publicKey)).toBe(false)
    expect(verifySigned('igor/order/1', { ...signed, body: Uint8Array.of(1, 2) }, publicKey)).toBe(false)
    expect(verifySigned('igor/order/1', signed, publicKeyOf(new Uint8Array(32)))).toBe(false)
    // The zero byte keeps the end of a domain from being taken for the start of a body.
    expect(signedMessage('ab', Uint8Array.of(0x63))).not.toEqual(signedMessage('abc', new Uint8Array(0)))
  })

  test('no bit of body or signature can be flipped', async () => {
    const signed = await signBody('d', body, sign)
    for (let bit = 0; bit < 8 * 67; bit++) {
      const bytes = Uint8Array.of(...signed.body, ...signed.signature)
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(verifySigned('d', { body: bytes.subarray(0, 3), signature: bytes.subarray(3) }, publicKey)).toBe(false)
    }
  })

  test('takes what the platform signs, and the platform takes what it signs', async () => {
    const pair = (await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify'])) as CryptoKeyPair
    const raw = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey))
    const signed = await signBody('d', body, async (message) => {
      return new Uint8Array(await crypto.subtle.sign('Ed25519', pair.privateKey, message as Uint8Array<ArrayBuffer>))
    })
    expect(verifySigned('d', signed, raw)).toBe(true)
    const ours = await signBody('d', body, sign)
    const known = await crypto.subtle.importKey('raw', publicKey as Uint8Array<ArrayBuffer>, 'Ed25519', false, ['verify'])
    const message = signedMessage('d', body) as Uint8Array<ArrayBuffer>
    expect(await crypto.subtle.verify('Ed25519', known, ours.signature as Uint8Array<ArrayBuffer>, message)).toBe(true)
  })

  // Where implementations of Ed25519 differ: ZIP 215 takes this one, the pinned mode must not.
  test('refuses a key of small order, under which a signature fits every message', () => {
    const identity = Uint8Array.of(1, ...new Uint8Array(31))
    const signature = Uint8Array.of(...identity, ...new Uint8Array(32))
    expect(ed25519.verify(signature, signedMessage('d', body), identity, { zip215: true })).toBe(true)
    expect(verifySigned('d', { body, signature }, identity)).toBe(false)
  })

  test('refuses the second scalar of the same signature', async () => {
    const signed = await signBody('d', body, sign)
    const order = 2n ** 252n + 27742317777372353535851937790883648493n
    let scalar = order
    signed.signature.subarray(32).forEach((byte, i) => {
      scalar += BigInt(byte) << BigInt(8 * i)
    })
    const high = Uint8Array.from({ length: 32 }, (_, i) => Number((scalar >> BigInt(8 * i)) & 255n))
    expect(verifySigned('d', { body, signature: Uint8Array.of(...signed.signature.subarray(0, 32), ...high) }, publicKey)).toBe(
      false,
    )
  })

  test('refuses a signer that gives something else than 64 bytes', async () => {
    await expect(signBody('d', body, async () => new Uint8Array(63))).rejects.toThrow(
      expect.objectContaining({ code: 'BAD_SIGNATURE' }),
    )
  })

  test('never throws, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.uint8Array({ maxLength: 40 }), (signature, key) => {
        expect(verifySigned('d', { body, signature }, key)).toBe(false)
      }),
    )
  })
})

describe('the envelope', () => {
  const signed: Signed = { body: Uint8Array.of(0xa0), signature: new Uint8Array(64).fill(3) }
  const text = (name: string) => [0x60 + name.length, ...new TextEncoder().encode(name)]
  const bodyField = [...text('body'), 0x41, 0xa0]
  const signatureField = [...text('signature'), 0x58, 64, ...signed.signature]

  test('is {body, signature}, in the one order and the one spelling that there is', () => {
    expect(encodeSigned(signed)).toEqual(Uint8Array.of(0xa2, ...bodyField, ...signatureField))
    expect(decodeSigned(encodeSigned(signed))).toEqual(signed)
  })

  const spellings: readonly [string, readonly number[]][] = [
    ['fields in another order', [0xa2, ...signatureField, ...bodyField]],
    ['a length longer than need be', [0xa2, ...text('body'), 0x58, 1, 0xa0, ...signatureField]],
    ['a map of unknown length', [0xbf, ...bodyField, ...signatureField, 0xff]],
    ['bytes in pieces', [0xa2, ...text('body'), 0x5f, 0x41, 0xa0, 0xff, ...signatureField]],
    ['a byte after the end', [0xa2, ...bodyField, ...signatureField, 0]],
    ['one field twice', [0xa3, ...bodyField, ...bodyField, ...signatureField]],
    ['a further field', [0xa3, ...bodyField, ...signatureField, ...text('x'), 0]],
    ['a field `__proto__`', [0xa3, ...bodyField, ...text('__proto__'), 0xa0, ...signatureField]],
    ['no signature', [0xa1, ...bodyField]],
    ['a short signature', [0xa2, ...bodyField, ...text('signature'), 0x58, 63, ...signed.signature.subarray(1)]],
    ['an empty body', [0xa2, ...text('body'), 0x40, ...signatureField]],
    ['text for a body', [0xa2, ...text('body'), 0x61, 0x61, ...signatureField]],
    ['a tag around it', [0xc1, 0xa2, ...bodyField, ...signatureField]],
    ['a list', [0x82, 0x41, 0xa0, 0x58, 64, ...signed.signature]],
    ['nothing', []],
  ]
  test.each(spellings)('refuses %s', (_, bytes) => {
    expect(() => decodeSigned(Uint8Array.from(bytes))).toThrow(LineageError)
  })

  test('is bounded', () => {
    const large = encodeSigned({ ...signed, body: new Uint8Array(1000) })
    expect(() => decodeSigned(large, 1000)).toThrow(expect.objectContaining({ code: 'TOO_LARGE' }))
    expect(decodeSigned(large, large.length).body.length).toBe(1000)
  })
})
