import {
  agentSeed,
  type Chain,
  type Checkpoint,
  cborCid,
  cosign,
  didOf,
  extendChain,
  type Genesis,
  type LineageRecord,
  makeReady,
  peerIdOf,
  publicKeyOf,
  RECOVER_EPOCHS,
  type Recover,
  rawCid,
  type Sign,
  signerOfSeed,
  signRecord,
  startChain,
  verifyChain,
  withCosignatures,
} from '@igor/lineage'
import { encode } from '@ipld/dag-cbor'
import { beforeAll, describe, expect, it } from 'vitest'
import * as kit from '../witness/fixtures/kit.ts'
import { judge } from './judge.ts'

interface Peer {
  readonly id: string
  readonly sign: Sign
  readonly incarnation: Uint8Array
}
const peerOf = (n: number): Peer => {
  const seed = new Uint8Array(32).fill(n)
  return { id: peerIdOf(publicKeyOf(seed)), sign: signerOfSeed(seed), incarnation: new Uint8Array(16).fill(n) }
}
const [a, b, c] = [peerOf(1), peerOf(2), peerOf(3)]
const nonce = new Uint8Array(32).fill(9)
const ownerSeed = agentSeed(new Uint8Array(32).fill(8), nonce)
const owner = signerOfSeed(ownerSeed)
const agent = didOf(publicKeyOf(ownerSeed))
const module = rawCid(new Uint8Array(1))

/** A history, verified, with what is kept of it. */
interface History {
  readonly chain: Chain
  readonly records: readonly LineageRecord[]
}
type Step = (history: History) => Promise<History>

const grow = async (history: History, ...steps: readonly Step[]): Promise<History> => {
  let grown = history
  for (const step of steps) grown = await step(grown)
  return grown
}

const add = ({ chain, records }: History, record: LineageRecord): History => ({
  chain: extendChain(chain, record, { gap: true }),
  records: [...records, record],
})

const baseOf = ({ chain: { head, anchor, epoch } }: History) => ({
  agent,
  seq: head.body.seq + 1,
  prev: head.id,
  anchor: anchor.id,
  epoch,
  time: 1000 + head.body.seq,
})

const progressAt = (tick: number) => ({
  journal: null,
  state: cborCid(encode(tick)),
  from: null,
  tick,
  module,
  manifest: module,
  instrument: 1,
  costTable: 0,
  fuel: 0n,
  cost: 0n,
  price: 0n,
  budget: 0n,
  orders: [],
})

const born = async (at: Peer): Promise<History> => {
  const body: Genesis = {
    kind: 'genesis',
    version: 1,
    agent,
    seq: 0,
    prev: null,
    anchor: null,
    epoch: 1,
    time: 1000,
    nonce,
    name: 'x',
    module,
    manifest: module,
    init: null,
    budget: 0n,
    price: 0n,
    authority: at.id,
    incarnation: at.incarnation,
    witness: null,
  }
  const genesis = await signRecord(body, owner)
  return { chain: startChain(genesis), records: [genesis] }
}

const tick =
  (by: Peer): Step =>
  async (history) => {
    const body: Checkpoint = { kind: 'checkpoint', ...baseOf(history), ...progressAt(history.chain.tick + 1) }
    return add(history, await signRecord(body, by.sign))
  }
const ticks =
  (by: Peer, count: number): Step =>
  (history) =>
    grow(history, ...Array.from({ length: count }, () => tick(by)))

const readyOf = (to: Peer) =>
  makeReady(
    { agent, handoff: new Uint8Array(16), to: to.id, incarnation: to.incarnation, price: 0n, nonce, expiry: 9999 },
    to.sign,
  )

const handOver =
  (from: Peer, to: Peer): Step =>
  async (history) => {
    const { bytes: ready } = await readyOf(to)
    const { tick } = history.chain
    return add(history, await signRecord({ kind: 'handoff', ...baseOf(history), ...progressAt(tick), ready }, from.sign))
  }

const recover =
  (to: Peer): Step =>
  async (history) => {
    const { bytes: ready } = await readyOf(to)
    const epoch = history.chain.epoch + RECOVER_EPOCHS
    const body = { kind: 'recover', ...baseOf(history), epoch, ready, because: '', asserts: 'holder-gone' } as const
    return add(history, await signRecord(body, owner))
  }

/** @param ahead epochs beyond the one before it: none after a recover */
const accept =
  (by: Peer, ahead = 1): Step =>
  async (history) => {
    const epoch = history.chain.epoch + ahead
    const { incarnation, sign } = by
    return add(history, await signRecord({ kind: 'accept', ...baseOf(history), epoch, incarnation, budget: 0n, price: 0n }, sign))
  }

const refuse =
  (by: Peer): Step =>
  async (history) => {
    const epoch = history.chain.epoch + 1
    return add(history, await signRecord({ kind: 'refuse', ...baseOf(history), epoch, code: 'x', reason: '' }, by.sign))
  }

/** Without plain checkpoints but the last `keep`. */
const pruned = ({ chain, records }: History, keep: number): History => {
  const plain = records.filter(({ body }) => body.kind === 'checkpoint')
  const gone = new Set(plain.slice(0, plain.length - keep))
  return { chain, records: records.filter((record) => !gone.has(record)) }
}

