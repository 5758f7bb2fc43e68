import {
  decodeRecord,
  didOf,
  type Handoff,
  type LineageRecord,
  makeReady,
  publicKeyOf,
  type Refuse,
  readReady,
  signerOfSeed,
  signRecord,
} from '@igor/lineage'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Node } from '../api.ts'
import { makeRogue, type Rogue, seedOn, type Talk, talk } from '../node/fixtures/rogue.ts'
import { createWorld, eventually, nextCount, spawnCounter, type World } from '../node/fixtures/world.ts'
import { BLOCKS_PROTOCOL } from '../protocols/blocks.ts'
import { HANDOFF_PROTOCOL } from './protocol.ts'

type Running = Awaited<ReturnType<World['start']>>

/** An agent of the rogue's own, say. */
const OTHER = didOf(publicKeyOf(new Uint8Array(32).fill(3)))

const bytes = (length: number, fill = 7): Uint8Array => new Uint8Array(length).fill(fill)

/** The records that `from` shows to `rogue`. */
const historyAt = async (rogue: Rogue, from: string, agent: string): Promise<LineageRecord[]> => {
  const answer = await rogue.ask(from, BLOCKS_PROTOCOL, { type: 'records', agent, brief: false })
  return ((answer?.records ?? []) as Uint8Array[]).map(decodeRecord)
}

/** A target that takes an offer as far as the commit, and then does with the handoff what it likes. */
const liar = (rogue: Rogue, oncommit: (handoff: LineageRecord<Handoff>, talk: Talk) => Promise<void>): void => {
  rogue.network.handle(
    HANDOFF_PROTOCOL,
    async (channel) => {
      const line = talk(channel)
      const first = await line.hear()
      if (first?.type !== 'offer') return
      const agent = String(first.agent)
      const ready = await makeReady(
        {
          agent,
          handoff: first.id as Uint8Array,
          to: rogue.id,
          incarnation: bytes(16),
          price: 0n,
          nonce: bytes(32),
          expiry: Date.now() + 60_000,
        },
        rogue.sign,
      )
      await line.say({ type: 'ready', ready: ready.bytes })
      const head = (await historyAt(rogue, channel.peer, agent)).at(-1)
      const state = head !== undefined && 'state' in head.body ? head.body.state : null
      await line.say({ type: 'prepared', state })
      let commit = await line.hear()
      while (commit?.type === 'tail' || commit?.type === 'chunks') commit = await line.hear()
      if (commit?.type !== 'commit') return
      await oncommit(decodeRecord(commit.record as Uint8Array) as LineageRecord<Handoff>, line)
    },
    { maxPerPeer: 4 },
  )
}

const refuseOf = (rogue: Rogue, { id, body }: LineageRecord<Handoff>): Promise<LineageRecord<Refuse>> =>
  signRecord<Refuse>(
    {
      kind: 'refuse',
      agent: body.agent,
      seq: body.seq + 1,
      prev: id,
      anchor: id,
      epoch: body.epoch + 1,
      time: Date.now(),
      code: 'invalid',
      reason: 'no',
    },
    rogue.sign,
  )

/** One node ticks it, and its own count agrees with the runtime's. */
const goesOn = async (node: Node, agent: string): Promise<void> => {
  const handle = node.agent(agent)
  const { count, tick } = await nextCount(handle, handle.status.tick + 1)
  expect(count).toBe(tick)
}

