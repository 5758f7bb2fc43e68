import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type Body,
  cborCid,
  cidOfDigest,
  DAG_CBOR,
  decodeBody,
  decodeOrder,
  decodeReady,
  decodeRecord,
  decodeSigned,
  decodeState,
  didOf,
  encodeBody,
  extendChain,
  LineageError,
  MAX_ORDER_BYTES,
  MAX_ORDERS,
  MAX_READY_BYTES,
  MAX_RECORD_BYTES,
  makeOrder,
  makeReady,
  moduleParts,
  type Order,
  parseCid,
  peerIdOf,
  plainText,
  RAW,
  type Ready,
  readOrder,
  readReady,
  signRecord,
  startChain,
} from './index.ts'
import {
  agent,
  alice,
  bob,
  carol,
  checkpointBody,
  genesisBody,
  handoffBody,
  live,
  moved,
  orderBytes,
  owner,
  readyBytes,
  readyOf,
  recoverBody,
  retireBody,
  start,
  steps,
  stranger,
} from './kit.test.util.ts'

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
const raw = bytes(32).map((digest) => cidOfDigest(RAW, digest))
const cbor = bytes(32).map((digest) => cidOfDigest(DAG_CBOR, digest))
const block = fc.oneof(raw, cbor)
const did = bytes(32).map(didOf)
const peer = bytes(32).map(peerIdOf)
const int64 = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n })
const natural = fc.maxSafeNat()
const time = fc.integer({ min: 0, max: 8_640_000_000_000_000 })
const text = (minLength: number, maxLength: number) =>
  fc.string({ unit: 'grapheme', minLength, maxLength }).filter((value) => {
    const length = [...value].length
    return !/\p{Cc}/u.test(value) && length >= minLength && length <= maxLength
  })
const orders = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: MAX_ORDERS })
const base = { agent: did, seq: natural, prev: fc.option(cbor), anchor: fc.option(cbor), epoch: natural, time }
const progress = {
  journal: fc.option(block),
  state: fc.option(cbor),
  from: fc.option(cbor),
  tick: natural,
  module: block,
  manifest: raw,
  instrument: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  costTable: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  fuel: int64,
  cost: int64,
  price: int64,
  budget: int64,
  orders,
}
const anyBody: fc.Arbitrary<Body> = fc.oneof(
  fc.record({
    ...base,
    kind: fc.constant('genesis' as const),
    version: fc.constant(1 as const),
    nonce: bytes(32),
    name: text(1, 64),
    module: block,
    manifest: raw,
    init: fc.option(raw),
    budget: int64,
    price: int64,
    authority: peer,
    incarnation: bytes(16),
    witness: fc.option(peer),
  }),
  fc.record({ ...base, ...progress, kind: fc.constant('checkpoint' as const) }),
  fc.record({
    ...base,
    ...progress,
    kind: fc.constant('handoff' as const),
    ready: fc.uint8Array({ minLength: 1, maxLength: MAX_READY_BYTES }),
  }),
  fc.record({ ...base, kind: fc.constant('accept' as const), incarnation: bytes(16), budget: int64, price: int64 }),
  fc.record({
    ...base,
    kind: fc.constant('refuse' as const),
    code: fc.stringMatching(/^[\x21-\x7e]{1,64}$/),
    reason: text(0, 256),
  }),
  fc.record({
    ...base,
    kind: fc.constant('recover' as const),
    ready: fc.uint8Array({ minLength: 1, maxLength: MAX_READY_BYTES }),
    because: text(0, 256),
    asserts: fc.constantFrom('holder-gone' as const, null),
  }),
  fc.record({
    ...base,
    kind: fc.constant('recover' as const),
    ready: fc.uint8Array({ minLength: 1, maxLength: MAX_READY_BYTES }),
    because: text(0, 256),
    asserts: fc.constant('witness-gone' as const),
    witness: fc.option(fc.constant(alice.peer), { nil: null }),
  }),
  fc.record({ ...base, kind: fc.constant('retire' as const), because: text(0, 256), orders }),
)

/** Fails the test for anything thrown that is not a LineageError. */
const refused = (run: () => unknown): boolean => {
  try {
    run()
    return false
  } catch (error) {
    if (error instanceof LineageError) return true
    throw error
  }
}

