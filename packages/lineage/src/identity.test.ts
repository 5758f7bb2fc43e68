import fc from 'fast-check'
import { base58btc } from 'multiformats/bases/base58'
import { describe, expect, test } from 'vitest'
import { agentSeed, didOf, keyOfDid, keyOfPeerId, LineageError, peerIdOf, publicKeyOf } from './index.ts'

const hex = (text: string): Uint8Array => Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
const key = fc.uint8Array({ minLength: 32, maxLength: 32 })

describe('did:key', () => {
  // The first Ed25519 test vector of the did:key specification (a seed of zeros).
  test('spells keys as the specification does', () => {
    const publicKey = publicKeyOf(new Uint8Array(32))
    expect(didOf(publicKey)).toBe('did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp')
  })

  test('reads back every key', () => {
    fc.assert(
      fc.property(key, (bytes) => {
        expect(keyOfDid(didOf(bytes))).toEqual(bytes)
      }),
    )
  })

  const did = 'did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp'
  const x25519 = `did:key:z${base58btc.baseEncode(Uint8Array.of(0xec, 0x01, ...new Uint8Array(32)))}`
  const short = `did:key:z${base58btc.baseEncode(Uint8Array.of(0xed, 0x01, ...new Uint8Array(31).fill(1)))}`
  test.each([
    '',
    'did:key:',
    'did:key:z',
    did.slice(0, -1),
    `${did}1`,
    ` ${did}`,
    `${did} `,
    did.toUpperCase(),
    did.replace('did:key:z', 'did:key:u'),
    did.replace('did:key', 'did:web'),
    `${did}#${did.slice(8)}`,
    did.replace('6', '1'),
    did.replace('M', '0'),
    x25519,
    short,
    `did:key:z${'1'.repeat(100_000)}`,
  ])('refuses %.80s', (text) => {
    expect(() => keyOfDid(text)).toThrow(expect.objectContaining({ code: 'BAD_DID' }))
  })

  test('refuses what is not text', () => {
    for (const value of [undefined, null, 5, {}, new Uint8Array(3)]) {
      expect(() => keyOfDid(value as string)).toThrow(expect.objectContaining({ code: 'BAD_DID' }))
      expect(() => keyOfPeerId(value as string)).toThrow(expect.objectContaining({ code: 'BAD_PEER_ID' }))
    }
  })
})

describe('peer ids', () => {
  // The Ed25519 key of the libp2p peer id specification's test vectors.
  const publicKey = hex('1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e')
  const peerId = '12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq'

  test('spells keys as libp2p does', () => expect(peerIdOf(publicKey)).toBe(peerId))

  test('reads back every key', () => {
    fc.assert(
      fc.property(key, (bytes) => {
        expect(keyOfPeerId(peerIdOf(bytes))).toEqual(bytes)
      }),
    )
  })

  const rsa = 'QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC'
  test.each(['', peerId.slice(1), `${peerId}1`, `z${peerId}`, rsa, `1${peerId}`, '12D3KooW', 'x'.repeat(100_000)])(
    'refuses %.80s',
    (text) => {
      expect(() => keyOfPeerId(text)).toThrow(expect.objectContaining({ code: 'BAD_PEER_ID' }))
    },
  )
})

test('keys of the wrong length are refused', () => {
  for (const length of [0, 31, 33, 64]) {
    const bytes = new Uint8Array(length)
    for (const run of [
      () => didOf(bytes),
      () => peerIdOf(bytes),
      () => publicKeyOf(bytes),
      () => agentSeed(bytes, new Uint8Array(32)),
    ]) {
      expect(run).toThrow(LineageError)
    }
  }
})

describe('agent seeds', () => {
  test('are those of HKDF-SHA256 as the platform has it', async () => {
    const owner = Uint8Array.from({ length: 32 }, (_, i) => i)
    const nonce = new Uint8Array(32).fill(200)
    const material = await crypto.subtle.importKey('raw', owner, 'HKDF', false, ['deriveBits'])
    const info = new TextEncoder().encode('igor/agent-key/1')
    const bits = await crypto.subtle.deriveBits({ name: 'HKDF', hash: 'SHA-256', salt: nonce, info }, material, 256)
    expect(agentSeed(owner, nonce)).toEqual(new Uint8Array(bits))
  })

  test('differ by owner and by nonce', () => {
    const seeds = [1, 2].flatMap((a) =>
      [3, 4].map((b) => agentSeed(new Uint8Array(32).fill(a), new Uint8Array(32).fill(b)).join()),
    )
    expect(new Set(seeds).size).toBe(4)
  })
})
