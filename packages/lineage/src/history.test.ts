import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  decodeRecord,
  extendChain,
  isAnchor,
  type LineageRecord,
  pruneRecords,
  signRecord,
  startChain,
  verifyChain,
} from './index.ts'
import {
  acceptBody,
  add,
  alice,
  bob,
  checkpointBody,
  codeOf,
  fake,
  genesisBody,
  type History,
  handoffBody,
  live,
  moved,
  orderBytes,
  owner,
  recoverBody,
  refuseBody,
  retireBody,
  start,
  steps,
} from './kit.test.util.ts'

describe('gaps', () => {
  const long = async (): Promise<History> => {
    let history = await start()
    for (let i = 0; i < 4; i++) history = await add(history, checkpointBody(history.chain, 1, 10n ** 8n), alice)
    return history
  }
  const without = (records: readonly LineageRecord[], ...seqs: number[]) => records.filter(({ body }) => !seqs.includes(body.seq))

  test('plain checkpoints may be missing where an anchor and one authority bridge them', async () => {
    let history = await long()
    history = await add(history, await handoffBody(history.chain, bob), alice)
    const chain = verifyChain(without(history.records, 1, 2, 4))
    expect(chain).toMatchObject({ budget: history.chain.budget, tick: 4, records: 3 })
    expect(verifyChain(without(history.records, 1, 2, 3, 4)).records).toBe(2)
  })

  test('only when the caller says so', async () => {
    const { records } = await long()
    const chain = startChain(records[0] as LineageRecord)
    expect(codeOf(() => extendChain(chain, records[2] as LineageRecord))).toBe('BAD_SEQ')
    expect(extendChain(chain, records[2] as LineageRecord, { gap: true }).tick).toBe(2)
  })

  test('no anchor may be missing', async () => {
    const { records } = await moved()
    expect(codeOf(() => verifyChain(without(records, 2)))).toBe('BAD_SEQ')
    expect(codeOf(() => verifyChain(without(records, 3)))).toBe('BAD_ANCHOR')
    expect(codeOf(() => verifyChain(without(records, 2, 3)))).toBe('BAD_ANCHOR')
  })

  test('no record may come out of order or twice', async () => {
    const { records } = await long()
    expect(codeOf(() => verifyChain([...records, ...records.slice(-1)]))).toBe('BAD_SEQ')
    expect(codeOf(() => verifyChain([...records.slice(0, 1), ...records.slice(1).toReversed()]))).toBe('BAD_SEQ')
  })

  test('an accept, a refuse, a retire and a recover follow directly', async () => {
    const held = await start()
    const offered = await add(held, await handoffBody(held.chain, bob), alice)
    const cases = [
      [offered, acceptBody(offered.chain), bob],
      [offered, refuseBody(offered.chain), bob],
      [held, retireBody(held.chain), alice],
      [held, await recoverBody(held.chain, bob), owner],
    ] as const
    for (const [from, body, by] of cases) {
      const record = await signRecord({ ...body, seq: body.seq + 3, prev: fake }, by.sign)
      expect(codeOf(() => extendChain(from.chain, record, { gap: true }))).toBe('BAD_SEQ')
    }
  })

  test('the record that a later one without a state rests on may not be missing', async () => {
    let history = await long()
    const { chain } = history
    history = await add(history, { ...checkpointBody(chain), state: null, from: chain.head.id }, alice)
    expect(codeOf(() => verifyChain(without(history.records, 4)))).toBe('BAD_STATE')
  })

  test('what stands before a retire or a recover may not be missing: it says what the agent was last', async () => {
    let history = await long()
    history = await add(history, retireBody(history.chain), alice)
    expect(codeOf(() => verifyChain(without(history.records, 4)))).toBe('BAD_SEQ')
    history = await add(history, await recoverBody(history.chain, bob, null), owner)
    expect(verifyChain(without(history.records, 1, 2, 3))).toMatchObject({ tick: 4, budget: history.chain.budget })
  })

  describe('pruning', () => {
    const seqs = (records: readonly LineageRecord[]) => records.map(({ body }) => body.seq)
    const checkpoints = async (history: History, count: number): Promise<History> => {
      let next = history
      for (let i = 0; i < count; i++) next = await add(next, checkpointBody(next.chain), alice)
      return next
    }

    test('keeps anchors and the head, or a window before it', async () => {
      const history = await long()
      expect(seqs(pruneRecords(history.records))).toEqual([0, 4])
      expect(seqs(pruneRecords(history.records, 3))).toEqual([0, 2, 3, 4])
      expect(seqs(pruneRecords(history.records, 99))).toEqual([0, 1, 2, 3, 4])
      const handed = await add(history, await handoffBody(history.chain, bob), alice)
      expect(seqs(pruneRecords(handed.records))).toEqual([0, 5])
    })

    test('keeps what stands before a retire and before a recover, however long ago', async () => {
      let history = await long()
      history = await add(history, retireBody(history.chain), alice)
      expect(seqs(pruneRecords(history.records))).toEqual([0, 4, 5])
      history = await add(history, await recoverBody(history.chain, alice, null), owner)
      history = await add(history, acceptBody(history.chain), alice)
      history = await checkpoints(history, 2)
      history = await add(history, await recoverBody(history.chain, alice), owner)
      history = await add(history, acceptBody(history.chain), alice)
      history = await checkpoints(history, 2)
      expect(seqs(pruneRecords(history.records))).toEqual([0, 4, 5, 6, 7, 9, 10, 11, 13])
    })

    test('keeps what a record without a state rests on, as long as it is needed', async () => {
      let history = await long()
      const { chain } = history
      for (let i = 0; i < 2; i++) {
        history = await add(history, { ...checkpointBody(history.chain), state: null, from: chain.head.id }, alice)
      }
      expect(seqs(pruneRecords(history.records))).toEqual([0, 4, 5, 6])
      expect(seqs(pruneRecords((await checkpoints(history, 1)).records))).toEqual([0, 7])
    })

    test('keeps the last record that applied an order', async () => {
      let history = await start()
      for (const n of [5, 6]) {
        history = await add(history, { ...checkpointBody(history.chain), orders: [await orderBytes(n)] }, alice)
        history = await checkpoints(history, 2)
      }
      expect(seqs(pruneRecords(history.records))).toEqual([0, 4, 6])
      expect(verifyChain(pruneRecords(history.records)).lastOrder).toBe(6)
    })
  })

  test('what pruning leaves verifies and says the same, for any history', async () => {
    await fc.assert(
      fc.asyncProperty(steps(14), fc.integer({ min: 1, max: 4 }), async (walk, window) => {
        const { chain, records } = await live(walk)
        const kept = pruneRecords(records, window)
        expect(kept.filter(isAnchor)).toEqual(records.filter(isAnchor))
        expect(kept.slice(-window)).toEqual(records.slice(-window))
        expect(verifyChain(kept)).toEqual({ ...chain, records: kept.length })
        // Whoever was up to date before can still follow.
        expect(pruneRecords(kept, window)).toEqual(kept)
      }),
      { numRuns: 12 },
    )
  })
})

