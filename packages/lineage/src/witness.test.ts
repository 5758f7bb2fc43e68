/** Agents with a witness: what counts only with its cosignature, and what it may write itself. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type Body,
  type Chain,
  decodeRecord,
  extendChain,
  type LineageRecord,
  makeOrder,
  pruneRecords,
  type Recover,
  signRecord,
  startChain,
  verifyChain,
  verifyCosignature,
  withCosignatures,
  withCosigned,
} from './index.ts'
import {
  acceptBody,
  addCosigned,
  agent,
  alice,
  base,
  bob,
  born,
  carol,
  checkpointBody,
  codeOf,
  cosigned,
  genesisBody,
  type History,
  handoffBody,
  type Key,
  owner,
  type Peer,
  progress,
  recoverBody,
  refuseBody,
  retireBody,
  takeoverBody,
  walter,
  wanda,
  witnessed,
} from './kit.test.util.ts'

const toWitness = async (chain: Chain, to: Peer | null): Promise<Body> => {
  const { bytes } = await makeOrder({ kind: 'witness', agent, n: chain.lastOrder + 1, to: to?.peer ?? null }, owner.sign)
  return { ...checkpointBody(chain), orders: [bytes] }
}

/** What it gives without a cosignature, with one, and while it is proposed to the witness. */
const outcomes = async (chain: Chain, body: Body, by: Key, ...witnesses: readonly Peer[]) => {
  const bare = await signRecord(body, by.sign)
  const signed = await cosigned(bare, ...witnesses)
  return {
    bare: codeOf(() => extendChain(chain, bare)),
    proposed: codeOf(() => extendChain(chain, bare, { proposed: true })),
    cosigned: codeOf(() => extendChain(chain, signed)),
  }
}
const NEEDED = { bare: 'NOT_COSIGNED', proposed: 'accepted', cosigned: 'accepted' }

const checked = async (): Promise<History> => {
  const history = await witnessed()
  return addCosigned(history, checkpointBody(history.chain), alice, walter)
}
const offered = async (): Promise<History> => {
  const history = await checked()
  return addCosigned(history, await handoffBody(history.chain, bob), alice, walter)
}

describe('of an agent with a witness', () => {
  test('a checkpoint stands without its cosignature, but the chain says how far it was cosigned', async () => {
    const first = await checked()
    const { chain } = await addCosigned(first, checkpointBody(first.chain), alice)
    expect(chain.witness).toBe(walter.peer)
    expect(chain.cosigned?.id).toEqual(first.chain.head.id)
    expect(chain.head.body.seq).toBe(2)
  })

  test('nothing that moves authority counts without its cosignature', async () => {
    const { chain } = await checked()
    expect(await outcomes(chain, await handoffBody(chain, bob), alice, walter)).toEqual(NEEDED)
    expect(await outcomes(chain, retireBody(chain), alice, walter)).toEqual(NEEDED)
    expect(await outcomes(chain, await takeoverBody(chain, bob), walter, walter)).toEqual(NEEDED)
    expect(await outcomes(chain, await recoverBody(chain, bob), owner, walter)).toEqual(NEEDED)
    const { chain: open } = await offered()
    expect(await outcomes(open, acceptBody(open), bob, walter)).toEqual(NEEDED)
    expect(await outcomes(open, refuseBody(open), bob, walter)).toEqual(NEEDED)
    const { chain: refused } = await addCosigned(await offered(), refuseBody(open), bob, walter)
    expect(await outcomes(refused, acceptBody(refused), alice, walter)).toEqual(NEEDED)
  })

  test('a cosignature of somebody else, of another record, or of another store is none', async () => {
    const { chain } = await checked()
    const record = await signRecord(await handoffBody(chain, bob), alice.sign)
    expect(codeOf(() => extendChain(chain, record))).toBe('NOT_COSIGNED')
    const byStranger = await cosigned(record, carol)
    expect(codeOf(() => extendChain(chain, byStranger))).toBe('NOT_COSIGNED')
    expect(codeOf(() => extendChain(chain, byStranger, { proposed: true }))).toBe('BAD_COSIGNATURE')
    const [good] = (await cosigned(record, walter)).cosignatures
    const other = await signRecord(await handoffBody(chain, carol), alice.sign)
    if (good === undefined) throw new Error('no cosignature')
    for (const forged of [
      withCosignatures(other, [good]),
      withCosignatures(record, [{ ...good, incarnation: carol.incarnation }]),
      withCosignatures(record, [{ ...good, signature: good.signature.with(5, 1 ^ (good.signature[5] ?? 0)) }]),
    ])
      expect(codeOf(() => extendChain(chain, forged))).toBe('BAD_COSIGNATURE')
    expect(codeOf(() => extendChain(chain, withCosignatures(record, [good])))).toBe('accepted')
    // A plain checkpoint needs none; a false one is refused all the same.
    const tick = await cosigned(await signRecord(checkpointBody(chain), alice.sign), carol)
    expect(codeOf(() => extendChain(chain, tick))).toBe('BAD_COSIGNATURE')
    const genesis = await cosigned(await signRecord({ ...genesisBody, witness: walter.peer }, owner.sign), wanda)
    expect(codeOf(() => startChain(genesis))).toBe('BAD_COSIGNATURE')
  })

  test('without a witness a cosignature stands nowhere', async () => {
    const chain = await born()
    const tick = await cosigned(await signRecord(checkpointBody(chain), alice.sign), walter)
    expect(codeOf(() => extendChain(chain, tick))).toBe('BAD_COSIGNATURE')
  })
})

