/**
 * Bringing records to the witness, and what it will need with them.
 *
 * @module
 */
import { type Chain, changedChunks, chunkCid, isAnchor, type LineageRecord, type StateBlock } from '@igor/lineage'
import type { CID } from 'multiformats/cid'
import { hexOf } from '../agent/blocks.ts'
import type { Context } from '../agent/context.ts'
import type { BlockReader, Grant, WitnessLink } from '../authority/witness.ts'
import { IgorError } from '../errors.ts'
import { keys } from '../keys.ts'
import { PUSH_BYTES } from '../protocols/witness.ts'

export interface Submission {
  readonly chain: Chain
  /** All that are kept of the chain. None between the last cosigned one and the head may be missing. */
  readonly records: readonly LineageRecord[]
  readonly read: BlockReader
  /** What the witness is likely to lack. */
  readonly push?: readonly Uint8Array[]
}

export interface Submitted {
  /** With their cosignatures: the head, and before it those that each need one. */
  readonly cosigned: readonly LineageRecord[]
  readonly lease?: Grant
}

/** Records after the last one that is known to be cosigned; at least the head. */
export const uncosigned = ({ chain, records }: Pick<Submission, 'chain' | 'records'>): readonly LineageRecord[] => {
  const { cosigned } = chain
  const at = cosigned === null ? -1 : records.findIndex(({ id }) => id.equals(cosigned.id))
  return at === records.length - 1 ? records.slice(-1) : records.slice(at + 1)
}

/** What moves authority is nothing without a cosignature of its own: each such record is brought by itself. */
const portions = (records: readonly LineageRecord[]): readonly (readonly LineageRecord[])[] => {
  const parts: LineageRecord[][] = [[]]
  for (const [i, record] of records.entries()) {
    parts.at(-1)?.push(record)
    if (record.body.kind !== 'genesis' && isAnchor(record) && i < records.length - 1) parts.push([])
  }
  return parts
}

/**
 * @throws IgorError NOT_AUTHORITATIVE when it is refused for good; AGENT_HALTED when the witness froze the agent; what the
 *   network throws
 */
export const submit = async (link: WitnessLink, submission: Submission, signal?: AbortSignal): Promise<Submitted> => {
  const { chain, records, read, push = [] } = submission
  const { agent } = chain
  const cosigned: LineageRecord[] = []
  let lease: Grant | undefined
  for (const part of portions(uncosigned(submission))) {
    const last = part.at(-1)
    const first = await link.commit({ agent, records: part, blocks: push, read }, signal)
    const whole = records.slice(0, records.findIndex((one) => one.id.equals(last?.id)) + 1)
    const known = whole.map((one) => cosigned.find(({ id }) => id.equals(one.id)) ?? one)
    const answer = first.kind === 'history' ? await link.commit({ agent, records: known, blocks: push, read }, signal) : first
    if (answer.kind === 'history')
      throw new IgorError('PROTOCOL_VIOLATION', `the witness of ${agent} asks for its history again and again`)
    if (last === undefined || !answer.record.id.equals(last.id))
      throw new IgorError('PROTOCOL_VIOLATION', `the witness of ${agent} answers about another record`)
    cosigned.push(answer.record)
    lease = answer.lease
  }
  return { cosigned, ...(lease === undefined ? {} : { lease }) }
}

/** Blocks of an agent that stand in this node's store, the module's too. */
export const storedBlocks =
  ({ store }: Context, agent: string): BlockReader =>
  async (cid) =>
    (await store.get(keys.block(agent, hexOf(cid.multihash.digest)))) ?? store.get(keys.module(cid.toString()))

/**
 * The blocks that records brought since a state that the witness has, if they fit one message.
 *
 * @param now the state that the last of them with a state names
 */
export const freshBlocks = async (
  read: BlockReader,
  fresh: readonly LineageRecord[],
  before: StateBlock | undefined,
  now: StateBlock | undefined,
): Promise<Uint8Array[]> => {
  const names: CID[] = []
  for (const { body } of fresh) if ('journal' in body && body.journal !== null) names.push(body.journal)
  const last = fresh.findLast(({ body }) => 'state' in body && body.state !== null)?.body
  if (last !== undefined && 'state' in last && last.state !== null && now !== undefined) {
    if (before === undefined) return []
    names.push(last.state, now.host)
    for (const [, digest] of changedChunks(before, now)) if (digest !== null) names.push(chunkCid(digest))
  }
  if (names.length > 250) return []
  const blocks: Uint8Array[] = []
  let size = 0
  for (const name of names) {
    const bytes = await read(name)
    if (bytes === undefined) continue
    size += bytes.length
    if (size > PUSH_BYTES) return []
    blocks.push(bytes)
  }
  return blocks
}
