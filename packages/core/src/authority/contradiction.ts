/**
 * Whether two histories of one agent show that somebody signed both ways (docs/design.md, section 5, "Proof of a
 * fork"). Pure.
 *
 * @module
 */
import { type Chain, type ForkProof, type LineageRecord, proveFork } from '@igor/lineage'

/** Signatures cost milliseconds, and histories can contradict each other without anybody having lied. */
const MAX_TRIES = 8

/** A history, or records that were shown and not verified. */
export interface Shown {
  readonly records: readonly LineageRecord[]
  readonly chain?: Chain
}

type Pair = readonly [LineageRecord, LineageRecord]

const slotOf = ({ body }: LineageRecord): string => `${body.epoch} ${body.seq}`
const endsEpoch = ({ body }: LineageRecord): boolean => body.kind === 'handoff' || body.kind === 'retire'

/** True if a record of this epoch and seq, of this name, does not go together with these. */
export const contradicts = (
  records: readonly LineageRecord[],
  said: { readonly epoch: number; readonly seq: number; readonly head: string },
): boolean =>
  records.some((record) => {
    const { epoch, seq } = record.body
    if (epoch !== said.epoch) return false
    return seq === said.seq ? record.id.toString() !== said.head : seq < said.seq && endsEpoch(record)
  })

/** Lower first: whoever signed both ways did so where the branches part, and after it two branches agree on little. */
const bySlot = ([, a]: Pair, [, b]: Pair): number => a.body.epoch - b.body.epoch || a.body.seq - b.body.seq

const pairsOf = (mine: readonly LineageRecord[], theirs: readonly LineageRecord[]): readonly Pair[] => {
  const pairs: Pair[] = []
  for (const [ends, others] of [
    [mine, theirs],
    [theirs, mine],
  ] as const) {
    const last = new Map(others.map((record) => [record.body.epoch, record]))
    for (const end of ends.filter(endsEpoch)) {
      const after = last.get(end.body.epoch)
      if (after !== undefined && after.body.seq > end.body.seq) pairs.push([end, after])
    }
  }
  const slots = new Map(mine.map((record) => [slotOf(record), record]))
  for (const record of theirs) {
    const other = slots.get(slotOf(record))
    if (other?.id.equals(record.id) === false) pairs.push([other, record])
  }
  return pairs.sort(bySlot)
}

/** Who may have signed both. */
const signersOf = ([{ body, cosignatures }]: Pair, chains: readonly Chain[]): Set<string | null> =>
  new Set([
    ...chains.flatMap(({ agent, witness, hosts }) =>
      body.kind === 'recover' || body.kind === 'genesis'
        ? [agent, witness]
        : hosts.map(({ peer, epoch }) => (epoch === body.epoch ? peer : null)),
    ),
    ...cosignatures.map(({ by }) => by),
  ])

/** The proofs that these two histories are, checked, one a signer: a host that forks may have a witness that helps it. */
export const findForks = (mine: Required<Shown>, theirs: Shown): readonly ForkProof[] => {
  const chains = theirs.chain === undefined ? [mine.chain] : [mine.chain, theirs.chain]
  const found = new Map<string, ForkProof>()
  let tries = 0
  for (const pair of pairsOf(mine.records, theirs.records))
    for (const signer of signersOf(pair, chains)) {
      if (signer === null || found.has(signer)) continue
      if (++tries > MAX_TRIES) return [...found.values()]
      const proof = proveFork(...pair, signer)
      if (proof !== undefined) found.set(signer, proof)
    }
  return [...found.values()]
}