test('random honest histories verify, record by record and from bytes', async () => {
  await fc.assert(
    fc.asyncProperty(steps(12), async (walk) => {
      const { chain, records } = await live(walk)
      const read = records.map(({ bytes }) => decodeRecord(bytes))
      expect(read).toEqual(records)
      const verified = verifyChain(read)
      expect(verified).toEqual(chain)
      // Money is neither made nor lost on the way.
      expect(verified.budget + (verified.progress?.body.cost ?? 0n)).toBe(genesisBody.budget)
    }),
    { numRuns: 15 },
  )
})

test('no record of a random history can be left out, repeated or swapped with the next, but plain checkpoints', async () => {
  await fc.assert(
    fc.asyncProperty(steps(8), fc.nat(), async (walk, pick) => {
      const { chain, records } = await live(walk)
      if (records.length < 2) return
      const at = pick % (records.length - 1)
      const swapped = records.with(at, records[at + 1] as LineageRecord).with(at + 1, records[at] as LineageRecord)
      expect(codeOf(() => verifyChain(swapped))).not.toBe('accepted')
      expect(codeOf(() => verifyChain(records.toSpliced(at, 0, records[at] as LineageRecord)))).not.toBe('accepted')
      const shorter = records.toSpliced(at, 1)
      if (isAnchor(records[at] as LineageRecord)) expect(codeOf(() => verifyChain(shorter))).not.toBe('accepted')
      else if (codeOf(() => verifyChain(shorter)) === 'accepted') expect(verifyChain(shorter).budget).toBe(chain.budget)
    }),
    { numRuns: 12 },
  )
})
