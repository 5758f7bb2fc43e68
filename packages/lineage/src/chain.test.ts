import { describe, expect, test } from 'vitest'
import {
  type Body,
  decodeRecord,
  encodeSigned,
  extendChain,
  type LineageErrorCode,
  pruneRecords,
  RECOVER_EPOCHS,
  rawCid,
  signRecord,
  startChain,
  verifyChain,
} from './index.ts'
import {
  acceptBody,
  add,
  agent,
  alice,
  bob,
  born,
  carol,
  checkpointBody,
  codeOf,
  fake,
  genesisBody,
  type History,
  handoffBody,
  type Key,
  moved,
  orderBytes,
  otherAgent,
  owner,
  readyBytes,
  recoverBody,
  refuseBody,
  retireBody,
  start,
  stranger,
} from './kit.test.util.ts'

describe('genesis', () => {
  const rules: readonly [string, object, Key, LineageErrorCode][] = [
    ['by another key', {}, stranger, 'BAD_SIGNATURE'],
    ['by the first authority', {}, alice, 'BAD_SIGNATURE'],
    ['seq 1', { seq: 1 }, owner, 'BAD_SEQ'],
    ['something before it', { prev: fake }, owner, 'BAD_PREV'],
    ['an anchor', { anchor: fake }, owner, 'BAD_ANCHOR'],
    ['epoch 0', { epoch: 0 }, owner, 'BAD_EPOCH'],
    ['epoch 2', { epoch: 2 }, owner, 'BAD_EPOCH'],
  ]
  test.each(rules)('refuses %s', async (_, change, by, code) => {
    const record = await signRecord({ ...genesisBody, ...change }, by.sign)
    expect(codeOf(() => startChain(record))).toBe(code)
  })

  test('starts epoch 1 with the authority that it names', async () => {
    const { chain } = await start()
    expect(chain).toMatchObject({
      agent,
      epoch: 1,
      tick: 0,
      records: 1,
      budget: 1_000_000n,
      authority: { status: 'held', by: alice.peer },
    })
    expect(chain.hosts).toEqual([{ peer: alice.peer, epoch: 1, tick: 0, since: genesisBody.time }])
  })

  test('is all that a chain can start with', async () => {
    const { records } = await moved()
    expect(codeOf(() => verifyChain(records.slice(1)))).toBe('NOT_GENESIS')
    expect(codeOf(() => verifyChain([]))).toBe('NOT_GENESIS')
  })
})

interface Case {
  readonly from: History
  readonly body: Body
  readonly by: Key
}
type Make = () => Promise<Case>

const held = async (): Promise<History> => {
  const history = await start()
  return add(history, { ...checkpointBody(history.chain, 5, 10n ** 9n), orders: [await orderBytes(100)] }, alice)
}
const offered = async (): Promise<History> => {
  const history = await held()
  return add(history, await handoffBody(history.chain, bob), alice)
}
const refused = async (): Promise<History> => {
  const history = await offered()
  return add(history, refuseBody(history.chain), bob)
}
const retired = async (): Promise<History> => {
  const history = await held()
  return add(history, retireBody(history.chain), alice)
}
const recovering = async (): Promise<History> => {
  const history = await held()
  return add(history, await recoverBody(history.chain, carol), owner)
}

/** An honest next record in each situation, and its signer. */
const honest = {
  checkpoint: async () => {
    const from = await held()
    return { from, body: checkpointBody(from.chain, 1, 10n ** 6n), by: alice }
  },
  bare: async () => {
    const from = await held()
    return { from, body: { ...checkpointBody(from.chain), state: null, from: from.chain.head.id }, by: alice }
  },
  handoff: async () => {
    const from = await held()
    return { from, body: await handoffBody(from.chain, bob), by: alice }
  },
  accept: async () => {
    const from = await offered()
    return { from, body: acceptBody(from.chain), by: bob }
  },
  refuse: async () => {
    const from = await offered()
    return { from, body: refuseBody(from.chain), by: bob }
  },
  'accept after a refuse': async () => {
    const from = await refused()
    return { from, body: acceptBody(from.chain), by: alice }
  },
  retire: async () => {
    const from = await held()
    return { from, body: retireBody(from.chain), by: alice }
  },
  'forced recover': async () => {
    const from = await held()
    return { from, body: await recoverBody(from.chain, carol), by: owner }
  },
  'recover after a retire': async () => {
    const from = await retired()
    return { from, body: await recoverBody(from.chain, carol, null), by: owner }
  },
  'recover to the store that was offered it': async () => {
    const from = await offered()
    return { from, body: await recoverBody(from.chain, bob, null), by: owner }
  },
  'accept after a recover': async () => {
    const from = await recovering()
    return { from, body: acceptBody(from.chain), by: carol }
  },
  'refuse after a recover': async () => {
    const from = await recovering()
    return { from, body: refuseBody(from.chain), by: carol }
  },
} as const satisfies Record<string, () => Promise<Case>>

