import { type JournalEntry, readCar, type Sign, signerOfSeed, verifyChain } from '@igor/lineage'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Agent, Node } from '../api.ts'
import { inThreads } from '../execution/in-thread.ts'
import { createExecutor } from '../execution/pool.ts'
import { seedOn } from '../node/fixtures/rogue.ts'
import { createWorld, eventually, manifest, testCrypto, type World } from '../node/fixtures/world.ts'
import type { Replay, ReplayOptions } from '../replay-report.ts'
import { systemClock } from '../worker/fixtures/clock.ts'
import {
  buildAgent,
  type Code,
  call,
  count,
  drop,
  eq,
  grow,
  i32,
  load,
  load8,
  store,
  store64,
  unreachable,
  when,
} from '../worker/fixtures/wasm.ts'
import { atTick, type Evidence, entriesOf, forge, inChunk, type Lie, recordOf } from './fixtures/forge.ts'
import { replay } from './replay.ts'
import { createTrust } from './trust.ts'

const judge = async (file: Evidence, options: ReplayOptions = {}): Promise<Replay> => {
  const executor = createExecutor(inThreads(), systemClock)
  try {
    const read = async (cids: readonly unknown[]) => cids.map((cid) => file.blocks.get(String(cid)))
    return await replay(file, read, { executor, crypto: testCrypto }, options)
  } finally {
    await executor.close()
  }
}

const COUNT = 8
const TIME = 16
const CHANCE = 32
const WORD = 1024
const letter = (char: string): Code => eq(load8(WORD), i32(char.charCodeAt(0)))

/** Takes a message a tick, and heeds it: what it does, and what that costs, depends on the message, the time and chance. */
const busy = (): Uint8Array =>
  buildAgent({
    imports: { 'igor.inbox_next': 'i32 i32 -> i32', 'igor.clock_now': '-> i64', 'igor.rand_bytes': 'i32 i32 -> i32' },
    memory: 1,
    tick: [
      ...count(COUNT),
      ...[...i32(TIME), ...call('igor.clock_now'), 0x37, 3, 0],
      ...[...call('igor.rand_bytes', i32(CHANCE), i32(8)), ...drop],
      ...when(call('igor.inbox_next', i32(WORD), i32(64)), [
        ...when(letter('b'), [...count(64), ...count(72)]),
        ...when(letter('g'), [...grow(1), ...drop]),
        ...when(letter('x'), unreachable),
      ]),
      ...i32(0),
    ],
  })

const spawnBusy = (node: Node, more: object = {}): Promise<Agent> =>
  node.spawn({
    module: busy(),
    budget: 10n ** 15n,
    manifest: manifest({
      capabilities: { inbox: { version: 1 }, clock: { version: 1 }, rand: { version: 1 } },
      resource_limits: { max_fuel_per_tick: 100_000 },
      ...more,
    }),
  })

