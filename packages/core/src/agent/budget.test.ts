import { type Chain, costOf, FUEL_PER_SECOND } from '@igor/lineage'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createWorld, eventually, manifest, until, type World } from '../node/fixtures/world.ts'
import { makeDisk } from '../testing/memory-files.ts'
import { add, buildAgent, call, count, drop, i32, load, store, unreachable } from '../worker/fixtures/wasm.ts'
import { meterOf, payableAt, payableFuel } from './budget.ts'

const SAY = { 'igor.log_emit': 'i32 i32 ->' }
const COUNT = 8
const TEXT = 64
const HEAP = 4096
/** Says how often it ticked, as one character above the space, after a letter. */
const say = (letter: string) => [
  ...store(TEXT, add(i32(letter.charCodeAt(0)), [...add(load(COUNT), i32(32)), ...i32(8), 0x74])),
  ...call('igor.log_emit', i32(TEXT), i32(2)),
]
const carries = {
  agent_checkpoint: { type: '-> i32', code: i32(4) },
  agent_checkpoint_ptr: { type: '-> i32', code: i32(COUNT) },
}
const resumes = {
  malloc: { type: 'i32 -> i32', code: i32(HEAP) },
  agent_resume: { type: 'i32 i32 ->', code: store(COUNT, load(HEAP)) },
}
const first = () => buildAgent({ imports: SAY, memory: 1, functions: carries, tick: [...count(COUNT), ...say('a'), ...i32(0)] })
const second = (functions: object = { ...carries, ...resumes }) =>
  buildAgent({ imports: SAY, memory: 2, functions: functions as never, tick: [...count(COUNT), ...say('b'), ...i32(0)] })

const chainAt = (budget: bigint, price: bigint, fuel: bigint, cost: bigint, billed: { fuel: bigint; cost: bigint }): Chain =>
  ({ budget, price, billed, progress: { body: { fuel, cost } } }) as unknown as Chain

describe('what a budget pays for', () => {
  const amount = fc.bigInt({ min: 0n, max: 2n ** 40n })
  it('is never more than is left, and all of it but for less than a microcent', () => {
    fc.assert(
      fc.property(amount, fc.bigInt({ min: 1n, max: 10n ** 6n }), amount, amount, (budget, price, before, since) => {
        const billed = { fuel: 77n, cost: 3n }
        const cost = billed.cost + costOf(before, price)
        const chain = chainAt(budget, price, billed.fuel + before, cost, billed)
        const { budget: left } = meterOf(chain, since)
        const payable = payableFuel(chain, since) ?? 0n
        if (left < 0n) expect(payable).toBe(0n)
        else expect(meterOf(chain, since + payable).budget).toBeGreaterThanOrEqual(0n)
        expect(meterOf(chain, since + payable + 1n).budget).toBeLessThan(1n)
        expect(meterOf(chain, since + payable + FUEL_PER_SECOND / price + 1n).budget).toBeLessThan(0n)
      }),
    )
  })

  it('does not depend on how the way was cut into records', () => {
    fc.assert(
      fc.property(fc.array(amount, { minLength: 1, maxLength: 8 }), fc.bigInt({ min: 0n, max: 10n ** 6n }), (parts, price) => {
        const billed = { fuel: 0n, cost: 0n }
        let [fuel, cost, budget] = [0n, 0n, 10n ** 18n]
        for (const part of parts) ({ fuel, cost, budget } = meterOf(chainAt(budget, price, fuel, cost, billed), part))
        const all = parts.reduce((sum, part) => sum + part, 0n)
        expect({ fuel, cost, budget }).toEqual(meterOf(chainAt(10n ** 18n, price, 0n, 0n, billed), all))
      }),
    )
  })

  it('is everything where nothing is asked', () => {
    expect(payableFuel(chainAt(0n, 0n, 5n, 0n, { fuel: 0n, cost: 0n }), 1n)).toBeUndefined()
    expect(payableAt(0n, 0n)).toBeUndefined()
    expect(payableAt(5n, 10n)).toBe(500_000_000n)
  })
})