const attempt = async ({ from, body, by }: Case): Promise<LineageErrorCode | 'accepted'> => {
  const record = await signRecord(body, by.sign)
  return codeOf(() => extendChain(from.chain, decodeRecord(record.bytes)))
}

describe('what may stand next', () => {
  test.each(Object.entries(honest))('an honest %s stands', async (_, make: Make) => {
    expect(await attempt(await make())).toBe('accepted')
  })

  // Common to all kinds: a wrong link or a wrong signer, whatever the record says.
  const common: readonly [string, (made: Case) => Promise<Case> | Case, LineageErrorCode][] = [
    ['another agent', (made) => ({ ...made, body: { ...made.body, agent: otherAgent } }), 'WRONG_AGENT'],
    ['a seq that is taken', (made) => ({ ...made, body: { ...made.body, seq: made.body.seq - 1 } }), 'BAD_SEQ'],
    ['a seq too high', (made) => ({ ...made, body: { ...made.body, seq: made.body.seq + 1 } }), 'BAD_SEQ'],
    ['another prev', (made) => ({ ...made, body: { ...made.body, prev: fake } }), 'BAD_PREV'],
    ['no prev', (made) => ({ ...made, body: { ...made.body, prev: null } }), 'BAD_PREV'],
    ['another anchor', (made) => ({ ...made, body: { ...made.body, anchor: fake } }), 'BAD_ANCHOR'],
    ['no anchor', (made) => ({ ...made, body: { ...made.body, anchor: null } }), 'BAD_ANCHOR'],
    ['an epoch too low', (made) => ({ ...made, body: { ...made.body, epoch: made.body.epoch - 1 } }), 'BAD_EPOCH'],
    ['an epoch too high', (made) => ({ ...made, body: { ...made.body, epoch: made.body.epoch + 1 } }), 'BAD_EPOCH'],
    ['the signature of a stranger', (made) => ({ ...made, by: stranger }), 'BAD_SIGNATURE'],
  ]
  for (const [kind, make] of Object.entries(honest)) {
    test.each(common)(`${kind}: %s is refused`, async (_, change, code) => {
      expect(await attempt(await change(await (make as Make)()))).toBe(code)
    })
  }

  type On = keyof typeof honest
  const rules: readonly [On, string, object | ((from: History) => object | Promise<object>), LineageErrorCode, Key?][] = [
    // who
    ['checkpoint', 'the next host signs too early', {}, 'BAD_SIGNATURE', bob],
    ['checkpoint', 'the owner signs a tick', {}, 'BAD_SIGNATURE', owner],
    ['accept', 'the source accepts its own handoff', {}, 'BAD_SIGNATURE', alice],
    ['refuse', 'the source refuses for the target', {}, 'BAD_SIGNATURE', alice],
    ['accept after a refuse', 'the one who refused takes it after all', {}, 'BAD_SIGNATURE', bob],
    ['forced recover', 'a host recovers', {}, 'BAD_SIGNATURE', alice],
    ['accept after a recover', 'the last holder takes it', {}, 'BAD_SIGNATURE', alice],
    ['retire', 'the owner retires it over the holder', {}, 'BAD_SIGNATURE', owner],
    // when
    ['checkpoint', 'time goes back', { time: genesisBody.time }, 'BAD_TIME'],
    ['retire', 'time goes back', { time: genesisBody.time }, 'BAD_TIME'],
    ['checkpoint', 'the tick goes back', { tick: 4 }, 'BAD_TICK'],
    ['handoff', 'the tick goes back', { tick: 4 }, 'BAD_TICK'],
    // state
    ['checkpoint', 'a state and a `from`', (from) => ({ from: from.chain.head.id }), 'BAD_STATE'],
    ['bare', 'neither state nor `from`', { from: null }, 'BAD_STATE'],
    ['bare', 'a `from` that is not the last state', (from) => ({ from: from.chain.genesis.id }), 'BAD_STATE'],
    ['handoff', 'no state', (from) => ({ state: null, from: from.chain.head.id }), 'BAD_STATE'],
    // what runs
    ['checkpoint', 'another module', { module: rawCid(Uint8Array.of(9)) }, 'BAD_MODULE'],
    ['handoff', 'another manifest', { manifest: rawCid(Uint8Array.of(9)) }, 'BAD_MODULE'],
    // money
    ['checkpoint', 'another price', { price: 999n }, 'BAD_PRICE'],
    ['checkpoint', 'fuel goes back', { fuel: 1n }, 'BAD_COST'],
    ['checkpoint', 'a cost too high for the fuel', (from) => ({ cost: 1002n, budget: from.chain.budget - 2n }), 'BAD_COST'],
    ['checkpoint', 'a cost too low for the fuel', (from) => ({ cost: 1000n, budget: from.chain.budget }), 'BAD_COST'],
    ['checkpoint', 'a budget from nowhere', (from) => ({ budget: from.chain.budget }), 'BAD_BUDGET'],
    ['checkpoint', 'a budget that vanishes', { budget: 0n }, 'BAD_BUDGET'],
    ['handoff', 'a budget that grows', (from) => ({ budget: from.chain.budget + 1n }), 'BAD_BUDGET'],
    ['accept', 'another price than promised', { price: 2001n }, 'BAD_PRICE'],
    ['accept', 'a budget that grows', (from) => ({ budget: from.chain.budget + 1n }), 'BAD_BUDGET'],
    ['accept', 'a budget that shrinks', (from) => ({ budget: from.chain.budget - 1n }), 'BAD_BUDGET'],
    ['accept after a refuse', 'another price than the old', { price: 2000n }, 'BAD_PRICE'],
    ['accept after a refuse', 'another budget', { budget: 1n }, 'BAD_BUDGET'],
    ['accept after a recover', 'another price than promised', { price: 1000n }, 'BAD_PRICE'],
    ['accept after a recover', 'another budget', { budget: 1n }, 'BAD_BUDGET'],
    // which store
    ['accept', 'another store than promised', { incarnation: carol.incarnation }, 'BAD_INCARNATION'],
    ['accept after a refuse', 'another store than held it', { incarnation: bob.incarnation }, 'BAD_INCARNATION'],
    ['accept after a recover', 'another store than promised', { incarnation: bob.incarnation }, 'BAD_INCARNATION'],
    // the ready
    ['handoff', 'a ready for another agent', async () => ({ ready: await readyBytes(bob, { agent: otherAgent }) }), 'BAD_READY'],
    [
      'handoff',
      'a ready that someone else signed',
      async () => ({ ready: await readyBytes({ ...bob, sign: carol.sign }) }),
      'BAD_READY',
    ],
    ['handoff', 'a ready that is none', { ready: Uint8Array.of(0xa0) }, 'BAD_READY'],
    [
      'forced recover',
      'a ready for another agent',
      async () => ({ ready: await readyBytes(bob, { agent: otherAgent }) }),
      'BAD_READY',
    ],
    [
      'forced recover',
      'a ready that someone else signed',
      async () => ({ ready: await readyBytes({ ...bob, sign: owner.sign }) }),
      'BAD_READY',
    ],
    // orders
    ['checkpoint', 'an order again', async () => ({ orders: [await orderBytes(100)] }), 'BAD_ORDER'],
    ['handoff', 'an order again', async () => ({ orders: [await orderBytes(99)] }), 'BAD_ORDER'],
    ['retire', 'an order again', async () => ({ orders: [await orderBytes(100)] }), 'BAD_ORDER'],
    ['checkpoint', 'orders out of order', async () => ({ orders: [await orderBytes(102), await orderBytes(101)] }), 'BAD_ORDER'],
    ['checkpoint', 'one order twice', async () => ({ orders: [await orderBytes(101), await orderBytes(101)] }), 'BAD_ORDER'],
    ['checkpoint', 'an order by a host', async () => ({ orders: [await orderBytes(101, {}, alice.sign)] }), 'BAD_ORDER'],
    [
      'checkpoint',
      "another agent's order",
      async () => ({ orders: [await orderBytes(101, { agent: otherAgent }, stranger.sign)] }),
      'BAD_ORDER',
    ],
    ['checkpoint', 'an order that is none', { orders: [Uint8Array.of(0xa0)] }, 'BAD_ORDER'],
    // recover
    ['forced recover', 'no word that the holder is gone', { asserts: null }, 'NOT_ASSERTED'],
    [
      'recover to the store that was offered it',
      'to another peer',
      async (from) => await recoverBody(from.chain, carol, null),
      'NOT_ASSERTED',
    ],
    [
      'recover to the store that was offered it',
      'to another store of that peer',
      async () => ({ ready: await readyBytes(bob, { incarnation: carol.incarnation }) }),
      'NOT_ASSERTED',
    ],
    ['forced recover', 'the epoch of a witness', (from) => ({ epoch: from.chain.epoch + 1 }), 'BAD_EPOCH'],
    ['forced recover', 'two jumps at once', (from) => ({ epoch: from.chain.epoch + 2 * RECOVER_EPOCHS }), 'BAD_EPOCH'],
  ]
  test.each(rules)('%s: %s', async (on, _, change, code, by) => {
    const made: Case = await honest[on]()
    const changed = typeof change === 'function' ? await change(made.from) : change
    expect(await attempt({ from: made.from, body: { ...made.body, ...changed } as Body, by: by ?? made.by })).toBe(code)
  })

  // Every kind in every situation where it may not stand, signed by whoever could claim to.
  const situations = {
    held,
    offered,
    refused,
    retired,
    recovering,
    'refused recover': async () => {
      const history = await recovering()
      return add(history, refuseBody(history.chain), carol)
    },
  }
  const allowed: Record<keyof typeof situations, readonly Body['kind'][]> = {
    held: ['checkpoint', 'handoff', 'retire', 'recover'],
    offered: ['accept', 'refuse', 'recover'],
    refused: ['accept', 'recover'],
    retired: ['recover'],
    recovering: ['accept', 'refuse', 'recover'],
    'refused recover': ['recover'],
  }
  for (const [name, make] of Object.entries(situations)) {
    test(`${name}: no kind stands that must not`, async () => {
      const history = await make()
      const { chain } = history
      const common = {
        agent,
        seq: chain.head.body.seq + 1,
        prev: chain.head.id,
        anchor: chain.anchor.id,
        time: chain.head.body.time + 1,
      }
      const bodies: readonly Body[] = [
        { ...genesisBody, ...common, epoch: chain.epoch },
        { ...checkpointBody(chain) },
        await handoffBody(chain, bob),
        retireBody(chain),
        {
          ...common,
          kind: 'accept',
          epoch: chain.epoch,
          incarnation: alice.incarnation,
          price: chain.price,
          budget: chain.budget,
        },
        { ...common, kind: 'refuse', epoch: chain.epoch, code: 'NO', reason: '' },
      ]
      for (const body of bodies) {
        if (allowed[name as keyof typeof situations].includes(body.kind)) continue
        for (const epoch of [chain.epoch, chain.epoch + 1]) {
          for (const by of [alice, bob, carol, owner]) {
            expect(await attempt({ from: history, body: { ...body, epoch }, by }), `${body.kind}`).toBe('NOT_ALLOWED')
          }
        }
      }
    })
  }

  test("two signers' clocks may differ: only a signer's own is held against it", async () => {
    const early = { time: genesisBody.time - 60_000 }
    const from = await start()
    expect(await attempt({ from, body: { ...checkpointBody(from.chain), ...early }, by: alice })).toBe('accepted')
    for (const kind of ['accept', 'refuse', 'forced recover', 'accept after a recover', 'accept after a refuse'] as const) {
      const made: Case = await honest[kind]()
      expect(await attempt({ ...made, body: { ...made.body, ...early } as Body }), kind).toBe('accepted')
    }
    const taken = await add(await offered(), acceptBody((await offered()).chain), bob)
    const body = { ...checkpointBody(taken.chain), time: taken.chain.head.body.time - 1 }
    expect(await attempt({ from: taken, body, by: bob })).toBe('BAD_TIME')
    expect(await attempt({ from: taken, body: { ...body, time: body.time + 1 }, by: bob })).toBe('accepted')
  })

  test('an error names the record that it concerns', async () => {
    const { from, body } = await honest.checkpoint()
    const record = await signRecord(body, bob.sign)
    expect(() => extendChain(from.chain, record)).toThrow(
      expect.objectContaining({ code: 'BAD_SIGNATURE', record: record.id.toString() }),
    )
  })

  test('a flipped bit in the signature is seen, unless the caller vouches for the record', async () => {
    const { from, body, by } = await honest.checkpoint()
    const record = await signRecord(body, by.sign)
    const signature = record.signed.signature.slice()
    signature[5] = (signature[5] ?? 0) ^ 4
    const forged = decodeRecord(encodeSigned({ ...record.signed, signature }))
    expect(codeOf(() => extendChain(from.chain, forged))).toBe('BAD_SIGNATURE')
    expect(extendChain(from.chain, forged, { trusted: true }).head.id.equals(record.id)).toBe(true)
  })
})