describe('a recover by the witness', () => {
  test('moves the agent on by one epoch, to whoever accepts', async () => {
    let history = await checked()
    history = await addCosigned(history, await takeoverBody(history.chain, bob), walter, walter)
    expect(history.chain.authority).toMatchObject({ status: 'offered', by: walter.peer, recover: true })
    expect(history.chain.epoch).toBe(2)
    history = await addCosigned(history, acceptBody(history.chain), bob, walter)
    expect(history.chain).toMatchObject({ epoch: 2, authority: { status: 'held', by: bob.peer } })
    expect(history.chain.asserted).toEqual([])
    expect(verifyChain(history.records)).toEqual(history.chain)
  })

  test('is signed by the witness, asserts nothing, names no other witness, and stands where there is one', async () => {
    const { chain } = await checked()
    const body = await takeoverBody(chain, bob)
    for (const by of [alice, bob, owner, wanda])
      expect((await outcomes(chain, body, by, walter)).cosigned, by === owner ? 'owner' : 'peer').toBe('BAD_SIGNATURE')
    expect((await outcomes(chain, { ...body, asserts: 'holder-gone' }, walter, walter)).cosigned).toBe('BAD_WITNESS')
    expect((await outcomes(chain, { ...body, witness: null }, walter, walter)).cosigned).toBe('BAD_WITNESS')
    const alone = await born()
    expect((await outcomes(alone, await takeoverBody(alone, bob), walter)).bare).toBe('BAD_EPOCH')
  })

  test('goes to the next candidate when one refuses, or does not answer', async () => {
    let history = await checked()
    history = await addCosigned(history, await takeoverBody(history.chain, bob), walter, walter)
    const silent = await addCosigned(history, await takeoverBody(history.chain, carol), walter, walter)
    expect(silent.chain).toMatchObject({ epoch: 3, authority: { ready: { to: carol.peer } } })
    history = await addCosigned(history, refuseBody(history.chain), bob, walter)
    expect(history.chain.authority).toEqual({ status: 'vacant', by: bob.peer })
    expect(await outcomes(history.chain, checkpointBody(history.chain), bob)).toMatchObject({ bare: 'NOT_ALLOWED' })
    const next = await addCosigned(history, await takeoverBody(history.chain, carol), walter, walter)
    const back = await addCosigned(next, acceptBody(next.chain), carol, walter)
    expect(back.chain.authority).toMatchObject({ status: 'held', by: carol.peer })
    expect(verifyChain(back.records)).toEqual(back.chain)
  })

  test("ends a handoff that nobody took, but no retirement: that is the owner's", async () => {
    const open = await offered()
    const taken = await addCosigned(open, await takeoverBody(open.chain, carol), walter, walter)
    expect(codeOf(() => extendChain(taken.chain, decodeRecord(open.chain.head.bytes)))).not.toBe('accepted')
    let history = await checked()
    history = await addCosigned(history, retireBody(history.chain), alice, walter)
    expect((await outcomes(history.chain, await takeoverBody(history.chain, bob), walter, walter)).cosigned).toBe('BAD_EPOCH')
    expect((await outcomes(history.chain, await recoverBody(history.chain, bob, null), owner, walter)).cosigned).toBe('accepted')
  })
})