describe('bodies', () => {
  test('any body round-trips, and has one spelling', () => {
    fc.assert(
      fc.property(anyBody, (body) => {
        const encoded = encodeBody(body)
        expect(decodeBody(encoded)).toEqual(body)
        expect(encodeBody(decodeBody(encoded))).toEqual(encoded)
      }),
      { numRuns: 200 },
    )
  })

  test('any changed byte gives another body or none, never the same', () => {
    fc.assert(
      fc.property(anyBody, fc.nat(), fc.integer({ min: 1, max: 255 }), (body, pick, mask) => {
        const encoded = encodeBody(body)
        const at = pick % encoded.length
        const changed = encoded.with(at, (encoded[at] ?? 0) ^ mask)
        refused(() => expect(decodeBody(changed)).not.toEqual(body))
      }),
      { numRuns: 300 },
    )
  })

  const bad: readonly [string, object][] = [
    ['a field too many', { extra: 1 }],
    ['a field undefined', { init: undefined }],
    ['a name that is empty', { name: '' }],
    ['a name too long', { name: 'x'.repeat(65) }],
    ['a name that breaks a terminal', { name: 'a\u001b[2J' }],
    ['a name that is half a character', { name: '\ud800' }],
    ['a name that is not text', { name: 5 }],
    ['a nonce too short', { nonce: new Uint8Array(31) }],
    ['a nonce that is a list', { nonce: Array.from({ length: 32 }, () => 0) }],
    ['a negative budget', { budget: -1n }],
    ['a budget beyond i64', { budget: 2n ** 63n }],
    ['a price that is a fraction', { price: 1.5 }],
    ['a price that is not a number', { price: '1' }],
    ['a negative seq', { seq: -1 }],
    ['a seq of -0', { seq: -0 }],
    ['a seq that is a fraction', { seq: 0.5 }],
    ['a seq that is not safe', { seq: 2 ** 53 }],
    ['a seq that is big', { seq: 2n ** 60n }],
    ['a time that is NaN', { time: Number.NaN }],
    ['a time past all dates', { time: 8_640_000_000_000_001 }],
    ['another version', { version: 2 }],
    ['an unknown kind', { kind: 'pruned' }],
    ['a kind from Object', { kind: 'constructor' }],
    ['a peer id that is none', { authority: 'alice' }],
    ['a DID for a peer id', { authority: agent }],
    ['a peer id for a DID', { agent: alice.peer }],
    ['a CID of the wrong codec', { manifest: cborCid(Uint8Array.of(1)) }],
    ['a CID that is text', { module: genesisBody.module.toString() }],
    ['no module', { module: null }],
  ]
  test.each(bad)('refuses %s', (_, change) => {
    expect(refused(() => encodeBody({ ...genesisBody, ...change } as Body))).toBe(true)
  })

  test('says which field is wrong', async () => {
    const { chain } = await start()
    const recover = await recoverBody(chain, bob)
    const refuse = { ...retireBody(chain), kind: 'refuse', code: 'NO_ROOM', reason: '', because: undefined, orders: undefined }
    const { because: _, orders: __, ...refusal } = refuse
    const cases: readonly [object, RegExp][] = [
      [{ ...recover, asserts: 'nobody' }, /recover\.asserts must be one of/],
      [{ ...refusal, code: 'no room' }, /refuse\.code must be .* without spaces/],
      [{ ...refusal, code: '' }, /refuse\.code/],
      [{ ...refusal, code: 'x'.repeat(65) }, /refuse\.code/],
      [{ ...refusal, code: 5 }, /refuse\.code/],
      [{ ...genesisBody, agent: 5 }, /genesis\.agent must be a did:key/],
      [{ ...genesisBody, authority: 5 }, /genesis\.authority must be a peer id/],
      [refuse, /refuse must be without the field/],
    ]
    for (const [body, message] of cases) expect(() => encodeBody(body as Body)).toThrow(message)
    expect(encodeBody(refusal as Body).length).toBeGreaterThan(0)
    const { budget: ___, ...poor } = genesisBody
    expect(() => encodeBody(poor as Body)).toThrow(/genesis\.budget must be there/)
    expect(() => decodeBody(Uint8Array.of(0xff))).toThrow(expect.objectContaining({ code: 'BAD_ENCODING' }))
  })

  test('refuses more orders than a record may apply, and larger ones', async () => {
    const { chain } = await start()
    const order = await orderBytes(1)
    const body = { ...checkpointBody(chain), orders: Array.from({ length: MAX_ORDERS + 1 }, () => order) }
    expect(refused(() => encodeBody(body))).toBe(true)
    expect(refused(() => encodeBody({ ...body, orders: [new Uint8Array(MAX_ORDER_BYTES + 1)] }))).toBe(true)
  })

  test('the largest record fits its limit', async () => {
    const { chain } = await moved()
    const largest = '\u{1f600}'.repeat(256)
    const body = {
      ...(await recoverBody(chain, carol)),
      because: largest,
      ready: new Uint8Array(MAX_READY_BYTES),
    }
    const handoff = {
      ...(await handoffBody(chain, carol)),
      ready: new Uint8Array(MAX_READY_BYTES),
      orders: Array.from({ length: MAX_ORDERS }, () => new Uint8Array(MAX_ORDER_BYTES)),
    }
    for (const one of [body, handoff]) expect((await signRecord(one, owner.sign)).bytes.length).toBeLessThan(MAX_RECORD_BYTES)
    const largestReady = await makeReady(readyOf(bob, { price: 2n ** 63n - 1n, expiry: 8_640_000_000_000_000 }), bob.sign)
    expect(largestReady.bytes.length).toBeLessThan(MAX_READY_BYTES)
  })

  test('plainText makes any text fit', async () => {
    const { chain } = await start()
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 2000 }), (value) => {
        encodeBody({ ...retireBody(chain), because: plainText(value) })
      }),
      { numRuns: 50 },
    )
    expect(plainText('one\ntwo\u0007')).toBe('one two ')
    expect([...plainText('\u{1f600}'.repeat(999))].length).toBe(256)
  })
})

