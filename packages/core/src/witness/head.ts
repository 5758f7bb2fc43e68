/**
 * The witness's head of one agent, and what may be put on top of it (docs/design.md, section 6). Pure: who
 * calls makes blocks and head durable before a cosignature leaves.
 *
 * @module
 */
import {
  type Chain,
  cosignatureOf,
  extendChain,
  isAnchor,
  LineageError,
  type LineageRecord,
  pruneRecords,
  startChain,
  verifyChain,
  witnessOrdered,
} from '@igor/lineage'

/** Records kept behind the head: a window for holders whose last answer was lost. */
const KEEP_RECORDS = 16

export interface Head {
  /** Up to the last record that was cosigned. */
  readonly chain: Chain
  /** Oldest first, each as it was cosigned. */
  readonly records: readonly LineageRecord[]
  /** Why nothing of this agent is cosigned any more. */
  readonly frozen: string | null
}

export type Judgement =
  /** It is the head, or moved authority before it: its cosignature is given again. */
  | { readonly kind: 'again'; readonly record: LineageRecord }
  /** The last of `fresh` may become the head, when its blocks are there. */
  | { readonly kind: 'extend'; readonly chain: Chain; readonly fresh: readonly LineageRecord[] }
  /** This witness's own cosignature stands above its head: the store is older than its word. The last of `records` may become the head. */
  | { readonly kind: 'adopt'; readonly chain: Chain; readonly records: readonly LineageRecord[] }
  /** The whole history is needed to judge. */
  | { readonly kind: 'history' }
  /** This witness's own cosignature stands on another branch. */
  | { readonly kind: 'freeze'; readonly why: string }
  /** It hands the agent to another witness, which has to cosign it first. */
  | { readonly kind: 'early'; readonly why: string }
  /** It does not extend the head, for good. */
  | { readonly kind: 'stale'; readonly why: string }

const has = (records: readonly LineageRecord[], record: LineageRecord): boolean => records.some(({ id }) => id.equals(record.id))

export const isAbove = (a: LineageRecord, b: LineageRecord): boolean =>
  a.body.epoch > b.body.epoch || (a.body.epoch === b.body.epoch && a.body.seq > b.body.seq)

/** What remains of a history that has grown. */
export const keep = (records: readonly LineageRecord[]): readonly LineageRecord[] => pruneRecords(records, KEEP_RECORDS)

const extendBy = (chain: Chain, fresh: readonly LineageRecord[], signed?: ReadonlySet<LineageRecord>): Chain =>
  // No gap: what was left out could rest on another record than the head.
  fresh.reduce((grown, record) => extendChain(grown, record, { proposed: true, signed: signed?.has(record) === true }), chain)

/**
 * What this witness is to do about records that somebody shows it.
 *
 * @param witness peer id of its key
 * @param shown oldest first: those after the head, or the whole history from genesis
 * @param signed those that the holder by this head is known to have signed
 * @throws LineageError when a record is not what a history allows
 */
export const judgeShown = (
  head: Head | undefined,
  witness: string,
  shown: readonly LineageRecord[],
  signed?: ReadonlySet<LineageRecord>,
): Judgement => {
  const last = shown.at(-1)
  const [first] = shown
  if (last === undefined || first === undefined) throw new LineageError('BAD_FIELD', 'no record was shown')
  const whole = first.body.kind === 'genesis'
  if (head === undefined) return whole ? begin(witness, shown) : { kind: 'history' }
  if (head.chain.changing !== null) return judgeChanging(head, witness, shown)
  if (head.chain.witness !== witness) return judgeEnded(head, witness, shown)
  const at = shown.findIndex(({ id }) => id.equals(head.chain.head.id))
  if (at >= 0 && at === shown.length - 1) return { kind: 'again', record: head.chain.head }
  const fresh = shown.slice(at + 1)
  const next = fresh[0]
  if (next?.body.prev?.equals(head.chain.head.id) === true) {
    const chain = extendBy(head.chain, fresh, signed)
    const to = chain.changing?.to ?? null
    return to === null || cosignatureOf(last, to) !== undefined
      ? { kind: 'extend', chain, fresh }
      : { kind: 'early', why: `it hands the agent over to the witness ${to}, which has to cosign it first` }
  }
  const own = shown.findLast((record) => cosignatureOf(record, witness) !== undefined && isAbove(record, head.chain.head))
  if (own === undefined) {
    // What moves authority is brought by itself, and its answer may have been lost with all that came after it.
    const moved = head.records.find(({ id }) => id.equals(last.id))
    if (moved !== undefined && isAnchor(moved) && cosignatureOf(moved, witness) !== undefined)
      return { kind: 'again', record: moved }
    const { body } = head.chain.head
    return { kind: 'stale', why: `it does not follow on record ${body.seq} of epoch ${body.epoch}, which is the head` }
  }
  return whole ? compare(head, witness, shown) : { kind: 'history' }
}

