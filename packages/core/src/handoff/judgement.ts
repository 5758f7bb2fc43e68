/**
 * What a target runs again before it takes an agent in, while that still ticks at its source
 * (docs/design.md, section 7).
 *
 * @module
 */
import type { CID } from 'multiformats/cid'
import { hexOf } from '../agent/blocks.ts'
import type { Context } from '../agent/context.ts'
import type { NodePolicy } from '../api.ts'
import { IgorError } from '../errors.ts'
import { keys } from '../keys.ts'
import type { Puller } from '../protocols/blocks.ts'
import { verifyGently } from '../protocols/verify-gently.ts'
import type { ReadBlocks } from '../replay/blocks.ts'
import { type Judge, replay } from '../replay/replay.ts'
import type { Replay } from '../replay-report.ts'
import { messageOf } from '../thrown.ts'
import type { Copy } from './copy.ts'

/**
 * What is run again at a move, newest first: a source makes a state every two nominal seconds, so that this is the
 * last one and some before it.
 */
export const MAX_MOVE_FUEL = 8_000_000_000n
const MAX_MOVE_BYTES = 64 * 1024 * 1024

/** From the store where the copy is, else from the source; what is pulled for this alone is not kept. */
const reader = ({ store }: Context, puller: Puller, agent: string): ReadBlocks => {
  const kept = (cid: CID): Promise<Uint8Array | undefined> =>
    store.get(keys.block(agent, hexOf(cid.multihash.digest))).then((own) => own ?? store.get(keys.module(cid.toString())))
  return async (cids) => {
    const found = new Map<string, Uint8Array>()
    for (const cid of cids) {
      const bytes = await kept(cid)
      if (bytes !== undefined) found.set(cid.toString(), bytes)
    }
    const want = [...new Map(cids.map((cid) => [cid.toString(), cid])).values()].filter((cid) => !found.has(cid.toString()))
    const take = async (blocks: readonly { readonly cid: CID; readonly bytes: Uint8Array }[]): Promise<void> => {
      for (const { cid, bytes } of blocks) found.set(cid.toString(), bytes)
    }
    // What it lacks cannot be judged, and is no reason to refuse.
    if (want.length > 0) await puller.blocks(agent, want, take).catch(() => {})
    return cids.map((cid) => found.get(cid.toString()))
  }
}

export interface Judgement {
  readonly context: Context
  readonly puller: Puller
  readonly peer: string
  readonly copy: Copy
  readonly mode: NonNullable<NodePolicy['replay']>
  readonly judge: <T>(task: (judge: Judge) => Promise<T>) => Promise<T>
  readonly signal: AbortSignal
}

/** @throws IgorError HANDOFF_REJECTED when a host of the agent signed what does not come out again */
export const judgeCopy = async ({ context, puller, peer, copy, mode, judge, signal }: Judgement): Promise<void> => {
  if (mode === 'off') return
  const { agent } = copy.chain
  const caps = mode === 'full' ? {} : { maxFuel: MAX_MOVE_FUEL, maxBytes: MAX_MOVE_BYTES }
  let found: Replay
  try {
    const records = await puller.records(agent)
    const chain = await verifyGently(context, records)
    const read = reader(context, puller, agent)
    found = await judge((one) => replay({ chain, records }, read, one, { ...caps, signal }))
  } catch (error) {
    signal.throwIfAborted()
    const message = `what it did before could not be run again: ${messageOf(error)}`
    context.report({ level: 'warn', code: 'REPLAY_FAILED', agent, peer, message })
    return
  }
  const { guilt } = found
  if (guilt === undefined) return
  const message = `${guilt.signer} signed a false ${guilt.claim} at tick ${guilt.tick}, record ${guilt.record}: ${guilt.message}`
  context.report({ level: 'error', code: 'REPLAY_DIFFERS', agent, peer, message })
  throw new IgorError('HANDOFF_REJECTED', `its history does not come out again: ${message}`)
}