describe('an honest history', () => {
  let world: World
  beforeEach(() => {
    world = createWorld()
  })
  afterEach(async () => {
    await world.stop()
  })

  const step = fc.oneof(
    fc.record({ do: fc.constant('send' as const), text: fc.constantFrom('a', 'b', 'g', 'x', 'bb') }),
    fc.record({ do: fc.constantFrom('pause' as const, 'resume' as const, 'move' as const, 'export' as const) }),
  )

  it('is consistent, whatever happened: messages, orders, failures, moves, a memory that grows', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 14 }), async (steps) => {
        const options = { policy: { price: 50_000_000n } }
        const a: Node = await world.start(undefined, options)
        const b: Node = await world.start(undefined, options)
        let here = a
        const agent = await spawnBusy(a, { tick_interval_ms: 10, resource_limits: { max_fuel_per_tick: 50_000 } })
        for (const one of steps) {
          if (one.do === 'send') await agent.send(one.text)
          if (one.do === 'pause') await agent.pause()
          if (one.do === 'resume') await agent.resume()
          if (one.do === 'export') await here.agent(agent.id).export()
          if (one.do !== 'move') continue
          const to = here === a ? b : a
          await eventually(here, () => here.peers().some(({ id }) => id === to.id))
          await agent.moveTo(to.id)
          here = to
        }
        await agent.send('a')
        const file = await readCar(await here.agent(agent.id).export())
        const found = await judge(file)
        expect(found).toMatchObject({ verdict: 'consistent' })
        await a.stop()
        await b.stop()
      }),
      { numRuns: 8 },
    )
  }, 60_000)

  it('is consistent with funds, receipts, upgrades, restarts, and where the budget ended; of a module that failed to take over nothing is left to judge', async () => {
    const carries = {
      agent_checkpoint: { type: '-> i32', code: i32(4) },
      agent_checkpoint_ptr: { type: '-> i32', code: i32(COUNT) },
    }
    const resumes = {
      malloc: { type: 'i32 -> i32', code: i32(4096) },
      agent_resume: { type: 'i32 i32 ->', code: store(COUNT, load(4096)) },
    }
    const build = (memory: number, functions: object) =>
      buildAgent({
        imports: { 'igor.wallet_balance': '-> i64', 'igor.wallet_receipt': 'i32 i32 i32 -> i32' },
        memory,
        functions: functions as never,
        tick: [
          ...count(COUNT),
          ...store64(TIME, call('igor.wallet_balance')),
          ...[...call('igor.wallet_receipt', i32(0), i32(WORD), i32(64)), ...drop],
          ...i32(0),
        ],
      })
    const node = await world.start(undefined, { policy: { price: 10n ** 9n } })
    const agent = await node.spawn({
      module: build(1, carries),
      budget: 30_000n,
      manifest: manifest({
        capabilities: { wallet: { version: 1 } },
        resource_limits: { max_fuel_per_tick: 20_000 },
        tick_interval_ms: 10,
      }),
    })
    await eventually(node, () => agent.status.state === 'exhausted')
    await agent.fund(100_000_000n)
    await expect(
      agent.upgrade(build(1, { ...resumes, agent_resume: { type: 'i32 i32 ->', code: unreachable } })),
    ).rejects.toThrow()
    const { tick } = agent.status
    await eventually(node, () => agent.status.tick > tick + 3)
    await agent.upgrade(build(2, { ...carries, ...resumes }))
    await node.stop()
    const again = await world.start(node.disk.copy(), { policy: { price: 10n ** 9n } })
    const back = again.agent(agent.id)
    await eventually(again, () => back.status.tick > agent.status.tick + 3)
    const file = await readCar(await back.export())
    expect(file.records.flatMap(({ body }) => ('orders' in body ? body.orders : []))).toHaveLength(3)
    const found = await judge(file)
    expect(found).toMatchObject({ verdict: 'cannot judge', fromTick: 0, toTick: file.chain.tick, doubts: [{ code: 'missing' }] })
    expect(found.guilt).toBeUndefined()
    expect(found.doubts).toHaveLength(1)
    expect(found.ticks).toBe(file.chain.tick)
  })

  it('is run again by the node itself, and by its owner elsewhere', async () => {
    const [a, b] = [await world.start(), await world.start()]
    const agent = await spawnBusy(a)
    await agent.send('b')
    const own = await agent.verify({ replay: true })
    expect(own.replay).toMatchObject({ verdict: 'consistent', fromTick: 0, toTick: own.tick })
    await eventually(a, () => a.peers().length === 1)
    await agent.moveTo(b.id)
    const away = await agent.verify({ replay: true })
    expect(away.hosts.map(({ peer }) => peer)).toEqual([a.id, b.id])
    expect(away.replay?.guilt).toBeUndefined()
    await expect(b.agent(agent.id).verify({ replay: true })).resolves.toMatchObject({ agent: agent.id })
  })
})

