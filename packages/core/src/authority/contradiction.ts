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

/** Who went on after an end first: two branches agree on little after it. */
function* pairs(mine: readonly LineageRecord[], theirs: readonly LineageRecord[]): Generator<Pair> {
  for (const [ends, others] of [
    [mine, theirs],
    [theirs, mine],
  ] as const)
    for (const end of ends.filter(endsEpoch)) {
      const after = others.find(({ body }) => body.epoch === end.body.epoch && body.seq > end.body.seq)
      if (after !== undefined) yield [end, after]
    }
  const slots = new Map(mine.map((record) => [slotOf(record), record]))
  for (const record of theirs) {
    const other = slots.get(slotOf(record))
    if (other?.id.equals(record.id) === false) yield [other, record]
  }
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

/** The proof that these two histories are against somebody, checked; undefined: none was found. */
export const findFork = (mine: Required<Shown>, theirs: Shown): ForkProof | undefined => {
  const chains = theirs.chain === undefined ? [mine.chain] : [mine.chain, theirs.chain]
  let tries = 0
  for (const pair of pairs(mine.records, theirs.records))
    for (const signer of signersOf(pair, chains)) {
      const proof = signer === null || ++tries > MAX_TRIES ? undefined : proveFork(...pair, signer)
      if (proof !== undefined) return proof
    }
  return undefined
}