describe('what a chain says', () => {
  test('a move: hosts, epoch, price, budget', async () => {
    const { chain } = await moved()
    expect(chain.epoch).toBe(2)
    expect(chain.hosts.map(({ peer, epoch, tick }) => [peer, epoch, tick])).toEqual([
      [alice.peer, 1, 0],
      [bob.peer, 2, 1],
    ])
    expect(chain).toMatchObject({ price: 2000n, tick: 2, records: 5, authority: { status: 'held', by: bob.peer } })
    expect(chain.state?.id.equals(chain.head.id)).toBe(true)
  })

  test('the price of an epoch counts from where it began, rounded up once', async () => {
    let history = await start()
    // 1.5 s at 1000, then at 2000 a microcent per 500,000 fuel.
    history = await add(history, checkpointBody(history.chain, 1, 1_500_000_001n), alice)
    expect(history.chain.budget).toBe(1_000_000n - 1501n)
    history = await add(history, await handoffBody(history.chain, bob), alice)
    history = await add(history, acceptBody(history.chain), bob)
    for (const budget of [998_498n, 998_498n, 998_497n]) {
      history = await add(history, checkpointBody(history.chain, 1, 200_000n), bob)
      expect(history.chain.budget).toBe(budget)
    }
  })

  test('fuel does not go back where it costs nothing either', async () => {
    const chain = await born({ price: 0n })
    const history = await add({ chain, records: [chain.genesis] }, checkpointBody(chain, 1, 1000n), alice)
    const body = checkpointBody(history.chain)
    expect(await attempt({ from: history, body: { ...body, fuel: 999n }, by: alice })).toBe('BAD_COST')
    expect(await attempt({ from: history, body, by: alice })).toBe('accepted')
  })

  test('a handoff that was refused returns to its signer, two epochs on', async () => {
    let history = await refused()
    expect(history.chain.authority).toEqual({ status: 'refused', by: alice.peer, incarnation: alice.incarnation })
    history = await add(history, acceptBody(history.chain), alice)
    expect(history.chain).toMatchObject({ epoch: 3, price: 1000n, authority: { status: 'held', by: alice.peer } })
    expect(history.chain.hosts.map(({ peer, epoch }) => [peer, epoch])).toEqual([
      [alice.peer, 1],
      [alice.peer, 3],
    ])
    await add(history, checkpointBody(history.chain), alice)
  })

  test('a recover makes the epoch and its target takes it; the assertion stays visible', async () => {
    let history = await recovering()
    expect(history.chain.epoch).toBe(1 + RECOVER_EPOCHS)
    history = await add(history, acceptBody(history.chain), carol)
    history = await add(history, checkpointBody(history.chain), carol)
    expect(history.chain).toMatchObject({ epoch: 1 + RECOVER_EPOCHS, authority: { status: 'held', by: carol.peer } })
    expect(history.chain.asserted.map(({ asserts }) => asserts)).toEqual(['holder-gone'])
  })

  test('after a retire the owner recovers without asserting anything', async () => {
    let history = await retired()
    history = await add(history, await recoverBody(history.chain, carol, null), owner)
    history = await add(history, acceptBody(history.chain), carol)
    expect(history.chain.asserted).toEqual([])
  })

  test('orders: the highest n is kept, also from a retire', async () => {
    let history = await held()
    expect(history.chain.lastOrder).toBe(100)
    history = await add(history, { ...retireBody(history.chain), orders: [await orderBytes(101, { kind: 'retire' })] }, alice)
    expect(history.chain.lastOrder).toBe(101)
  })

  describe('an order that changes the terms', () => {
    const other = rawCid(Uint8Array.of(1))
    const funded = (n: number, amount: bigint) => orderBytes(n, { kind: 'fund', amount })
    const upgraded = (n: number) => orderBytes(n, { kind: 'upgrade', module: other })

    test('adds funds once, and the record is an anchor', async () => {
      const history = await held()
      const { budget } = history.chain
      const body = checkpointBody(history.chain, 1, 10n ** 9n)
      const cost = body.cost - (history.chain.progress?.body.cost ?? 0n)
      const orders = [await funded(101, 500n), await funded(102, 7n)]
      const { chain } = await add(history, { ...body, orders, budget: budget + 507n - cost }, alice)
      expect(chain).toMatchObject({ budget: budget + 507n - cost, lastOrder: 102 })
      expect(chain.anchor.id).toEqual(chain.head.id)
      for (const wrong of [budget - cost, budget + 507n, budget + 508n - cost])
        await expect(add(history, { ...body, orders, budget: wrong }, alice)).rejects.toMatchObject({ code: 'BAD_BUDGET' })
      const handoff = { ...(await handoffBody(history.chain, bob)), orders, budget: budget + 507n }
      await expect(add(history, handoff, alice)).rejects.toMatchObject({ code: 'BAD_ORDER' })
    })

    test('is kept with every later record: what is left can always be checked', async () => {
      let history = await held()
      const orders = [await funded(101, 500n)]
      const { budget } = history.chain
      history = await add(history, { ...checkpointBody(history.chain), orders, budget: budget + 500n }, alice)
      for (let i = 0; i < 3; i++) history = await add(history, checkpointBody(history.chain, 1, 10n ** 6n), alice)
      const pruned = pruneRecords(history.records)
      expect(pruned.length).toBeLessThan(history.records.length)
      expect(verifyChain(pruned)).toMatchObject({ budget: history.chain.budget, head: history.chain.head })
      const without = history.records.filter(({ body }) => !('orders' in body) || body.seq < 2 || body.orders.length === 0)
      expect(codeOf(() => verifyChain(without))).toBe('BAD_ANCHOR')
    })

    test('lets the module change, or stay where the new one did not take over; nothing else does', async () => {
      const history = await held()
      const body = checkpointBody(history.chain)
      const orders = [await upgraded(101)]
      const { chain } = await add(history, { ...body, orders, module: other }, alice)
      expect(chain.module).toEqual(other)
      expect((await add(history, { ...body, orders }, alice)).chain.module).toEqual(history.chain.module)
      await expect(add(history, { ...body, module: other }, alice)).rejects.toMatchObject({ code: 'BAD_MODULE' })
      const third = rawCid(Uint8Array.of(3))
      await expect(add(history, { ...body, orders, module: third }, alice)).rejects.toMatchObject({ code: 'BAD_MODULE' })
    })

    test('of nothing is none', async () => {
      await expect(funded(1, 0n)).rejects.toMatchObject({ code: 'BAD_FIELD' })
      await expect(funded(1, 2n ** 63n)).rejects.toMatchObject({ code: 'BAD_FIELD' })
    })
  })

  test('a ready made ahead, for any agent, serves', async () => {
    const history = await held()
    const { chain } = await add(history, await handoffBody(history.chain, bob, { agent: null }), alice)
    expect(chain.authority).toMatchObject({ status: 'offered', by: alice.peer })
  })
})

describe('what is known', () => {
  test('is taken as it is, and nothing else with it', async () => {
    const { chain } = await start()
    // Signed by somebody else: only who knows better lets it in.
    const ready = await readyBytes({ ...bob, sign: carol.sign })
    const order = await orderBytes(100, {}, stranger.sign)
    const body = { ...(await handoffBody(chain, bob)), ready, orders: [order] }
    const record = await signRecord(body, alice.sign)
    expect(codeOf(() => extendChain(chain, record))).toBe('BAD_ORDER')
    expect(codeOf(() => extendChain(chain, record, { known: [order] }))).toBe('BAD_READY')
    expect(codeOf(() => extendChain(chain, record, { known: [ready] }))).toBe('BAD_ORDER')
    expect(extendChain(chain, record, { known: [order, ready] }).authority.status).toBe('offered')
    expect(codeOf(() => extendChain(chain, record, { known: [order, ready.slice(1)] }))).toBe('BAD_READY')
    const forged = await signRecord(body, stranger.sign)
    expect(codeOf(() => extendChain(chain, forged, { known: [order, ready] }))).toBe('BAD_SIGNATURE')
  })
})