describe('a host that lies', () => {
  const TICK = 4
  const LAST = 8
  let world: World
  let file: Evidence
  let sign: Sign

  beforeAll(async () => {
    world = createWorld()
    const node = await world.start(undefined, { policy: { price: 50_000_000n } })
    // It ticks when a message comes, and each tick is followed by a state.
    const agent = await spawnBusy(node, { tick_interval_ms: 60_000 })
    while (agent.status.tick < LAST) {
      await agent.send(agent.status.tick % 2 === 0 ? 'a' : 'b')
      await agent.pause()
      await agent.resume()
    }
    file = await readCar(await agent.export())
    sign = signerOfSeed(await seedOn(node.disk))
  })
  afterAll(async () => {
    await world.stop()
  })

  const tell = (lie: Omit<Lie, 'seq'> & { seq?: number }) => forge(file, sign, { seq: recordOf(file, TICK).body.seq, ...lie })
  const header = (change: object) => atTick(TICK, (entry) => ({ ...entry, header: { ...entry.header, ...change } }))
  /** `a` is `b`. */
  const flipped = (message: Uint8Array) => message.map((byte) => byte ^ 3)
  const headerAt = () => {
    const entry = entriesOf(file, recordOf(file, TICK)).find((one) => one.kind === 'run' && one.header.tick === TICK)
    if (entry?.kind !== 'run') throw new Error('no such tick')
    return entry
  }

  it('has a history that is consistent before it is altered', async () => {
    expect(await judge(file)).toMatchObject({ verdict: 'consistent', fromTick: 0, toTick: file.chain.tick, doubts: [] })
  })

  const lies: readonly [string, () => Omit<Lie, 'seq'>, object][] = [
    [
      'a byte of the state',
      () => ({ state: inChunk(file, 3, (chunk) => chunk.fill(1, 7, 8)) }),
      { claim: 'state', part: 'memory', chunk: 3 },
    ],
    [
      'random numbers of its own',
      () => ({ state: inChunk(file, 0, (chunk) => chunk.fill(7, CHANCE, CHANCE + 8)) }),
      { claim: 'state', part: 'memory', chunk: 0 },
    ],
    [
      'the fuel of one tick',
      () => ({ fuel: 1n, entries: atTick(TICK, (entry) => ({ ...entry, fuel: entry.fuel + 1n })) }),
      { claim: 'fuel' },
    ],
    ['fuel that no tick used', () => ({ fuel: 1000n }), { claim: 'fuel' }],
    ['the cost', () => ({ body: (body) => ({ ...body, cost: body.cost + 1n }) }), { claim: 'cost' }],
    [
      'the tick',
      () => ({ body: (body) => ({ ...body, tick: body.tick }), entries: header({ tick: TICK + 1 }) }),
      { claim: 'journal' },
    ],
    [
      'a message',
      () => ({
        entries: (all) => all.map((one) => (one.kind === 'message' ? { ...one, message: flipped(one.message) } : one)),
      }),
      { claim: 'state', part: 'memory', chunk: 0 },
    ],
    [
      'a message that never came',
      () => ({ entries: (all) => all.filter(({ kind }) => kind !== 'message') }),
      { claim: 'journal' },
    ],
    [
      'the same message twice',
      () => ({ entries: (all) => all.flatMap((one): JournalEntry[] => (one.kind === 'message' ? [one, one] : [one])) }),
      { claim: 'journal' },
    ],
    [
      'the time',
      () => ({ entries: header({ time: headerAt().header.time + 1n }) }),
      { claim: 'state', part: 'memory', chunk: 0 },
    ],
    ['a time that goes back', () => ({ entries: header({ time: 1n }) }), { claim: 'journal' }],
    ['the balance', () => ({ entries: header({ balance: 5n }) }), { claim: 'journal' }],
    ['the price', () => ({ entries: header({ price: 1n }) }), { claim: 'journal' }],
    ['the epoch, and so the seed', () => ({ entries: header({ epoch: 2 }) }), { claim: 'journal' }],
    [
      'receipts, to an agent that may see none',
      () => ({ entries: header({ receipts: [new Uint8Array(64)] }) }),
      { claim: 'journal' },
    ],
    ['a limit over the manifest', () => ({ entries: header({ limit: 100_001n }) }), { claim: 'journal' }],
    [
      'a failure that was none',
      () => ({ entries: atTick(TICK, (entry) => ({ ...entry, ticks: 0, fuel: 0n, taken: 0, failed: 'unreachable' })) }),
      { claim: 'journal' },
    ],
  ]
  it.each(lies)('about %s is guilty, at exactly that tick', async (_, make, expected) => {
    const forged = await tell(make())
    const seq = recordOf(file, TICK).body.seq
    const found = await judge(forged)
    expect(found).toMatchObject({
      verdict: 'guilty',
      guilt: { ...expected, tick: TICK, agreedTick: TICK - 1, seq, signer: file.chain.authority.by },
    })
    expect(found.guilt?.record).toBe(forged.records.find(({ body }) => body.seq === seq)?.id.toString())
  })

  it('about the order of messages is guilty', async () => {
    const [first, second] = [recordOf(file, TICK - 1), recordOf(file, TICK)]
    const messageOf = (record: typeof first) => entriesOf(file, record).find(({ kind }) => kind === 'message')
    const [one, two] = [messageOf(first), messageOf(second)]
    if (one === undefined || two === undefined) throw new Error('no messages')
    const swap = (by: JournalEntry) => (all: readonly JournalEntry[]) =>
      all.map((entry) => (entry.kind === 'message' ? by : entry))
    const half = await forge(file, sign, { seq: first.body.seq, entries: swap(two) })
    const forged = await forge(half, sign, { seq: second.body.seq, entries: swap(one) })
    expect(() => verifyChain(forged.records)).not.toThrow()
    expect(await judge(forged)).toMatchObject({ verdict: 'guilty', guilt: { tick: TICK - 1, claim: 'state' } })
  })

  it('is not caught by a judge that trusts a later state, and by one that trusts an earlier one', async () => {
    // The next tick writes over it.
    const forged = await tell({ state: inChunk(file, 0, (chunk) => chunk.fill(7, CHANCE, CHANCE + 8)) })
    const { seq } = recordOf(forged, TICK).body
    const after = Math.max(...forged.records.map(({ body }) => ('tick' in body && body.tick === TICK ? body.seq : 0)))
    const late = await judge(forged, { since: after })
    expect(late).toMatchObject({ verdict: 'consistent', fromTick: TICK + 1, toTick: file.chain.tick, doubts: [] })
    expect(await judge(forged, { since: seq - 1 })).toMatchObject({ verdict: 'guilty', ticks: 1 })
    expect(await judge(forged, { since: 10 ** 6 })).toMatchObject({ verdict: 'consistent', ticks: 0, fromTick: null })
  })

  it('is trusted for what the judge signed as host itself, and for what it ran again before', () => {
    const { chain, records } = file
    const state = chain.state?.body.seq
    const [host] = chain.hosts
    expect(createTrust('another').newest(chain, records)).toBe(-1)
    expect(createTrust(host?.peer ?? '').newest(chain, records)).toBe(state)
    const trust = createTrust('another')
    const { seq } = recordOf(file, TICK).body
    const then = verifyChain(records.filter(({ body }) => body.seq <= seq))
    trust.add(then)
    expect(trust.newest(chain, records)).toBe(seq)
    trust.add(chain)
    expect(trust.newest(chain, records)).toBe(state)
    expect(trust.newest({ ...chain, agent: 'did:key:other' }, records)).toBe(-1)
  })

  describe('is not found guilty by a judge that', () => {
    const without = (...names: string[]): Evidence => ({
      ...file,
      blocks: new Map([...file.blocks].filter(([name]) => !names.includes(name))),
    })
    const journal = () => String(recordOf(file, TICK).body.journal)

    it('lacks a journal', async () => {
      const found = await judge(without(journal()))
      expect(found).toMatchObject({ verdict: 'cannot judge', doubts: [{ code: 'missing', fromTick: TICK, toTick: TICK }] })
      expect(found.guilt).toBeUndefined()
    })
    it('lacks a state between others', async () => {
      const found = await judge(without(String(recordOf(file, TICK).body.state)))
      expect(found).toMatchObject({ verdict: 'cannot judge', doubts: [{ code: 'missing' }] })
    })
    it('lacks the module or the manifest', async () => {
      const { module, manifest: manifestCid } = file.chain.genesis.body
      for (const name of [module, manifestCid])
        expect(await judge(without(name.toString()))).toMatchObject({ verdict: 'cannot judge', fromTick: null, ticks: 0 })
    })
    it('is given another block under a name', async () => {
      const blocks = new Map(file.blocks).set(journal(), new Uint8Array([1, 2, 3]))
      expect(await judge({ ...file, blocks })).toMatchObject({ verdict: 'cannot judge', doubts: [{ code: 'missing' }] })
      const module = file.chain.genesis.body.module.toString()
      const swapped = new Map(file.blocks).set(module, new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]))
      expect(await judge({ ...file, blocks: swapped })).toMatchObject({ verdict: 'cannot judge', fromTick: null })
    })
    it('has another version of instrumentation or cost table', async () => {
      for (const change of [{ instrument: 999 }, { costTable: 999 }]) {
        const forged = await tell({ body: (body) => ({ ...body, ...change }) })
        expect(await judge(forged)).toMatchObject({ verdict: 'cannot judge', doubts: [{ code: 'version' }] })
      }
    })
    it('would have to spend too much: it runs nothing of it', async () => {
      const { seq } = recordOf(file, file.chain.tick).body
      const entries = atTick(file.chain.tick, (entry) => ({ ...entry, fuel: 10n ** 15n }))
      const dear = await tell({ seq, fuel: 10n ** 15n, entries })
      const found = await judge(dear)
      expect(found.verdict).toBe('cannot judge')
      expect(found.doubts.at(-1)).toMatchObject({ code: 'caps', toTick: file.chain.tick })
      const small = await judge(file, { maxBytes: 1 })
      expect(small).toMatchObject({ verdict: 'cannot judge', ticks: 0 })
      expect(new Set(small.doubts.map(({ code }) => code))).toEqual(new Set(['caps']))
    })
    it('is told to stop', async () => {
      const ended = new AbortController()
      const why = new Error('enough')
      await expect(judge(file, { signal: ended.signal, onprogress: () => ended.abort(why) })).rejects.toBe(why)
      await expect(judge(file, { signal: AbortSignal.abort(why) })).rejects.toBe(why)
    })
  })

  it('is judged by what is left when the oldest is not kept any more', async () => {
    const first = file.records[1]?.body
    const birth = String(first?.kind === 'checkpoint' ? first.journal : '')
    const found = await judge({ ...file, blocks: new Map([...file.blocks].filter(([name]) => name !== birth)) })
    expect(found).toMatchObject({ verdict: 'consistent', fromTick: 1, toTick: file.chain.tick, doubts: [{ code: 'not kept' }] })
  })
})

