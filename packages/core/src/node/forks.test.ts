import {
  type Checkpoint,
  decodeRecord,
  type ForkProof,
  type LineageRecord,
  makeReady,
  proveFork,
  readForkProof,
  signRecord,
} from '@igor/lineage'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Node, NodeEvent } from '../api.ts'
import { HANDOFF_PROTOCOL } from '../handoff/protocol.ts'
import { BLOCKS_PROTOCOL } from '../protocols/blocks.ts'
import { makeRogue, type Rogue, seedOn } from './fixtures/rogue.ts'
import { createWorld, eventually, nextCount, spawnCounter, type World } from './fixtures/world.ts'
import { FORKS_TOPIC } from './forks.ts'

type Running = Awaited<ReturnType<World['start']>>

let world: World
beforeEach(() => {
  world = createWorld()
})
afterEach(async () => {
  await world.stop()
})

const historyAt = async (rogue: Rogue, from: string, agent: string): Promise<LineageRecord[]> => {
  const answer = await rogue.ask(from, BLOCKS_PROTOCOL, { type: 'records', agent, brief: false })
  return ((answer?.records ?? []) as Uint8Array[]).map(decodeRecord)
}

/** Resolves with the next event of this kind. */
const nextEvent = (node: Node, code: string): Promise<NodeEvent> =>
  new Promise((resolve) => {
    const off = node.onevent((event) => {
      if (event.code !== code) return
      off()
      resolve(event)
    })
  })

/** What is left of a node that gave its agent to `a`: its key, and the agent's history. */
const fallen = async (a: Running, to: Running = a): Promise<{ rogue: Rogue; agent: string; history: LineageRecord[] }> => {
  const liar = await world.start()
  const agent = await spawnCounter(liar)
  await nextCount(agent, 1)
  await eventually(liar, () => liar.peers().some(({ id }) => id === to.id))
  await agent.moveTo(to.id)
  await liar.stop()
  const rogue = makeRogue(world.hub, await seedOn(liar.disk))
  expect(rogue.id).toBe(liar.id)
  return { rogue, agent: agent.id, history: await historyAt(rogue, to.id, agent.id) }
}

/** The same history, in which it never gave the agent away. */
const other = async (rogue: Rogue, history: readonly LineageRecord[]): Promise<LineageRecord[]> => {
  const at = history.findIndex(({ body }) => body.kind === 'handoff')
  const handoff = history[at]
  if (handoff?.body.kind !== 'handoff') throw new Error('no handoff')
  const { ready: _ready, kind: _kind, ...body } = handoff.body
  const instead = await signRecord<Checkpoint>({ ...body, kind: 'checkpoint' }, rogue.sign)
  return [...history.slice(0, at), instead]
}

const offerOf = (head: LineageRecord | undefined) => ({
  type: 'offer',
  clockUs: 0,
  id: new Uint8Array(16),
  agent: head?.body.agent,
  head: head?.bytes,
  memory: 65_536,
  replayFuel: 0,
})