describe('no byte of what is signed can be changed', () => {
  const flips = function* (encoded: Uint8Array): Generator<Uint8Array> {
    for (let at = 0; at < encoded.length; at++) yield encoded.with(at, (encoded[at] ?? 0) ^ (1 << ((at * 5) % 8)))
  }

  test('records', async () => {
    const { records } = await moved()
    const [genesis, , handoff] = records
    if (genesis === undefined || handoff === undefined) throw new Error('no records')
    const chain = extendChain(startChain(genesis), records[1] as typeof genesis)
    for (const flipped of flips(genesis.bytes)) expect(refused(() => startChain(decodeRecord(flipped)))).toBe(true)
    for (const flipped of flips(handoff.bytes)) expect(refused(() => extendChain(chain, decodeRecord(flipped)))).toBe(true)
  })

  test('readies', async () => {
    for (const flipped of flips(await readyBytes(bob))) expect(refused(() => readReady(flipped))).toBe(true)
  })

  test('orders', async () => {
    for (const flipped of flips(await orderBytes(7, { kind: 'move', to: bob.peer })))
      expect(refused(() => readOrder(flipped))).toBe(true)
  })

  test('nothing can be cut off or added', async () => {
    const { records } = await moved()
    const encoded = records[2]?.bytes ?? new Uint8Array(0)
    for (let length = 0; length < encoded.length; length++)
      expect(refused(() => decodeRecord(encoded.slice(0, length)))).toBe(true)
    expect(refused(() => decodeRecord(Uint8Array.of(...encoded, 0)))).toBe(true)
  })
})

