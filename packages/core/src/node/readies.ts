/**
 * Readies for files: this node's own, and those of peers that answer.
 *
 * @module
 */
import { makeReady, readReady } from '@igor/lineage'
import { type Context, nowMs } from '../agent/context.ts'
import { HANDOFF_PROTOCOL } from '../handoff/protocol.ts'
import { hearAnswer, say, violation } from '../protocols/wire.ts'

/** A ready in a file: a day to carry it. */
const FILE_READY_MS = 24 * 60 * 60_000

/** Which agent the file will hold is not known yet. */
export const signReady = async (context: Context): Promise<Uint8Array> => {
  const { clock, crypto } = context
  const { bytes } = await makeReady(
    {
      agent: null,
      handoff: crypto.random(16),
      to: context.peer,
      incarnation: context.incarnation,
      price: context.price,
      nonce: crypto.random(32),
      expiry: nowMs(clock) + FILE_READY_MS,
    },
    context.sign,
  )
  return bytes
}

/** @param to peer id @throws IgorError PEER_UNREACHABLE | HANDOFF_REJECTED | PROTOCOL_VIOLATION */
export const requestReady = async (context: Context, to: string, signal?: AbortSignal): Promise<Uint8Array> => {
  context.forks.check(to)
  const { clock, network } = context
  const channel = await network.open(to, HANDOFF_PROTOCOL, signal ? { signal } : {})
  try {
    await say(channel, { type: 'ready?' }, signal)
    const answer = await hearAnswer(channel, { clock, ...(signal ? { signal } : {}) })
    const bytes = answer.bytes('ready', 1024)
    if (readReady(bytes).ready.to !== channel.peer) throw violation(channel.peer, 'its ready is signed by somebody else')
    return bytes
  } finally {
    await channel.close().catch(() => {})
  }
}