describe("an owner's recover", () => {
  test('of a witnessed agent asserts nothing: the cosignature says that nobody holds it', async () => {
    const { chain } = await checked()
    expect(await outcomes(chain, await recoverBody(chain, bob, null), owner, walter)).toEqual(NEEDED)
  })

  const gone = async (chain: Chain, next: Peer | null): Promise<Recover> => ({
    ...(await recoverBody(chain, bob, 'witness-gone')),
    witness: next?.peer ?? null,
  })

  test('that asserts that the witness is gone counts without it, names what comes after, and is seen', async () => {
    const before = await checked()
    const { chain } = before
    expect(await outcomes(chain, await gone(chain, wanda), owner, wanda)).toEqual(NEEDED)
    expect((await outcomes(chain, await gone(chain, wanda), owner, walter)).cosigned).toBe('NOT_COSIGNED')
    let history = await addCosigned(before, await gone(chain, wanda), owner, wanda)
    history = await addCosigned(history, acceptBody(history.chain), bob, wanda)
    expect(history.chain).toMatchObject({ witness: wanda.peer, asserted: [{ asserts: 'witness-gone' }] })
    let alone = await addCosigned(before, await gone(chain, null), owner)
    alone = await addCosigned(alone, acceptBody(alone.chain), bob)
    expect(alone.chain).toMatchObject({ witness: null, cosigned: null, authority: { by: bob.peer } })
    for (const one of [history, alone]) expect(verifyChain(pruneRecords(one.records))).toMatchObject({ epoch: one.chain.epoch })
  })

  test('names a witness if and only if the old one is gone', async () => {
    const { chain } = await checked()
    const body = await recoverBody(chain, bob, 'witness-gone')
    expect((await outcomes(chain, body, owner, walter)).proposed).toBe('BAD_WITNESS')
    const held = { ...(await recoverBody(chain, bob)), witness: wanda.peer }
    expect((await outcomes(chain, held, owner, walter)).proposed).toBe('BAD_WITNESS')
    const alone = await born()
    expect((await outcomes(alone, { ...(await recoverBody(alone, bob, 'witness-gone')), witness: null }, owner)).bare).toBe(
      'BAD_WITNESS',
    )
  })
})

describe('a change of witness', () => {
  test('is one checkpoint, cosigned by the new one and the old one', async () => {
    const before = await checked()
    const body = await toWitness(before.chain, wanda)
    for (const some of [[], [wanda], [walter]])
      expect((await outcomes(before.chain, body, alice, ...some)).cosigned).toBe('NOT_COSIGNED')
    const after = await addCosigned(before, body, alice, wanda, walter)
    expect(after.chain).toMatchObject({ witness: wanda.peer, anchor: { id: after.chain.head.id } })
    expect(after.chain.cosigned?.id).toEqual(after.chain.head.id)
    // From here the old one's word is worth nothing.
    const handoff = await handoffBody(after.chain, bob)
    expect((await outcomes(after.chain, handoff, alice, walter)).cosigned).toBe('NOT_COSIGNED')
    expect((await outcomes(after.chain, handoff, alice, wanda)).cosigned).toBe('accepted')
    expect((await outcomes(after.chain, await takeoverBody(after.chain, bob), walter, wanda)).cosigned).toBe('BAD_SIGNATURE')
    expect(verifyChain(pruneRecords(after.records))).toMatchObject({ witness: wanda.peer })
  })

  test('to none and from none has one cosignature', async () => {
    const before = await checked()
    const none = await addCosigned(before, await toWitness(before.chain, null), alice, walter)
    expect(none.chain).toMatchObject({ witness: null, cosigned: null })
    expect((await outcomes(none.chain, await handoffBody(none.chain, bob), alice)).bare).toBe('accepted')
    const again = await addCosigned(none, await toWitness(none.chain, wanda), alice, wanda)
    expect(again.chain).toMatchObject({ witness: wanda.peer })
  })

  test('has not happened before all have cosigned it, whatever its holder writes on top of it', async () => {
    const before = await checked()
    for (const [from, to] of [
      [walter, wanda],
      [walter, null],
      [null, wanda],
    ] as const) {
      const start = from === null ? await born().then((chain) => ({ chain, records: [chain.genesis] })) : before
      const bare = await signRecord(await toWitness(start.chain, to), alice.sign)
      const held = extendChain(start.chain, bare, { trusted: true })
      const more = extendChain(held, await signRecord(checkpointBody(held), alice.sign), { trusted: true })
      for (const chain of [held, more])
        expect(chain).toMatchObject({ witness: from?.peer ?? null, changing: { from: from?.peer ?? null, to: to?.peer ?? null } })
      expect(held.cosigned).toEqual(start.chain.cosigned)
      // Nobody else takes what comes after it.
      const next = await signRecord(checkpointBody(held), alice.sign)
      for (const options of [{}, { proposed: true }]) expect(codeOf(() => extendChain(held, next, options))).toBe('NOT_COSIGNED')
      const all = [to, from].filter((one) => one !== null)
      let chain = more
      for (const [i] of all.entries()) {
        expect(chain.witness).toBe(from?.peer ?? null)
        chain = withCosigned(chain, await cosigned(bare, ...all.slice(0, i + 1)))
      }
      expect(chain).toMatchObject({ witness: to?.peer ?? null, changing: null, cosigned: to === null ? null : { id: bare.id } })
      const whole = await cosigned(bare, ...all)
      expect(extendChain(start.chain, whole)).toMatchObject({ witness: chain.witness, changing: null, cosigned: chain.cosigned })
    }
  })

  test('is applied by a checkpoint alone', async () => {
    const { chain } = await checked()
    const { orders } = (await toWitness(chain, wanda)) as { orders: readonly Uint8Array[] }
    const handoff = { ...(await handoffBody(chain, bob)), ...progress(chain, 0), orders }
    expect((await outcomes(chain, handoff, alice, walter, wanda)).proposed).toBe('BAD_ORDER')
    expect((await outcomes(chain, { ...retireBody(chain), orders }, alice, walter, wanda)).proposed).toBe('BAD_ORDER')
  })
})

