import { cosign, RECOVER_EPOCHS, signRecord, verifyChain, withCosignatures } from '@igor/lineage'
import { beforeAll, describe, expect, it } from 'vitest'
import type { History, Peer } from '../witness/fixtures/kit.ts'
import * as kit from '../witness/fixtures/kit.ts'
import { judge } from './judge.ts'

const { a, b, c } = kit

type Step = (history: History) => Promise<History>

const grow = async (history: History, ...steps: readonly Step[]): Promise<History> => {
  let grown = history
  for (const step of steps) grown = await step(grown)
  return grown
}

const tick =
  (by: Peer): Step =>
  (history) =>
    kit.tick(history, by)
const ticks =
  (by: Peer, count: number): Step =>
  (history) =>
    grow(history, ...Array.from({ length: count }, () => tick(by)))
const handOver =
  (from: Peer, to: Peer): Step =>
  (history) =>
    kit.handOver(history, to, from)
const recover =
  (to: Peer): Step =>
  (history) =>
    kit.recover(history, to)
const accept =
  (by: Peer): Step =>
  (history) =>
    kit.accept(history, by)
const refuse =
  (by: Peer): Step =>
  (history) =>
    kit.refuse(history, by)

/** Without plain checkpoints but the last `keep`. */
const pruned = ({ chain, records }: History, keep: number): History => {
  const plain = records.filter(({ body }) => body.kind === 'checkpoint')
  const gone = new Set(plain.slice(0, plain.length - keep))
  return { chain, records: records.filter((record) => !gone.has(record)) }
}

describe('another history of the same agent', () => {
  let start: History
  beforeAll(async () => {
    start = await grow(await kit.born(a, null), ticks(a, 5))
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
    const taken = await grow(offered, accept(c))
    expect(judge(mine, taken)).toBe('superseded')
    expect(judge(mine, await grow(taken, ticks(c, 2)))).toBe('superseded')
    // Two recovers of one epoch: neither rules.
    const other = await grow(start, recover(b), accept(b))
    expect(judge(taken, other)).toBe('rival')
    expect(judge(other, taken)).toBe('rival')
    // One that was made on top of the other does.
    const next = await grow(other, recover(a), accept(a))
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
  const sign = async (history: History): Promise<History> => {
    const { head } = history.chain
    const record = withCosignatures(head, [await cosign(head, w.id, w.incarnation, w.sign)])
    const records = [...history.records.slice(0, -1), record]
    return { chain: verifyChain(records), records }
  }
  let start: History
  beforeAll(async () => {
    start = await sign(await kit.tick(await sign(await kit.born())))
  })
  const taken = async (from: History): Promise<History> =>
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
    const { bytes: ready } = await kit.readyOf(b)
    const epoch = start.chain.epoch + RECOVER_EPOCHS
    const body = {
      kind: 'recover',
      ...kit.base(start),
      epoch,
      ready,
      because: '',
      asserts: 'witness-gone',
      witness: null,
    } as const
    const offered = kit.add(start, await signRecord(body, kit.owner))
    expect(judge(mine, offered)).toBe('behind')
    expect(judge(mine, await kit.accept(offered, kit.b))).toBe('superseded')
  })
})
