/**
 * What follows here from a history of the same agent that somebody else shows.
 *
 * @module
 */
import type { LineageRecord } from '@igor/lineage'
import type { Ledger } from '../agent/ledger.ts'
import { type History, judge } from '../authority/judge.ts'
import type { Row } from '../authority/row.ts'
import { IgorError } from '../errors.ts'

export type Consequence =
  | { readonly kind: 'none' }
  /** Theirs is older than what lives here. */
  | { readonly kind: 'older' }
  /** Two branches, and nothing says which one counts. */
  | { readonly kind: 'rival'; readonly here: boolean }
  /** Theirs takes the place of the one here. */
  | { readonly kind: 'superseded' }
  /** The agent was taken in elsewhere. */
  | { readonly kind: 'departed'; readonly later: readonly LineageRecord[] }
  /** The target of the pending handoff refused. */
  | { readonly kind: 'refused'; readonly refuse: LineageRecord }
  /** Later records of this very node, which its store lacks: it was restored from an older copy. */
  | { readonly kind: 'restored' }

/** Pure. @param peer this node */
export const consequenceOf = (mine: History & { readonly row: Row }, theirs: History, peer: string): Consequence => {
  const verdict = judge(mine, theirs)
  const here = mine.row.state === 'active-owner' || mine.row.state === 'handoff-pending'
  if (verdict === 'behind') return { kind: here ? 'older' : 'none' }
  if (verdict === 'rival') return { kind: 'rival', here }
  if (verdict === 'superseded') return { kind: 'superseded' }
  if (!here || theirs.chain.head.id.equals(mine.chain.head.id)) return { kind: 'none' }
  const later = theirs.records.filter(({ body }) => body.seq > mine.chain.head.body.seq)
  const [answer] = later
  const own = theirs.chain.authority.by === peer
  // Only an accept ends this node's authority: what was refused, or not answered yet, is nobody else's.
  if (!own && later.some(({ body }) => body.kind === 'accept')) return { kind: 'departed', later }
  if (answer?.body.kind === 'refuse' && later.length === 1) return { kind: 'refused', refuse: answer }
  if (!own) return { kind: 'none' }
  // Its witness knows who has it, and gives it back.
  return { kind: theirs.chain.witness === null ? 'restored' : 'superseded' }
}

export interface Following {
  readonly settle: (ledger: Ledger, refuse: LineageRecord) => Promise<void>
  readonly askBack: (ledger: Ledger) => Promise<void>
}

/** @throws IgorError HANDOFF_REJECTED or AGENT_HALTED when theirs conflicts */
export const followFrom = async (
  consequence: Consequence,
  ledger: Ledger,
  theirs: History,
  { settle, askBack }: Following,
): Promise<void> => {
  const { agent, chain } = ledger
  switch (consequence.kind) {
    case 'none':
      return
    case 'older':
      throw new IgorError('HANDOFF_REJECTED', `that history of ${agent} is older than the one here`)
    case 'rival':
      if (consequence.here)
        await ledger.halt(`another branch of its history exists: record ${theirs.chain.head.id} against ${chain.head.id}`)
      throw new IgorError(
        'AGENT_HALTED',
        `that history of ${agent} contradicts the one known here: only its owner can recover it`,
      )
    case 'superseded':
      await ledger.supersede(theirs)
      if (theirs.chain.witness !== null) void askBack(ledger)
      return
    case 'departed':
      return ledger.depart(consequence.later)
    case 'refused':
      return settle(ledger, consequence.refuse)
    case 'restored':
      await ledger.halt('later records of this node are known elsewhere: its store was restored from an older copy')
      throw new IgorError('AGENT_HALTED', `${agent} is halted: this node's store is older than its history`)
  }
}
