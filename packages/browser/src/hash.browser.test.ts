import { expect, test } from 'vitest'
import { createSha256 } from './hash.ts'

test('agrees with WebCrypto at every length around its blocks, and for views', async () => {
  const sha256 = await createSha256()
  const noise = crypto.getRandomValues(new Uint8Array(40_000))
  for (const length of [...Array(200).keys(), 4095, 4096, 4097, 16_384, 39_999]) {
    const view = noise.subarray(1, 1 + length)
    expect(sha256(view), String(length)).toEqual(new Uint8Array(await crypto.subtle.digest('SHA-256', view)))
  }
})
