import { didOf, type LineageRecord, pruneRecords, publicKeyOf, readForkProof, signRecord } from '@igor/lineage'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as kit from '../witness/fixtures/kit.ts'
import { type History, type Peer, walter } from '../witness/fixtures/kit.ts'
import { contradicts, findForks } from './contradiction.ts'

const peers = [kit.a, kit.b, kit.c] as const
const holderOf = ({ chain }: History): Peer => peers.find(({ id }) => id === chain.authority.by) ?? kit.a
const otherAgent = didOf(publicKeyOf(new Uint8Array(32).fill(77)))

interface Step {
  readonly what: 'tick' | 'bare' | 'move'
  readonly to: number
}
const step = fc.record({ what: fc.constantFrom('tick', 'tick', 'bare', 'move'), to: fc.nat(2) }) as fc.Arbitrary<Step>
const walk = (max: number): fc.Arbitrary<readonly Step[]> => fc.array(step, { maxLength: max })

/** Honest hosts go on. @param ahead by so many milliseconds the clock of its holder differs */
const live = async (from: History, steps: readonly Step[], ahead = 0): Promise<History> => {
  let history = from
  for (const { what, to } of steps) {
    const by = holderOf(history)
    const next = peers[to] ?? kit.a
    if (what === 'move' && next !== by) history = await kit.accept(await kit.handOver(history, next, by), next)
    else if (what === 'bare' && history.chain.state !== null) history = await kit.bare(history, by)
    else history = await kit.tick(history, by, ahead)
  }
  return history
}
const begun = async (steps: readonly Step[], witness: string | null = null): Promise<History> =>
  live(await kit.tick(await kit.born(kit.a, witness)), steps)

/** As nodes keep it that saw all of it: without what nobody needs any more. */
const shortened = ({ chain, records }: History, window: number): History => ({ chain, records: pruneRecords(records, window) })

const none = (one: History, other: History): void => {
  expect(findForks(one, other)).toEqual([])
  expect(findForks(other, one)).toEqual([])
  // Nobody has verified what is shown.
  expect(findForks(one, { records: other.records })).toEqual([])
}

/** Every record again, otherwise, by whoever signed it. */
const again = async (history: History, change: (record: LineageRecord) => object): Promise<LineageRecord[]> => {
  const signers = new Map<string, Peer>()
  for (const peer of peers) signers.set(peer.id, peer)
  const by = ({ body }: LineageRecord) =>
    signers.get(history.chain.hosts.findLast(({ epoch }) => epoch <= body.epoch)?.peer ?? '')
  return Promise.all(
    history.records.map((record) =>
      signRecord(
        { ...record.body, ...change(record) },
        record.body.kind === 'genesis' ? kit.owner : (by(record)?.sign ?? kit.owner),
      ),
    ),
  )
}

const RUNS = { numRuns: 10 }

describe('a proof of a fork is never found', () => {
  it('in an honest history, of which one knows more than the other', async () => {
    await fc.assert(
      fc.asyncProperty(walk(8), walk(8), fc.integer({ min: 1, max: 20 }), async (first, rest, window) => {
        const early = await begun(first)
        const late = await live(early, rest)
        none(early, late)
        none(shortened(early, window), shortened(late, 21 - window))
      }),
      RUNS,
    )
  })

  it('on two branches after a recover by the owner, however long both go on', async () => {
    await fc.assert(
      fc.asyncProperty(walk(4), walk(8), walk(8), fc.nat(2), async (first, left, right, n) => {
        const to = peers[n] ?? kit.a
        const common = await begun(first)
        const stays = await live(common, left, 3)
        const recovered = await live(await kit.accept(await kit.recover(common, to), to), right)
        none(stays, recovered)
        none(shortened(stays, 1), shortened(recovered, 1))
      }),
      RUNS,
    )
  })

  it('on two branches after a takeover by the witness, of which one was not cosigned', async () => {
    await fc.assert(
      fc.asyncProperty(walk(2), fc.nat(4), walk(3), async (first, more, right) => {
        const common = await begun(first, walter.id)
        let stays = common
        for (let i = 0; i < more; i++) stays = await kit.tick(stays, holderOf(stays), 3)
        const to = peers.find((peer) => peer !== holderOf(common)) ?? kit.a
        const taken = await live(await kit.accept(await kit.recover(common, to, walter), to), right)
        none(stays, taken)
      }),
      RUNS,
    )
  })

  it('in the same record twice, with another cosignature or none', async () => {
    const history = await begun([])
    const [genesis, record] = history.records
    if (genesis === undefined || record === undefined) throw new Error('no record')
    none(history, { ...history, records: [genesis, { ...record, cosignatures: [], bytes: record.bytes }] })
    none(history, history)
  })

  it('in records of two agents, of two epochs, or with a bad signature', async () => {
    await fc.assert(
      fc.asyncProperty(walk(4), async (steps) => {
        const history = await begun(steps)
        const elsewhere = await again(history, () => ({ agent: otherAgent, time: 1 }))
        const later = await again(history, ({ body }) => ({ epoch: body.epoch + 100, time: 1 }))
        const forged = (await again(history, () => ({ time: 1 }))).map((record, i) => ({
          ...record,
          signed: { ...record.signed, signature: history.records[i]?.signed.signature ?? new Uint8Array(64) },
        }))
        for (const records of [elsewhere, later, forged]) {
          expect(findForks(history, { records })).toEqual([])
          expect(findForks({ ...history, records }, history)).toEqual([])
        }
        // The test would notice: with good signatures, of this agent and epoch, everybody signed twice.
        const twice = findForks(history, { records: await again(history, () => ({ time: 1 })) })
        expect(twice.map(({ signer }) => signer)).toContain(kit.a.id)
      }),
      RUNS,
    )
  })
})

