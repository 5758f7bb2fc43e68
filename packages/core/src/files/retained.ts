/**
 * What a file carries of the time before its last state, so that it can be judged by itself.
 *
 * @module
 */
import { type Block, changedChunks, chunkCid, decodeState, moduleParts } from '@igor/lineage'
import type { CID } from 'multiformats/cid'
import { hexOf } from '../agent/blocks.ts'
import type { Context } from '../agent/context.ts'
import type { Ledger } from '../agent/ledger.ts'
import { keys } from '../keys.ts'
import { spansOf } from '../replay/spans.ts'

/** Bytes of earlier states and journals that a file carries, so that it can be judged by itself. */
const MAX_RETAINED_BYTES = 32 * 1024 * 1024

/** What is kept of the time before the last state, newest first, as far as it is whole and the file has room. */
export const collectRetained = async (
  { store }: Context,
  { agent, chain, records }: Pick<Ledger, 'agent' | 'chain' | 'records'>,
  blocks: Map<string, Block>,
): Promise<void> => {
  let newer = chain.state?.body.state == null ? undefined : blocks.get(chain.state.body.state.toString())
  let size = 0
  for (const span of spansOf(chain, records).reverse()) {
    const found: Block[] = []
    const get = async (cid: CID, key = keys.block(agent, hexOf(cid.multihash.digest))): Promise<Uint8Array | undefined> => {
      const known = blocks.get(cid.toString())
      if (known !== undefined) return known.bytes
      const bytes = await store.get(key)
      if (bytes === undefined) return undefined
      found.push({ cid, bytes })
      size += bytes.length
      return size > MAX_RETAINED_BYTES ? undefined : bytes
    }
    if (span.pruned) return
    const module = (span.start?.body ?? chain.genesis.body).module
    const root = await get(module, keys.module(module.toString()))
    if (root === undefined) return
    for (const part of moduleParts(module, root)) if ((await get(part, keys.module(part.toString()))) === undefined) return
    for (const { record } of span.steps)
      if (record.body.journal !== null && (await get(record.body.journal)) === undefined) return
    if (span.start?.body.state != null) {
      const bytes = await get(span.start.body.state)
      if (bytes === undefined) return
      const state = decodeState(bytes)
      if ((await get(state.host)) === undefined) return
      const changes = newer === undefined ? [] : changedChunks(decodeState(newer.bytes), state)
      for (const [, digest] of changes) if (digest !== null && (await get(chunkCid(digest))) === undefined) return
      newer = { cid: span.start.body.state, bytes }
    }
    for (const block of found) blocks.set(block.cid.toString(), block)
  }
}