/** The head names this witness as the next one, and the one before has not handed the agent over yet. */
const judgeChanging = ({ chain }: Head, witness: string, shown: readonly LineageRecord[]): Judgement => {
  const { head, changing } = chain
  const again = shown.find(({ id }) => id.equals(head.id))
  if (again !== undefined && changing?.from != null && cosignatureOf(again, changing.from) !== undefined)
    return beginAnew(witness, shown)
  if (shown.at(-1) === again) return { kind: 'again', record: head }
  if (shown[0]?.body.kind !== 'genesis') return { kind: 'history' }
  // One slot is cosigned once: what was never handed over makes room for another epoch's alone.
  if ((shown.at(-1)?.body.epoch ?? 0) > head.body.epoch) return beginAnew(witness, shown)
  return { kind: 'stale', why: `the witness ${changing?.from} has not handed it over yet` }
}

/** The head handed the agent over to another witness. */
const judgeEnded = ({ chain }: Head, witness: string, shown: readonly LineageRecord[]): Judgement => {
  const last = shown.at(-1)
  if (last?.id.equals(chain.head.id) === true) return { kind: 'again', record: chain.head }
  const named = last !== undefined && (witnessOrdered(last) === witness || isNamedBy(last, witness))
  return named && has(shown, chain.head)
    ? beginAnew(witness, shown)
    : { kind: 'stale', why: `its witness is ${chain.witness ?? 'none'} now` }
}

/** Its owner says that the witness before is gone. */
const isNamedBy = ({ body }: LineageRecord, witness: string): boolean =>
  body.kind === 'recover' && body.asserts === 'witness-gone' && body.witness === witness

/** In place of what is known of it. */
const beginAnew = (witness: string, shown: readonly LineageRecord[]): Judgement => {
  const begun = begin(witness, shown)
  return begun.kind === 'extend' ? { kind: 'adopt', chain: begun.chain, records: shown } : begun
}

/** A history that is met for the first time, or again after another witness had it. */
const begin = (witness: string, shown: readonly LineageRecord[]): Judgement => {
  if (shown[0]?.body.kind !== 'genesis') return { kind: 'history' }
  const handed = handedTo(witness, shown)
  if (handed !== undefined) return { kind: 'adopt', chain: handed, records: shown }
  const own = shown.findLastIndex((record) => cosignatureOf(record, witness) !== undefined)
  const last = shown.at(-1)
  if (last !== undefined && isNamedBy(last, witness)) {
    const chain = extendBy(verifyChain(shown.slice(0, -1)), [last])
    return { kind: 'extend', chain, fresh: shown }
  }
  if (own < 0) {
    const [genesis, ...rest] = shown
    if (genesis === undefined) return { kind: 'history' }
    const chain = rest.reduce((grown, record) => extendChain(grown, record, { gap: true, proposed: true }), startChain(genesis))
    // Nothing but its birth and what its first holder wrote: whatever else happened would have been cosigned.
    return chain.witness === witness && chain.anchor.id.equals(chain.genesis.id)
      ? { kind: 'extend', chain, fresh: shown }
      : { kind: 'stale', why: 'this witness knows nothing of its history, and is not shown that it ever cosigned any' }
  }
  const chain = extendBy(verifyChain(shown.slice(0, own + 1)), shown.slice(own + 1))
  if (chain.witness !== witness) return { kind: 'stale', why: `its witness is ${chain.witness ?? 'none'}` }
  return { kind: 'adopt', chain, records: shown }
}

/** The history ends in a change of witness to this one; all before it counts without its word. */
const handedTo = (witness: string, shown: readonly LineageRecord[]): Chain | undefined => {
  const last = shown.at(-1)
  if (last === undefined || witnessOrdered(last) !== witness) return undefined
  const before = verifyChain(shown.slice(0, -1))
  return before.witness === witness ? undefined : extendBy(before, [last])
}

const compare = (head: Head, witness: string, shown: readonly LineageRecord[]): Judgement => {
  const begun = begin(witness, shown)
  if (begun.kind !== 'adopt') return begun
  // The window of plain checkpoints is short: the anchor says which branch it is.
  const follows = has(begun.records, head.chain.head) || has(begun.records, head.chain.anchor)
  if (follows) return begun
  const { head: theirs } = begun.chain
  return {
    kind: 'freeze',
    why: `this witness cosigned two histories: record ${head.chain.head.id} and record ${theirs.id}. Its store was restored from an older copy`,
  }
}
