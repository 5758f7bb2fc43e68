/**
 * What another chain of the same agent means for the one that is held here (docs/design.md,
 * section 5: "Epochs order records along one chain only").
 *
 * @module
 */
import type { Chain, LineageRecord } from '@igor/lineage'

export type Verdict =
  /** Theirs contains my last record: it is my own future. */
  | 'extends'
  /** Mine contains theirs: old news. */
  | 'behind'
  /** Another branch, through an agent-key recover of a higher epoch than mine: my copy is given up. */
  | 'superseded'
  /** Another branch that moves authority: halt. */
  | 'rival'

const contains = (records: readonly LineageRecord[], record: LineageRecord): boolean =>
  records.some(({ id }) => id.equals(record.id))

/**
 * Both chains are verified; `records` are those kept of each. The last record of mine is never
 * pruned by an honest holder of its future when it moved authority, and is in the window otherwise.
 */
export const judge = (
  mine: { readonly chain: Chain; readonly records: readonly LineageRecord[] },
  theirs: { readonly chain: Chain; readonly records: readonly LineageRecord[] },
): Verdict => {
  if (contains(theirs.records, mine.chain.head)) return 'extends'
  if (contains(mine.records, theirs.chain.head)) return 'behind'
  // Within one epoch of one holder pruned checkpoints prove nothing: the anchors decide.
  if (theirs.chain.epoch === mine.chain.epoch && theirs.chain.anchor.id.equals(mine.chain.anchor.id)) {
    return theirs.chain.head.body.seq >= mine.chain.head.body.seq ? 'extends' : 'behind'
  }
  if (contains(mine.records, theirs.chain.anchor)) return 'behind'
  // A recover acts through the accept of the one it names: until then nobody holds what it made.
  const recovered = theirs.records.some(
    ({ body }, i) => body.kind === 'recover' && body.epoch > mine.chain.epoch && theirs.records[i + 1]?.body.kind === 'accept',
  )
  return recovered ? 'superseded' : 'rival'
}
