/**
 * Which states and journals stay behind the head, and when their blocks may go. What a state's successor
 * does not use any more is let go when that state leaves the window.
 *
 * @module
 */
import { type Chain, changedChunks, type LineageRecord, type StateBlock } from '@igor/lineage'
import type { CID } from 'multiformats/cid'
import { type BlockRefs, digestAt, hexOf } from './blocks.ts'
import { nameOf } from './state.ts'

/** States that stay when a node is not told otherwise: what a peer that is a little behind, or a replay, can begin from. */
export const DEFAULT_KEEP = 16

/**
 * Bytes of states behind the present one, as `pastBytes` reckons them: as much as the largest state has. Without it an
 * agent that changes all of its 64 MiB would take a gigabyte of a disk. `keep: all` knows no bound.
 */
export const MAX_PAST_BYTES = 64 * 1024 * 1024
/** From one before the present a judge, and the target of a move, can run the last ticks again. */
const LEAST_PAST = 1
const CHUNK_BYTES = 4096
const DIGEST_BYTES = 32

export interface Retention {
  /**
   * A state took the place of the one before.
   *
   * @param names blocks that only that one and its past need
   * @param bytes what they take
   * @param owed states behind the present one that a witness may still ask for: none of them goes
   */
  replaced(names: readonly string[], bytes: number, owed?: number): void
  /** A block that is needed as long as the state that will follow is not there, and then as long as the one before. */
  also(name: string): void
}

/** @param keep how many states stay, the present one included; at least 1 */
export const createRetention = (keep: number, refs: BlockRefs): Retention => {
  const past: { readonly names: readonly string[]; readonly bytes: number }[] = []
  let total = 0
  const isTooMuch = (): boolean => Number.isFinite(keep) && past.length > LEAST_PAST && total > MAX_PAST_BYTES
  let extra: string[] = []
  return {
    also: (name) => void extra.push(name),
    replaced: (names, bytes, owed = 0) => {
      past.push({ names: [...names, ...extra], bytes })
      total += bytes
      extra = []
      while (past.length > owed && (past.length >= keep || isTooMuch())) {
        const gone = past.shift()
        total -= gone?.bytes ?? 0
        for (const name of gone?.names ?? []) refs.release(name)
      }
    },
  }
}

const hasState = ({ body }: LineageRecord): boolean => 'state' in body && body.state !== null

/** What a state takes that was replaced: its index, and each chunk that its successor does without. Journals and kv are small beside it. */
export const pastBytes = (block: StateBlock, dropped: number): number =>
  dropped * CHUNK_BYTES + block.memory.runs.reduce((sum, [, digests]) => sum + digests.length, 0) + DIGEST_BYTES

/** How many of the latest records stay for their states and journals: from the oldest state that is kept on. */
export const windowOf = (records: readonly LineageRecord[], keep: number): number => {
  let states = 0
  for (let i = records.length - 1; i >= 0; i--) {
    const record = records[i]
    if (record !== undefined && hasState(record) && ++states >= keep) return records.length - i
  }
  return records.length
}

/** States behind the present one that the witness has not cosigned the records of: it asks for their blocks. */
export const owedStates = ({ witness, cosigned }: Chain, records: readonly LineageRecord[]): number => {
  if (witness === null) return 0
  const since = records.findLastIndex(({ id }) => cosigned !== null && id.equals(cosigned.id))
  return Math.max(0, records.slice(since + 1).filter(hasState).length - 1)
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