describe('a host that signed two histories', () => {
  it('is caught where they meet, convicted by every node itself, and gets no more agents, after a restart neither', async () => {
    const a = await world.start()
    const b = await world.start()
    const { rogue, agent, history } = await fallen(a)
    const lie = await other(rogue, history)
    const head = lie.at(-1)
    rogue.shows(lie)
    const caught = Promise.all([a, b].map((node) => nextEvent(node, 'FORK_PROVEN')))
    await rogue.says([{ agent, epoch: 1, seq: head?.body.seq ?? 0, head: String(head?.id) }])
    for (const event of await caught) expect(event).toMatchObject({ agent, peer: rogue.id })
    const [proof] = await a.proofs()
    if (proof === undefined) throw new Error('no proof')
    expect(readForkProof(proof.bytes)).toMatchObject({ signer: rogue.id, agent, as: 'signed' })
    expect(await b.proofs()).toEqual([proof])
    await rogue.says([])
    await eventually(b, () => b.peers().some((peer) => peer.id === rogue.id && peer.forked === true))
    expect(b.peers().find(({ id }) => id === a.id)?.forked).toBeUndefined()
    // What was right goes on.
    await nextCount(a.agent(agent), a.agent(agent).status.tick + 1)

    const refuses = async (node: Node): Promise<void> => {
      const refusal = { type: 'reject', code: 'HANDOFF_REJECTED', reason: expect.stringContaining('two histories') }
      expect(await rogue.ask(node.id, HANDOFF_PROTOCOL, offerOf(head))).toMatchObject(refusal)
      const asked = await rogue.ask(node.id, HANDOFF_PROTOCOL, { type: 'ready?' })
      expect(asked).toMatchObject({ type: 'error', code: 'HANDOFF_REJECTED' })
      const own = await spawnCounter(node)
      await expect(own.moveTo(rogue.id)).rejects.toMatchObject({ code: 'HANDOFF_REJECTED' })
      expect(own.status).toMatchObject({ here: true, state: 'active' })
    }
    rogue.network.handle(HANDOFF_PROTOCOL, async () => {}, { maxPerPeer: 4 })
    for (const node of [a, b]) {
      await refuses(node)
      await node.stop()
      const again = await world.start(node.disk)
      expect(await again.proofs()).toEqual([proof])
      await refuses(again)
    }
  })

  it('is no candidate of a witness, and gets no agent in a file', async () => {
    const witness = await world.start(undefined, { witness: { leaseMs: 1000 }, policy: { maxAgents: 0 } })
    const { rogue, agent, history } = await fallen(witness, await world.start())
    const lie = await other(rogue, history)
    rogue.shows(lie)
    const asked: string[] = []
    rogue.network.handle(
      HANDOFF_PROTOCOL,
      async (channel) => {
        asked.push(channel.peer)
        await channel.close()
      },
      { maxPerPeer: 4 },
    )
    const [host, next] = [await world.start(), await world.start()]
    const convicted = Promise.all([witness, host].map((node) => nextEvent(node, 'FORK_PROVEN')))
    await rogue.says([{ agent, epoch: 1, seq: lie.at(-1)?.body.seq ?? 0, head: String(lie.at(-1)?.id) }])
    await convicted
    const own = await spawnCounter(host, { witness: witness.id, failover: [rogue.id, next.id] })
    const ready = await makeReady(
      {
        agent: own.id,
        handoff: new Uint8Array(16),
        to: rogue.id,
        incarnation: new Uint8Array(16),
        price: 0n,
        nonce: new Uint8Array(32),
        expiry: Date.now() + 60_000,
      },
      rogue.sign,
    )
    await expect(own.export({ to: ready.bytes })).rejects.toMatchObject({ code: 'HANDOFF_REJECTED' })
    await nextCount(own, 1)
    await host.stop()
    await eventually(next, () => next.agents().some((one) => one.agent === own.id && one.here && one.state === 'active'))
    expect(asked).toEqual([])
  })

  it('is known to who comes later', async () => {
    const a = await world.start()
    const { rogue, agent, history } = await fallen(a)
    const lie = await other(rogue, history)
    rogue.shows(lie)
    const caught = nextEvent(a, 'FORK_PROVEN')
    await rogue.says([{ agent, epoch: 1, seq: lie.at(-1)?.body.seq ?? 0, head: String(lie.at(-1)?.id) }])
    await caught
    const late = await world.start()
    expect(await nextEvent(late, 'FORK_PROVEN')).toMatchObject({ agent, peer: rogue.id })
  })
})

describe('what a peer calls a proof', () => {
  const proofOf = async (rogue: Rogue, a: Running): Promise<ForkProof> => {
    const agent = await spawnCounter(a)
    const [genesis] = await historyAt(rogue, a.id, agent.id)
    if (genesis?.body.kind !== 'genesis') throw new Error('no genesis')
    const body = {
      kind: 'retire',
      agent: agent.id,
      seq: 1,
      prev: genesis.id,
      anchor: genesis.id,
      epoch: 1,
      because: '',
      orders: [],
    } as const
    const [one, two] = await Promise.all([1, 2].map((time) => signRecord({ ...body, time }, rogue.sign)))
    const proof = one === undefined || two === undefined ? undefined : proveFork(one, two, rogue.id)
    if (proof === undefined) throw new Error('no proof')
    return proof
  }

  it('is checked once a second and peer, however much comes, and believed by nobody when it is none', async () => {
    const a = await world.start()
    const [one, two] = [makeRogue(world.hub), makeRogue(world.hub)]
    const { bytes } = await proofOf(one, a)
    const junk = bytes.with(-1, (bytes.at(-1) ?? 0) ^ 1)
    const checked: NodeEvent[] = []
    a.onevent((event) => void (event.code === 'PROTOCOL_VIOLATION' && checked.push(event)))
    const began = performance.now()
    for (let i = 0; i < 300; i++) for (const rogue of [one, two]) await rogue.network.publish(FORKS_TOPIC, junk)
    // Another's word is not held up by the flood.
    const third = makeRogue(world.hub)
    const proven = nextEvent(a, 'FORK_PROVEN')
    await third.network.publish(FORKS_TOPIC, bytes)
    expect(await proven).toMatchObject({ peer: one.id })
    const seconds = Math.floor((performance.now() - began) / 1000) + 1
    for (const { id } of [one, two]) {
      const times = checked.filter(({ peer }) => peer === id).length
      expect(times).toBeGreaterThanOrEqual(1)
      expect(times).toBeLessThanOrEqual(seconds)
    }
    expect((await a.proofs()).map(({ signer }) => signer)).toEqual([one.id])
  })
})
