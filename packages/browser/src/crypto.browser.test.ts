import { cryptoSuite } from '@igor/core/testing'
import { describe, expect, test } from 'vitest'
import { webCrypto } from './crypto.ts'

describe('WebCrypto', () => cryptoSuite(() => webCrypto()))
describe('without Ed25519 in the engine', () => cryptoSuite(() => webCrypto({ native: false })))

test('both sign alike', async () => {
  const seed = crypto.getRandomValues(new Uint8Array(32))
  const message = crypto.getRandomValues(new Uint8Array(1000))
  const [one, other] = await Promise.all([webCrypto().signer(seed), webCrypto({ native: false }).signer(seed)])
  expect(one.publicKey).toEqual(other.publicKey)
  expect(await one.sign(message)).toEqual(await other.sign(message))
})