describe('another history of the same agent', () => {
  let start: History
  beforeAll(async () => {
    start = await grow(await born(a), ticks(a, 5))
  })

  it('is my future if it contains my last record, and my past if mine contains its', async () => {
    const later = await grow(start, ticks(a, 3))
    expect(judge(start, later)).toBe('extends')
    expect(judge(later, start)).toBe('behind')
    expect(judge(start, start)).toBe('extends')
    const moved = await grow(later, handOver(a, b), accept(b), ticks(b, 4))
    expect(judge(start, moved)).toBe('extends')
    expect(judge(moved, start)).toBe('behind')
  })

  it('is my future or my past though the checkpoints between were pruned', async () => {
    const later = pruned(await grow(start, ticks(a, 30)), 2)
    expect(judge(start, later)).toBe('extends')
    expect(judge(later, start)).toBe('behind')
    const pending = await grow(start, ticks(a, 9), handOver(a, b))
    const moved = pruned(await grow(pending, accept(b), ticks(b, 30)), 2)
    expect(judge(pruned(pending, 3), moved)).toBe('extends')
    expect(judge(moved, start)).toBe('behind')
  })

  it('rivals mine where authority went two ways', async () => {
    const toB = await grow(start, handOver(a, b), accept(b))
    const toC = await grow(start, handOver(a, c), accept(c))
    expect(judge(toB, toC)).toBe('rival')
    expect(judge(toC, toB)).toBe('rival')
    const restored = await grow(start, ticks(a, 2))
    expect(judge(restored, toC)).toBe('rival')
    // Whoever has gone further along a branch of old records is told nothing new.
    expect(judge(toC, restored)).toBe('behind')
  })

  it('rules over mine if the owner recovered it past me, once that was accepted', async () => {
    const mine = await grow(start, ticks(a, 9))
    const offered = await grow(start, recover(c))
    expect(judge(mine, offered)).toBe('rival')
    const taken = await grow(offered, accept(c, 0))
    expect(judge(mine, taken)).toBe('superseded')
    expect(judge(mine, await grow(taken, ticks(c, 2)))).toBe('superseded')
    // Two recovers of one epoch: neither rules.
    const other = await grow(start, recover(b), accept(b, 0))
    expect(judge(taken, other)).toBe('rival')
    expect(judge(other, taken)).toBe('rival')
    // One that was made on top of the other does.
    const next = await grow(other, recover(a), accept(a, 0))
    expect(judge(taken, next)).toBe('superseded')
    expect(judge(other, next)).toBe('extends')
  })

  it('that was refused and taken back is my own', async () => {
    const pending = await grow(start, handOver(a, b))
    const refused = await grow(pending, refuse(b))
    expect(judge(pending, refused)).toBe('extends')
    const back = await grow(refused, accept(a), ticks(a, 2))
    expect(judge(back, refused)).toBe('behind')
    expect(judge(pending, back)).toBe('extends')
  })
})

describe('another history of an agent with a witness', () => {
  const w = kit.walter
  const sign = async (history: kit.History): Promise<kit.History> => {
    const { head } = history.chain
    const record = withCosignatures(head, [await cosign(head, w.id, w.incarnation, w.sign)])
    const records = [...history.records.slice(0, -1), record]
    return { chain: verifyChain(records), records }
  }
  let start: kit.History
  beforeAll(async () => {
    start = await sign(await kit.tick(await sign(await kit.born())))
  })
  const taken = async (from: kit.History): Promise<kit.History> =>
    sign(await kit.tick(await sign(await kit.accept(await sign(await kit.recover(from, kit.b, w)), kit.b)), kit.b))

  it('rules over mine from where the witness cosigned it, whatever I wrote since', async () => {
    const mine = await kit.tick(await kit.tick(start))
    const theirs = await taken(start)
    expect(judge(mine, theirs)).toBe('superseded')
    expect(judge(start, theirs)).toBe('extends')
    expect(judge(theirs, mine)).toBe('behind')
  })

  it('changes nothing where the witness did not cosign it', async () => {
    const mine = await sign(await kit.tick(start))
    const other = await kit.bare(await kit.bare(start))
    expect(judge(mine, other)).toBe('behind')
    expect(judge(other, mine)).toBe('superseded')
  })

  it('rivals mine where the witness cosigned both', async () => {
    const mine = await sign(await kit.tick(start))
    const theirs = await taken(start)
    expect(judge(mine, theirs)).toBe('rival')
  })

  it('rules over mine when the owner says that the witness is gone, and it was accepted', async () => {
    const mine = await sign(await kit.tick(start))
    const { chain } = start
    const ready = await makeReady(
      { agent, handoff: new Uint8Array(16), to: b.id, incarnation: b.incarnation, price: 0n, nonce, expiry: 9999 },
      b.sign,
    )
    const body: Recover = {
      kind: 'recover',
      agent,
      seq: chain.head.body.seq + 1,
      prev: chain.head.id,
      anchor: chain.anchor.id,
      epoch: chain.epoch + RECOVER_EPOCHS,
      time: chain.head.body.time,
      ready: ready.bytes,
      because: '',
      asserts: 'witness-gone',
      witness: null,
    }
    const offered = kit.add(start, await signRecord(body, owner))
    expect(judge(mine, offered)).toBe('behind')
    expect(judge(mine, await kit.accept(offered, kit.b))).toBe('superseded')
  })
})
