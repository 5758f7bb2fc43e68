/**
 * What a node can show a judge of an agent: its own store's, or what the agent's host shows to the owner.
 *
 * @module
 */
import type { LineageRecord } from '@igor/lineage'
import type { CID } from 'multiformats/cid'
import { hexOf } from '../agent/blocks.ts'
import type { Context } from '../agent/context.ts'
import { IgorError } from '../errors.ts'
import { keys } from '../keys.ts'
import { pullFrom } from '../protocols/blocks.ts'
import type { ReadBlocks } from '../replay/blocks.ts'
import type { Residents } from './residents.ts'

export interface Evidence {
  readonly records: readonly LineageRecord[]
  readonly read: ReadBlocks
  done(): Promise<void>
}

export interface Gathering {
  readonly context: Context
  readonly residents: Residents
  readonly id: string
  /** Peer where the agent lives. */
  readonly host: string
  /** The owner's word, for that peer. */
  readonly proof: Uint8Array | undefined
  readonly signal?: AbortSignal
}

/** Of an agent that lives here everything up to now: what it did since its last record gets one. */
const ownEvidence = async ({ context, residents, id }: Gathering): Promise<Evidence | undefined> => {
  const ledger = residents.ledger(id)
  if (ledger?.current === undefined) return undefined
  const atState = residents.hosted(id)?.atState ?? ((task) => task())
  const { records, unpin } = await atState(async () => ({ records: ledger.records, unpin: ledger.refs.pin() }))
  const { store } = context
  const one = async (cid: CID): Promise<Uint8Array | undefined> =>
    (await store.get(keys.block(id, hexOf(cid.multihash.digest)))) ?? store.get(keys.module(cid.toString()))
  return { records, read: (cids) => Promise.all(cids.map(one)), done: async () => unpin() }
}

/** @throws IgorError PEER_UNREACHABLE, and what the host says */
export const gather = async (given: Gathering): Promise<Evidence> => {
  const own = await ownEvidence(given)
  if (own !== undefined) return own
  const { context, id, host, proof, signal } = given
  if (host === context.peer) throw new IgorError('NOT_AUTHORITATIVE', `nothing of ${id} is left here to be run again`)
  const puller = await pullFrom(context, host, true, signal)
  const read: ReadBlocks = async (cids) => {
    const found = new Map<string, Uint8Array>()
    const keep = async (blocks: readonly { readonly cid: CID; readonly bytes: Uint8Array }[]): Promise<void> => {
      for (const { cid, bytes } of blocks) found.set(cid.toString(), bytes)
    }
    await puller.blocks(id, cids, keep, proof).catch((error) => {
      // Some are missing: those that came are there.
      if (!(error instanceof IgorError) || error.code !== 'HANDOFF_FAILED') throw error
    })
    return cids.map((cid) => found.get(cid.toString()))
  }
  try {
    const records = await puller.records(id, proof === undefined ? {} : { proof })
    return { records, read, done: () => puller.close().catch(() => {}) }
  } catch (error) {
    await puller.close().catch(() => {})
    throw error
  }
}