/** A history of honest parties, each record cosigned as the rules ask, or more. */
const walkOf = async (walk: readonly number[]): Promise<History> => {
  let history = await witnessed()
  for (const n of walk) {
    const { chain } = history
    const { authority } = chain
    const peer = (id: string): Peer => [alice, bob, carol].find((one) => one.peer === id) ?? alice
    const to = [alice, bob, carol][n % 3] ?? alice
    const witness = chain.witness === wanda.peer ? wanda : walter
    const other = witness === walter ? wanda : walter
    if (authority.status === 'offered') {
      const by = peer(authority.ready.to)
      if (n % 5 === 0) history = await addCosigned(history, await takeoverBody(chain, to), witness, witness)
      else history = await addCosigned(history, n % 3 === 0 ? refuseBody(chain) : acceptBody(chain), by, witness)
    } else if (authority.status === 'vacant') {
      history = await addCosigned(history, await takeoverBody(chain, to), witness, witness)
    } else if (authority.status === 'retired') {
      history = await addCosigned(history, await recoverBody(chain, to, null), owner, witness)
    } else if (authority.status === 'refused') {
      history = await addCosigned(history, acceptBody(chain), peer(authority.by), witness)
    } else {
      const by = peer(authority.by)
      const kind = n % 7
      if (kind === 0) history = await addCosigned(history, await handoffBody(chain, to), by, witness)
      else if (kind === 1) history = await addCosigned(history, await takeoverBody(chain, to), witness, witness)
      else if (kind === 2) history = await addCosigned(history, await recoverBody(chain, to, null), owner, witness)
      else if (kind === 3) history = await addCosigned(history, await toWitness(chain, other), by, other, witness)
      else history = await addCosigned(history, checkpointBody(chain), by, ...(kind === 4 ? [witness] : []))
    }
  }
  return history
}

describe('any history with a witness', () => {
  test('verifies whole and pruned, and not with a cosignature taken from it that it needs', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(200), { maxLength: 8 }), fc.nat(), async (walk, pick) => {
        const { chain, records } = await walkOf(walk)
        expect(verifyChain(records)).toEqual(chain)
        const pruned = verifyChain(pruneRecords(records))
        expect(pruned).toMatchObject({ epoch: chain.epoch, witness: chain.witness, authority: chain.authority })
        for (const record of records) {
          for (const one of record.cosignatures) expect(verifyCosignature(record, one)).toBe(true)
          expect(decodeRecord(record.bytes)).toEqual(record)
        }
        const moves = records.filter(({ body }) => body.kind !== 'genesis' && body.kind !== 'checkpoint')
        const robbed = moves[pick % Math.max(1, moves.length)]
        if (robbed === undefined) return
        const without = records.map((one): LineageRecord => (one === robbed ? withCosignatures(one, []) : one))
        expect(codeOf(() => verifyChain(without))).toBe('NOT_COSIGNED')
      }),
      { numRuns: 12 },
    )
  })

  test("keeps its links when cosignatures are added: they are no part of a record's identity", async () => {
    const { chain } = await checked()
    const record = await signRecord({ ...base(chain), ...progress(chain), kind: 'checkpoint' }, alice.sign)
    expect((await cosigned(record, walter)).id).toEqual(record.id)
  })
})