describe('an agent that pays', () => {
  let world: World
  beforeEach(() => {
    world = createWorld()
  })
  afterEach(async () => {
    await world.stop()
  })
  const PRICE = 1_000_000_000n

  it('rests when its budget is used up, loses nothing, and goes on when its owner adds funds, from anywhere', async () => {
    const a = await world.start(makeDisk(), { policy: { price: PRICE } })
    const agent = await a.spawn({ module: first(), manifest: manifest({ tick_interval_ms: 10 }), budget: 20_000n })
    await eventually(a, () => agent.status.state === 'exhausted')
    const { tick, budget, reason } = agent.status
    expect(tick).toBeGreaterThan(2)
    expect(budget).toBe(0n)
    expect(reason).toContain('adds funds')
    const stopped = agent.status.seq
    await a.stop()
    const again = await world.start(a.disk.copy(), { policy: { price: PRICE } })
    expect(again.agent(agent.id).status).toMatchObject({ state: 'exhausted', tick, seq: stopped, budget: 0n })
    const b = await world.start()
    const [seed = ''] = await again.exportKeys()
    await b.importKey(Uint8Array.from(seed.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16)))
    await eventually(b, () => b.agents().some((one) => one.agent === agent.id && one.owned))
    await b.agent(agent.id).fund(1_000_000n)
    await eventually(again, () => again.agent(agent.id).status.tick > tick)
    const { budget: left, state } = again.agent(agent.id).status
    expect(state).toBe('active')
    expect(left).toBeLessThan(1_000_000n)
    expect((await again.agent(agent.id).passport()).records).toBeGreaterThan(2)
    await expect(again.agent(agent.id).fund(0n)).rejects.toMatchObject({ code: 'BAD_REQUEST' })
    await expect(again.agent(agent.id).fund(2n ** 63n - 1n)).rejects.toMatchObject({ code: 'BAD_ORDER' })
  })

  it('reads balance, price and receipts', async () => {
    const wallet = buildAgent({
      imports: {
        ...SAY,
        'igor.view_show': 'i32 i32 i32 i32 i32 -> i32',
        'igor.wallet_balance': '-> i64',
        'igor.node_price': '-> i64',
        'igor.wallet_receipt_count': '-> i32',
        'igor.wallet_receipt': 'i32 i32 i32 -> i32',
      },
      memory: 1,
      tick: [
        ...i32(TEXT),
        ...call('igor.wallet_balance'),
        ...[0x37, 3, 0],
        ...i32(TEXT + 8),
        ...call('igor.node_price'),
        ...[0x37, 3, 0],
        ...store(TEXT + 16, call('igor.wallet_receipt_count')),
        ...store(TEXT + 20, call('igor.wallet_receipt', i32(0), i32(TEXT + 24), i32(64))),
        ...call('igor.view_show', i32(0), i32(TEXT), i32(88), i32(0), i32(0)),
        ...drop,
        ...i32(0),
      ],
    })
    const capabilities = { log: { version: 1 }, view: { version: 1 }, wallet: { version: 1 }, pricing: { version: 1 } }
    const node = await world.start(makeDisk(), { policy: { price: PRICE } })
    const agent = await node.spawn({ module: wallet, manifest: manifest({ capabilities }), budget: 10n ** 9n })
    const view = await until(agent, (event) => (event.type === 'view' ? event.view : undefined))
    const data = new DataView(view.bytes.buffer, view.bytes.byteOffset, view.bytes.length)
    expect(data.getBigUint64(8, true)).toBe(PRICE)
    expect(data.getBigUint64(0, true)).toBeGreaterThan(10n ** 9n - 1000n)
    expect(data.getUint32(16, true)).toBe(1)
    expect(data.getInt32(20, true)).toBe(64)
    // Its birth: tick 0, and when that was.
    expect(data.getBigUint64(24, true)).toBe(0n)
    expect(Number(data.getBigUint64(32, true))).toBeCloseTo(Date.now(), -5)
  })
})

describe('an upgrade', () => {
  let world: World
  beforeEach(() => {
    world = createWorld()
  })
  afterEach(async () => {
    await world.stop()
  })
  const heard = (text: string): number => text.charCodeAt(1) - 32

  it('carries what the old module gives to the new one, here and elsewhere, also across a restart and a move', async () => {
    const a = await world.start()
    const b = await world.start()
    const agent = await a.spawn({ module: first(), manifest: manifest({ tick_interval_ms: 10 }) })
    await until(agent, (event) => (event.type === 'log' && event.text.startsWith('a') && event.tick > 3 ? true : undefined))
    await eventually(a, () => a.peers().some((peer) => peer.id === b.id))
    await agent.moveTo(b.id)
    // The module is not at its host: it comes with the order.
    await agent.upgrade(second())
    const line = await until(b.agent(agent.id), (event) =>
      event.type === 'log' && event.text.startsWith('b') ? event : undefined,
    )
    expect(heard(line.text)).toBe(line.tick)
    expect((await agent.passport()).module).not.toBe(undefined)
    await b.stop()
    const again = await world.start(b.disk.copy())
    const back = again.agent(agent.id)
    const next = await until(back, (event) => (event.type === 'log' && event.tick > line.tick ? event : undefined))
    expect(next.text[0]).toBe('b')
    expect(heard(next.text)).toBe(next.tick)
    const file = await back.export()
    expect(file.length).toBeGreaterThan(1000)
  })

  it.each([
    ['traps', { ...resumes, agent_resume: { type: 'i32 i32 ->', code: unreachable } }, /must not be reached/],
    ['does not resume', {}, /does not export malloc/],
  ])('whose new module %s leaves the old one, as it was', async (_, functions, why) => {
    const node = await world.start()
    const agent = await node.spawn({ module: first(), manifest: manifest({ tick_interval_ms: 10 }) })
    await eventually(node, () => agent.status.tick > 2)
    await expect(agent.upgrade(second(functions))).rejects.toMatchObject({
      code: 'BAD_MODULE',
      message: expect.stringMatching(why),
    })
    const { tick } = agent.status
    const line = await until(agent, (event) => (event.type === 'log' && event.tick > tick ? event : undefined))
    expect(line.text[0]).toBe('a')
    expect(heard(line.text)).toBe(line.tick)
    await expect(agent.upgrade(new Uint8Array(9))).rejects.toMatchObject({ code: 'BAD_MODULE' })
    await node.stop()
    const again = await world.start(node.disk.copy())
    const back = again.agent(agent.id)
    const after = await until(back, (event) => (event.type === 'log' && event.tick > line.tick ? event : undefined))
    expect(heard(after.text)).toBe(after.tick)
  })
})
