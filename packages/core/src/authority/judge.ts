/**
 * What another chain of the same agent means for the one that is held here (docs/design.md,
 * section 5: "Epochs order records along one chain only").
 *
 * @module
 */
import { type Chain, cosignatureOf, isAnchor, type LineageRecord } from '@igor/lineage'

export type Verdict =
  /** Theirs contains my last record: it is my own future. */
  | 'extends'
  /** Mine contains theirs: old news. */
  | 'behind'
  /**
   * Another branch, which the agent's witness cosigned, or through an agent-key recover of a higher epoch than
   * mine where there is no witness or it is gone: my copy is given up.
   */
  | 'superseded'
  /** Another branch that moves authority, or a second one that the witness cosigned: halt. */
  | 'rival'

export interface History {
  readonly chain: Chain
  readonly records: readonly LineageRecord[]
}

const contains = (records: readonly LineageRecord[], record: LineageRecord): boolean =>
  records.some(({ id }) => id.equals(record.id))

/**
 * Both chains are verified; `records` are those kept of each. The last record of mine is never
 * pruned by an honest holder of its future when it moved authority, and is in the window otherwise.
 */
export const judge = (mine: History, theirs: History): Verdict => {
  if (contains(theirs.records, mine.chain.head)) return 'extends'
  if (contains(mine.records, theirs.chain.head)) return 'behind'
  if (mine.chain.witness !== null) return judgeWitnessed(mine, theirs)
  // Within one epoch of one holder pruned checkpoints prove nothing: the anchors decide.
  if (theirs.chain.epoch === mine.chain.epoch && theirs.chain.anchor.id.equals(mine.chain.anchor.id)) {
    return theirs.chain.head.body.seq >= mine.chain.head.body.seq ? 'extends' : 'behind'
  }
  if (contains(mine.records, theirs.chain.anchor)) return 'behind'
  return isRecovered(mine, theirs) ? 'superseded' : 'rival'
}

/** A recover acts through the accept of the one it names: until then nobody holds what it made. */
const isRecovered = (mine: History, theirs: History, gone = false): boolean =>
  theirs.records.some(
    ({ body }, i) =>
      body.kind === 'recover' &&
      (!gone || body.asserts === 'witness-gone') &&
      body.epoch > mine.chain.epoch &&
      theirs.records[i + 1]?.body.kind === 'accept',
  )

const isAbove = ({ body: a }: LineageRecord, { body: b }: LineageRecord): boolean =>
  a.epoch > b.epoch || (a.epoch === b.epoch && a.seq > b.seq)

/** Two branches of an agent with a witness: what it cosigned is the history, the rest changes nothing. */
const judgeWitnessed = (mine: History, theirs: History): Verdict => {
  const { genesis, anchor } = mine.chain
  const cosigned = mine.chain.cosigned ?? genesis
  // Theirs may have another witness by now, or none: what this one cosigned last orders both.
  const other = theirs.chain.cosigned ?? theirs.records.findLast((record) => cosignatureOf(record, mine.chain.witness)) ?? null
  if (isRecovered(mine, theirs, true)) return 'superseded'
  if (other === null || !isAbove(other, cosigned)) return 'behind'
  if (contains(theirs.records, cosigned)) return 'superseded'
  // Plain checkpoints may have been pruned: where authority moved next says whether mine came before.
  const next = theirs.records.find((record) => isAnchor(record) && isAbove(record, anchor))
  const after = next === undefined || next.body.seq > cosigned.body.seq
  return contains(theirs.records, anchor) && after ? 'superseded' : 'rival'
}