describe('a host that shows its agent false receipts', () => {
  const TICK = 5
  let world: World
  let file: Evidence
  let sign: Sign
  beforeAll(async () => {
    world = createWorld()
    const node = await world.start(undefined, { policy: { price: 50_000_000n } })
    // It never looks at them: nothing but the header tells.
    const agent = await spawnBusy(node, {
      tick_interval_ms: 60_000,
      capabilities: { inbox: { version: 1 }, clock: { version: 1 }, rand: { version: 1 }, wallet: { version: 1 } },
    })
    while (agent.status.tick < TICK + 1) {
      await agent.send('a')
      await agent.pause()
      await agent.resume()
    }
    file = await readCar(await agent.export())
    sign = signerOfSeed(await seedOn(node.disk))
  })
  afterAll(async () => {
    await world.stop()
  })

  it('is not what one is that showed the true ones', async () => {
    const entry = entriesOf(file, recordOf(file, TICK)).find(({ kind }) => kind === 'run')
    expect(entry?.kind === 'run' && entry.header.receipts.length).toBeGreaterThan(2)
    expect(await judge(file)).toMatchObject({ verdict: 'consistent', doubts: [] })
  })

  const dearer = (receipt: Uint8Array): Uint8Array => receipt.map((byte, i) => (i === 24 ? byte ^ 1 : byte))
  const lies: readonly [string, (receipts: readonly Uint8Array[]) => readonly Uint8Array[]][] = [
    ['another bill in the last one', (all) => [...all.slice(0, -1), dearer(all.at(-1) ?? new Uint8Array())]],
    ['another bill in an older one', (all) => [dearer(all[0] ?? new Uint8Array()), ...all.slice(1)]],
    ['none', () => []],
    ['the last one missing', (all) => all.slice(0, -1)],
    ['another order', (all) => [...all.slice(0, -1).reverse(), ...all.slice(-1)]],
    ['one twice', (all) => [...all.slice(0, 1), ...all]],
  ]
  it.each(lies)('is guilty: %s', async (_, change) => {
    const forged = await forge(file, sign, {
      seq: recordOf(file, TICK).body.seq,
      entries: atTick(TICK, (entry) => ({ ...entry, header: { ...entry.header, receipts: change(entry.header.receipts) } })),
    })
    expect(await judge(forged)).toMatchObject({ verdict: 'guilty', guilt: { claim: 'journal', tick: TICK } })
  })

  it('convicts nobody by receipts of records that the judge does not know', async () => {
    // What comes after it would name the record as it was before.
    const last = file.chain.tick
    const forged = await forge(file, sign, {
      seq: recordOf(file, last).body.seq,
      entries: atTick(last, (entry) => ({
        ...entry,
        header: { ...entry.header, receipts: [new Uint8Array(64).fill(9), ...entry.header.receipts.slice(1)] },
      })),
    })
    expect(await judge(forged)).toMatchObject({ verdict: 'consistent' })
  })
})