describe('a proof of a fork is always found', () => {
  /** What its holder may write next. */
  const successors = ['tick', 'bare', 'b', 'c'] as const
  const successor = async (history: History, what: (typeof successors)[number], ahead: number): Promise<History> => {
    const by = holderOf(history)
    if (what === 'tick') return kit.tick(history, by, ahead)
    if (what === 'bare') return kit.bare(history, by)
    const to = peers.filter((peer) => peer !== by)[what === 'b' ? 0 : 1] ?? kit.b
    return kit.accept(await kit.handOver(history, to, by), to)
  }

  it('where one signer wrote two successors of one record, whatever others wrote on top of either', async () => {
    await fc.assert(
      fc.asyncProperty(
        walk(4),
        fc.constantFrom(...successors),
        fc.constantFrom(...successors),
        walk(10),
        walk(10),
        async (first, one, other, left, right) => {
          fc.pre(one !== other || one === 'tick')
          const common = await begun(first)
          const liar = holderOf(common)
          const a = await live(await successor(common, one, 0), left)
          const b = await live(await successor(common, other, 7), right, 7)
          for (const proofs of [findForks(a, b), findForks(b, a), findForks(a, { records: b.records })]) {
            const proof = proofs.find(({ signer }) => signer === liar.id)
            expect(readForkProof(proof?.bytes ?? new Uint8Array())).toMatchObject({ signer: liar.id, as: 'signed' })
          }
        },
      ),
      { numRuns: 20 },
    )
  })

  it('where a host went on after it had handed the agent on, though nothing else of the two histories is kept', async () => {
    const common = await begun([])
    const left = await live(common, [
      { what: 'move', to: 1 },
      ...Array.from({ length: 5 }, (): Step => ({ what: 'tick', to: 0 })),
    ])
    const right = await live(
      common,
      Array.from({ length: 20 }, (): Step => ({ what: 'tick', to: 0 })),
      7,
    )
    const proofs = findForks(shortened(left, 1), shortened(right, 1))
    expect(proofs).toMatchObject([{ signer: kit.a.id, as: 'signed' }])
  })
})

it('says which heads do not go together with a history', async () => {
  const history = await begun([{ what: 'move', to: 1 }])
  const [, tick, handoff, accept] = history.records
  const said = (record: LineageRecord | undefined, more: object = {}) => ({
    epoch: record?.body.epoch ?? 0,
    seq: record?.body.seq ?? 0,
    head: String(record?.id),
    ...more,
  })
  for (const record of history.records) expect(contradicts(history.records, said(record))).toBe(false)
  expect(contradicts(history.records, said(tick, { head: String(accept?.id) }))).toBe(true)
  expect(contradicts(history.records, said(handoff, { seq: 9 })), 'after it was handed on').toBe(true)
  expect(contradicts(history.records, said(accept, { seq: 9 })), 'later than what is known').toBe(false)
})