describe('a target that lies', () => {
  let world: World
  beforeEach(() => {
    world = createWorld()
  })
  afterEach(async () => {
    await world.stop()
  })

  it('cannot make the source drop its agent by refusing it and showing that as news', async () => {
    const a = await world.start()
    const rogue = makeRogue(world.hub)
    const agent = await spawnCounter(a)
    let handoff: LineageRecord<Handoff> | undefined
    liar(rogue, async (record) => {
      handoff = record
    })
    await expect(agent.moveTo(rogue.id)).rejects.toMatchObject({ code: 'HANDOFF_PENDING' })
    if (handoff === undefined) throw new Error('nothing was handed over')
    const refuse = await refuseOf(rogue, handoff)
    rogue.shows([...(await historyAt(rogue, a.id, agent.id)), refuse])
    await rogue.says([{ agent: agent.id, epoch: 2, seq: refuse.body.seq }])
    await eventually(a, () => agent.status.state !== 'moving')
    expect(agent.status).toMatchObject({ here: true, state: 'active', epoch: 3 })
    await goesOn(a, agent.id)
  })

  it('cannot make its source go on with a decision on something else, or with one that it did not sign', async () => {
    const a = await world.start()
    const rogue = makeRogue(world.hub)
    const agent = await spawnCounter(a)
    const done = Promise.withResolvers<void>()
    liar(rogue, async (handoff, line) => {
      const forged = await refuseOf(makeRogue(world.hub), handoff)
      await line.say({ type: 'done', record: forged.bytes })
      done.resolve()
    })
    await expect(agent.moveTo(rogue.id)).rejects.toMatchObject({ name: expect.stringMatching(/Error/) })
    await done.promise
    expect(agent.status).toMatchObject({ here: true, state: 'moving' })
  })

  it('pulls nothing but the agent that is on its way to it', async () => {
    const a = await world.start()
    const rogue = makeRogue(world.hub)
    const hidden = await spawnCounter(a, { public: false })
    const records = await historyAt(rogue, a.id, hidden.id)
    expect(records.map(({ body }) => body.kind)).toEqual(['genesis'])
    const [genesis] = records
    const module = genesis?.body.kind === 'genesis' ? genesis.body.module : undefined
    expect(await rogue.ask(a.id, BLOCKS_PROTOCOL, { type: 'blocks', agent: hidden.id, want: [module] })).toMatchObject({
      type: 'error',
      code: 'NOT_OWNER',
    })
  })
})

describe('a source that lies', () => {
  let world: World
  beforeEach(() => {
    world = createWorld()
  })
  afterEach(async () => {
    await world.stop()
  })

  /** Handoffs of an agent that the rogue never held, at the next seqs, to `b`, around a ready of b's. */
  const forge = async (rogue: Rogue, a: Node, b: Running, agent: string, ready: { agent: string | null; expiry: number }) => {
    const history = await historyAt(rogue, a.id, agent)
    const head = history.findLast(({ body }) => body.kind === 'checkpoint')
    if (head?.body.kind !== 'checkpoint') throw new Error('no checkpoint')
    const { incarnation } = readReady(await b.ready()).ready
    const { bytes: word } = await makeReady(
      { ...ready, handoff: bytes(16), to: b.id, incarnation, price: 0n, nonce: bytes(32) },
      signerOfSeed(await seedOn(b.disk)),
    )
    const { body } = head
    const forged = Array.from({ length: 5 }, (_, i) =>
      signRecord<Handoff>({ ...body, kind: 'handoff', seq: body.seq + i, ready: word }, rogue.sign),
    )
    return { history, forged: await Promise.all(forged) }
  }

  it.each([
    ['for another agent', () => ({ agent: OTHER, expiry: Date.now() + 60_000 })],
    ['for a file, of yesterday', () => ({ agent: null, expiry: Date.now() - 1000 })],
  ])("cannot poison another's slots by asking about handoffs that never were, around a ready %s", async (_, ready) => {
    const a = await world.start()
    const b = await world.start()
    const rogue = makeRogue(world.hub)
    const agent = await spawnCounter(a)
    await nextCount(agent, 1)
    const { forged, history } = await forge(rogue, a, b, agent.id, ready())
    const before = b.disk.operations
    for (const record of forged) {
      rogue.shows([...history, record])
      const answer = await rogue.ask(b.id, HANDOFF_PROTOCOL, { type: 'status', record: record.bytes })
      expect(answer).toMatchObject({ type: 'error' })
    }
    expect(b.disk.operations).toBe(before)
    await eventually(a, () => a.peers().some((peer) => peer.id === b.id))
    await agent.moveTo(b.id)
    await goesOn(b, agent.id)
  })

  it('cannot poison them with a ready that was given for that very agent to a host of old', async () => {
    const a = await world.start()
    const b = await world.start()
    const rogue = makeRogue(world.hub)
    const agent = await spawnCounter(a)
    const { forged } = await forge(rogue, a, b, agent.id, { agent: agent.id, expiry: Date.now() + 60_000 })
    const before = b.disk.operations
    for (const record of forged.slice(0, 3)) {
      rogue.shows([...(await historyAt(rogue, a.id, agent.id)), record])
      const answer = await rogue.ask(b.id, HANDOFF_PROTOCOL, { type: 'status', record: record.bytes })
      expect(answer).toMatchObject({ type: 'error' })
    }
    expect(b.disk.operations).toBe(before)
  })
})
