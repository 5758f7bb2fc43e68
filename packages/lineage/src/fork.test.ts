import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isForkProof, type LineageRecord, sameSlot, signRecord } from './index.ts'
import {
  acceptBody,
  add,
  alice,
  bob,
  carol,
  checkpointBody,
  handoffBody,
  live,
  owner,
  peers,
  recoverBody,
  refuseBody,
  retireBody,
  start,
  steps,
} from './kit.test.util.ts'

const both = (a: LineageRecord, b: LineageRecord, key: Uint8Array): boolean => {
  const proof = isForkProof(a, b, key)
  expect(isForkProof(b, a, key)).toBe(proof)
  return proof
}

describe('proof of a fork', () => {
  test('two bodies for one slot', async () => {
    const { chain } = await start()
    const one = await signRecord(checkpointBody(chain, 1), alice.sign)
    const two = await signRecord(checkpointBody(chain, 2), alice.sign)
    expect(sameSlot(one, two)).toBe(true)
    expect(both(one, two, alice.publicKey)).toBe(true)
    // Proof against whoever signed both, and no one else.
    for (const other of [bob, carol, owner]) expect(both(one, two, other.publicKey)).toBe(false)
    expect(both(one, one, alice.publicKey)).toBe(false)
  })

  test('one of them by somebody else proves nothing', async () => {
    const { chain } = await start()
    const one = await signRecord(checkpointBody(chain, 1), alice.sign)
    const framed = await signRecord(checkpointBody(chain, 2), bob.sign)
    expect([alice, bob].some(({ publicKey }) => both(one, framed, publicKey))).toBe(false)
  })

  test('accept and refuse of one offer', async () => {
    let history = await start()
    history = await add(history, checkpointBody(history.chain), alice)
    const { chain } = await add(history, await handoffBody(history.chain, bob), alice)
    const accept = await signRecord(acceptBody(chain), bob.sign)
    const refuse = await signRecord(refuseBody(chain), bob.sign)
    expect(both(accept, refuse, bob.publicKey)).toBe(true)
  })

  test('ticking on after a handoff or a retire of the same epoch', async () => {
    const { chain } = await start()
    const after = await signRecord({ ...checkpointBody(chain), seq: 9 }, alice.sign)
    const before = await signRecord({ ...checkpointBody(chain), seq: 3 }, alice.sign)
    for (const body of [await handoffBody(chain, bob), retireBody(chain)]) {
      const end = await signRecord({ ...body, seq: 5 }, alice.sign)
      expect(both(end, after, alice.publicKey)).toBe(true)
      expect(both(end, before, alice.publicKey)).toBe(false)
      expect(both(end, after, bob.publicKey)).toBe(false)
      const later = await signRecord({ ...checkpointBody(chain), seq: 9, epoch: 2 }, alice.sign)
      expect(both(end, later, alice.publicKey)).toBe(false)
    }
  })

  test("two recovers of the owner's in one slot", async () => {
    const { chain } = await start()
    const one = await signRecord(await recoverBody(chain, bob), owner.sign)
    const two = await signRecord(await recoverBody(chain, carol), owner.sign)
    expect(both(one, two, owner.publicKey)).toBe(true)
  })

  test('no two records of an honest history are one, against anybody', async () => {
    await fc.assert(
      fc.asyncProperty(steps(10), async (walk) => {
        const { records } = await live(walk)
        for (const a of records) {
          for (const b of records) {
            for (const { publicKey } of [...peers, owner]) expect(isForkProof(a, b, publicKey)).toBe(false)
          }
        }
      }),
      { numRuns: 15 },
    )
  })
})
