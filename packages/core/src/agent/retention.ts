/**
 * Which states and journals stay behind the head, and when their blocks may go. What a state's successor
 * does not use any more is let go when that state leaves the window.
 *
 * @module
 */
import { changedChunks, type LineageRecord, type StateBlock } from '@igor/lineage'
import type { CID } from 'multiformats/cid'
import { type BlockRefs, digestAt, hexOf } from './blocks.ts'
import { nameOf } from './state.ts'

/** States that stay when a node is not told otherwise: what a peer that is a little behind, or a replay, can begin from. */
export const DEFAULT_KEEP = 16

export interface Retention {
  /** A state took the place of the one before. @param names blocks that only that one and its past need */
  replaced(names: readonly string[]): void
  /** A block that is needed as long as the state that will follow is not there, and then as long as the one before. */
  also(name: string): void
}

/** @param keep how many states stay, the present one included; at least 1 */
export const createRetention = (keep: number, refs: BlockRefs): Retention => {
  const past: (readonly string[])[] = []
  let extra: string[] = []
  return {
    also: (name) => void extra.push(name),
    replaced: (names) => {
      past.push([...names, ...extra])
      extra = []
      while (past.length >= keep) for (const name of past.shift() ?? []) refs.release(name)
    },
  }
}

const hasState = ({ body }: LineageRecord): boolean => 'state' in body && body.state !== null

/** How many of the latest records stay for their states and journals: from the oldest state that is kept on. */
export const windowOf = (records: readonly LineageRecord[], keep: number): number => {
  let states = 0
  for (let i = records.length - 1; i >= 0; i--) {
    const record = records[i]
    if (record !== undefined && hasState(record) && ++states >= keep) return records.length - i
  }
  return records.length
}

/** Names that a journal or state brings, and those of the state before that it does without. */
export const usesOf = (
  before: { readonly cid: CID; readonly block: StateBlock },
  now: { readonly cid: CID; readonly block: StateBlock },
): { readonly added: string[]; readonly dropped: string[] } => {
  const added = [nameOf(now.cid), nameOf(now.block.host)]
  const dropped = [nameOf(before.cid), nameOf(before.block.host)]
  for (const [index, digest] of changedChunks(before.block, now.block)) {
    const old = digestAt(before.block, index)
    if (old !== undefined) dropped.push(hexOf(old))
    if (digest !== null) added.push(hexOf(digest))
  }
  return { added, dropped }
}
