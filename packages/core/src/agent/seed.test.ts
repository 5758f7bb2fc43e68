import { type LineageRecord, makeReady, peerIdOf, publicKeyOf, signerOfSeed } from '@igor/lineage'
import { sha256 } from '@noble/hashes/sha2.js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { testCrypto } from '../node/fixtures/world.ts'
import { seedRoot } from './seed.ts'

const seed = new Uint8Array(32).fill(5)
const to = peerIdOf(publicKeyOf(seed))
const prefix = new TextEncoder().encode('igor/r/1')
const join = (...parts: readonly Uint8Array[]): Uint8Array => Uint8Array.from(parts.flatMap((part) => [...part]))

/** As much of a record as a seed rests on. */
const record = (body: object): LineageRecord => ({ body }) as unknown as LineageRecord
const genesis = record({ kind: 'genesis', nonce: new Uint8Array(32).fill(9) })
const handoff = async (n: number): Promise<LineageRecord> => {
  const word = { agent: null, handoff: new Uint8Array(16).fill(n), to, incarnation: new Uint8Array(16), price: 0n, expiry: 0 }
  const { bytes } = await makeReady({ ...word, nonce: new Uint8Array(32).fill(n) }, signerOfSeed(seed))
  return record({ kind: 'handoff', ready: bytes })
}
const handoffs = await Promise.all([1, 2, 3].map(handoff))

describe('the root of an epoch', () => {
  it('is the birth nonce at first', async () => {
    expect(await seedRoot(testCrypto, [genesis, record({ kind: 'checkpoint' })])).toEqual(new Uint8Array(32).fill(9))
  })

  it('is what following the accepts one by one gives, whatever came before the last nonce', async () => {
    const step = fc.oneof(fc.integer({ min: 0, max: 2 }), fc.constantFrom('refused', 'checkpoint'))
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 8 }), async (steps) => {
        const records = [genesis]
        let root = new Uint8Array(32).fill(9)
        let epoch = 1
        for (const one of steps) {
          if (one === 'checkpoint') {
            records.push(record({ kind: 'checkpoint' }))
            continue
          }
          epoch++
          const accept = record({ kind: 'accept', epoch })
          if (one === 'refused') {
            records.push(handoffs[0] as LineageRecord, record({ kind: 'refuse' }), accept)
            const number = new Uint8Array(8)
            // Little-endian.
            number[0] = epoch
            root = sha256(join(prefix, root, number))
          } else {
            records.push(handoffs[one] as LineageRecord, accept)
            root = sha256(join(prefix, new Uint8Array(16).fill(one + 1), new Uint8Array(32).fill(one + 1)))
          }
        }
        expect(await seedRoot(testCrypto, records)).toEqual(root)
      }),
    )
  })
})