describe('readies and orders', () => {
  const anyReady: fc.Arbitrary<Ready> = fc.record({
    agent: fc.option(did),
    handoff: bytes(16),
    to: fc.constant(bob.peer),
    incarnation: bytes(16),
    price: int64,
    nonce: bytes(32),
    expiry: time,
  })
  test('any ready round-trips', async () => {
    await fc.assert(
      fc.asyncProperty(anyReady, async (ready) => {
        const made = await makeReady(ready, bob.sign)
        expect(readReady(made.bytes)).toEqual(made)
        expect(made.ready).toEqual(ready)
      }),
      { numRuns: 20 },
    )
  })

  const anyOrder: fc.Arbitrary<Order> = fc.oneof(
    fc.record({ agent: fc.constant(agent), n: natural, kind: fc.constant('move' as const), to: peer }),
    fc.record({
      agent: fc.constant(agent),
      n: natural,
      kind: fc.constantFrom('pause' as const, 'resume' as const, 'retire' as const),
    }),
  )
  test('any order round-trips', async () => {
    await fc.assert(
      fc.asyncProperty(anyOrder, async (order) => {
        const made = await makeOrder(order, owner.sign)
        expect(readOrder(made.bytes)).toEqual(made)
        expect(made.order).toEqual(order)
      }),
      { numRuns: 20 },
    )
  })

  test('are refused from another signer', async () => {
    const ready = await makeReady(readyOf(bob), carol.sign)
    expect(() => readReady(ready.bytes)).toThrow(expect.objectContaining({ code: 'BAD_SIGNATURE' }))
    const order = await makeOrder({ agent, n: 1, kind: 'pause' }, stranger.sign)
    expect(() => readOrder(order.bytes)).toThrow(expect.objectContaining({ code: 'BAD_SIGNATURE' }))
  })

  test('an order serves as no other kind of message', async () => {
    const { signed } = await makeOrder({ agent, n: 1, kind: 'pause' }, owner.sign)
    expect(refused(() => decodeBody(signed.body))).toBe(true)
    expect(refused(() => decodeReady(signed.body))).toBe(true)
  })

  const bad: readonly [string, object][] = [
    ['a kind that is none', { kind: 'fund' }],
    ['a pause with a target', { kind: 'pause', to: bob.peer }],
    ['a move without one', { kind: 'move' }],
    ['a move to an address', { kind: 'move', to: '/ip4/127.0.0.1/tcp/1' }],
    ['a negative n', { n: -1 }],
    ['no agent', { agent: null }],
  ]
  test.each(bad)('an order with %s is refused', async (_, change) => {
    await expect(makeOrder({ agent, n: 1, kind: 'pause', ...change } as Order, owner.sign)).rejects.toThrow(LineageError)
  })
})

describe('decoders throw nothing but LineageError', () => {
  const decoders: readonly [string, (bytes: Uint8Array) => unknown][] = [
    ['decodeSigned', decodeSigned],
    ['decodeBody', decodeBody],
    ['decodeRecord', decodeRecord],
    ['decodeReady', decodeReady],
    ['readReady', readReady],
    ['decodeOrder', decodeOrder],
    ['readOrder', readOrder],
    ['decodeState', decodeState],
    ['moduleParts', (input) => moduleParts(cborCid(Uint8Array.of(1)), input)],
    ['parseCid', (input) => parseCid(input instanceof Uint8Array ? new TextDecoder().decode(input) : input)],
  ]
  test.each(decoders)('%s, on anything', (_, decode) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (input) => {
        refused(() => decode(input))
      }),
      { numRuns: 300 },
    )
    for (const value of [undefined, null, 'text', {}, [1]]) refused(() => decode(value as unknown as Uint8Array))
  })

  test.each(decoders)('%s, on what is nearly right', async (_, decode) => {
    const { records } = await live((await fc.sample(steps(10), 1)[0]) as never)
    const seeds = [...records.map((record) => record.bytes), await readyBytes(bob), await orderBytes(1)]
    const inputs = [...seeds, ...seeds.map((encoded) => decodeSigned(encoded).body)]
    fc.assert(
      fc.property(fc.nat(), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }), fc.nat(20), (pick, changes, cut) => {
        const input = (inputs[pick % inputs.length] ?? new Uint8Array(0)).slice()
        for (const [at, value] of changes) input[at % input.length] = value
        refused(() => decode(input.subarray(0, input.length - (cut > 10 ? cut : 0))))
      }),
      { numRuns: 200 },
    )
  })

  test('bombs: deep nesting, promised lengths, huge numbers', () => {
    const bombs = [
      new Uint8Array(20_000).fill(0x81),
      new Uint8Array(20_000).fill(0xc6),
      new Uint8Array(1_000_000).fill(0x81),
      Uint8Array.of(0x9b, 0, 0, 0, 255, 255, 255, 255, 255),
      Uint8Array.of(0xbb, 0, 0, 0, 255, 255, 255, 255, 255),
      Uint8Array.of(0x5b, 0, 0, 0, 255, 255, 255, 255, 255),
      Uint8Array.of(0x9a, 255, 255, 255, 255, ...new Uint8Array(20_000)),
      Uint8Array.of(0xd8, 42, 0x58, 37, 0, 1, 0x55, 0x12, 32),
    ]
    for (const bomb of bombs) {
      for (const [name, decode] of decoders)
        expect(
          refused(() => decode(bomb)),
          name,
        ).toBe(true)
    }
  })
})
