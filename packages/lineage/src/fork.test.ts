import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  isForkProof,
  LineageError,
  type LineageRecord,
  looksLikeForkProof,
  proveFork,
  readForkProof,
  sameSlot,
  signRecord,
  startChain,
  withCosignatures,
} from './index.ts'
import {
  acceptBody,
  add,
  alice,
  bob,
  carol,
  checkpointBody,
  codeOf,
  cosigned,
  genesisBody,
  handoffBody,
  live,
  otherAgent,
  owner,
  peers,
  recoverBody,
  refuseBody,
  retireBody,
  start,
  steps,
  takeoverBody,
  walter,
  wanda,
  witnessed,
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

describe('a proof in a file', () => {
  const forked = async () => {
    const { chain } = await start()
    const one = await signRecord(checkpointBody(chain, 1), alice.sign)
    const two = await signRecord(checkpointBody(chain, 2), alice.sign)
    return { chain, one, two }
  }

  test('says who did it, with nothing else at hand, and has one encoding', async () => {
    const { one, two } = await forked()
    const proof = proveFork(one, two, alice.peer)
    if (proof === undefined) throw new Error('no proof')
    expect(proveFork(two, one, alice.peer)?.bytes).toEqual(proof.bytes)
    expect(readForkProof(proof.bytes)).toEqual(proof)
    expect(proof).toMatchObject({ signer: alice.peer, agent: one.body.agent, as: 'signed' })
    expect(looksLikeForkProof(proof.bytes)).toBe(true)
    expect(looksLikeForkProof(one.bytes)).toBe(false)
  })

  test('with any byte flipped is none', async () => {
    const { one, two } = await forked()
    const bytes = proveFork(one, two, alice.peer)?.bytes ?? new Uint8Array()
    for (let at = 0; at < bytes.length; at += 7) {
      try {
        readForkProof(bytes.with(at, (bytes[at] ?? 0) ^ 1))
        expect.unreachable(`byte ${at} does not matter`)
      } catch (error) {
        expect(error).toBeInstanceOf(LineageError)
      }
    }
  })

  test('is never made of the same record twice, however it was cosigned', async () => {
    const { chain } = await witnessed()
    const tick = await signRecord(checkpointBody(chain), alice.sign)
    const other = await cosigned(tick, walter)
    for (const signer of [alice.peer, walter.peer]) {
      expect(proveFork(tick, tick, signer)).toBeUndefined()
      expect(proveFork(tick, other, signer)).toBeUndefined()
    }
  })

  test('is never made of records of two agents, of two epochs, or with a bad signature', async () => {
    const { chain, one, two } = await forked()
    const elsewhere = await signRecord({ ...checkpointBody(chain, 2), agent: otherAgent }, alice.sign)
    const later = await signRecord({ ...checkpointBody(chain, 2), epoch: 2 }, alice.sign)
    const bad = { ...two, signed: { ...two.signed, signature: one.signed.signature } }
    for (const b of [elsewhere, later, bad])
      for (const signer of [alice.peer, bob.peer, walter.peer]) expect(proveFork(one, b, signer)).toBeUndefined()
    // A file that claims it all the same is refused.
    const good = proveFork(one, two, alice.peer)
    const name = new TextEncoder().encode(alice.peer)
    const at = good?.bytes.findIndex((_, i, all) => name.every((byte, j) => all[i + j] === byte)) ?? -1
    const framed = good?.bytes.slice() ?? new Uint8Array()
    framed.set(new TextEncoder().encode(bob.peer), at)
    expect(codeOf(() => readForkProof(framed))).toBe('BAD_PROOF')
  })

  test('is never made of two legitimate branches after a recover', async () => {
    let history = await start()
    history = await add(history, checkpointBody(history.chain), alice)
    const left = [...(await add(history, checkpointBody(history.chain, 5), alice)).records]
    let right = await add(history, await recoverBody(history.chain, alice), owner)
    right = await add(right, acceptBody(right.chain), alice)
    right = await add(right, checkpointBody(right.chain), alice)
    for (const a of left)
      for (const b of right.records)
        for (const signer of [...peers.map(({ peer }) => peer), a.body.agent]) expect(proveFork(a, b, signer)).toBeUndefined()
  })

  test('is never made of what one node wrote as host and as witness', async () => {
    const genesis = await cosigned(
      await signRecord(
        { ...genesisBody, authority: walter.peer, incarnation: walter.incarnation, witness: walter.peer },
        owner.sign,
      ),
      walter,
    )
    const chain = startChain(genesis)
    const recover = await signRecord({ ...(await takeoverBody(chain, bob)), epoch: 1 }, walter.sign)
    const tick = await signRecord(checkpointBody(chain), walter.sign)
    expect(sameSlot(recover, tick)).toBe(true)
    expect(proveFork(recover, tick, walter.peer)).toBeUndefined()
  })

  test('convicts a witness that cosigned two heads, and nobody else', async () => {
    const { chain } = await witnessed()
    const a = await cosigned(await signRecord(checkpointBody(chain, 1), alice.sign), walter)
    const b = await cosigned(await signRecord(checkpointBody(chain, 2), bob.sign), walter)
    const proof = proveFork(a, b, walter.peer)
    expect(proof).toMatchObject({ signer: walter.peer, as: 'cosigned' })
    expect(readForkProof(proof?.bytes ?? new Uint8Array())).toEqual(proof)
    expect(proveFork(a, b, wanda.peer)).toBeUndefined()
    expect(proveFork(a, withCosignatures(b, []), walter.peer)).toBeUndefined()
    const lent = withCosignatures(b, a.cosignatures)
    expect(proveFork(a, lent, walter.peer)).toBeUndefined()
  })
})
