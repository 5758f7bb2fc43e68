/**
 * The target's answer to a source that asks what became of its handoff.
 *
 * @module
 */
import {
  type Chain,
  decodeRecord,
  type Handoff,
  keyOfPeerId,
  LINEAGE_DOMAIN,
  type LineageRecord,
  readReady,
  verifySigned,
} from '@igor/lineage'
import { hexOf } from '../agent/blocks.ts'
import { type Context, nowMs } from '../agent/context.ts'
import type { Serial } from '../agent/serial.ts'
import type { Channel } from '../platform.ts'
import { pullFrom } from '../protocols/blocks.ts'
import { verifyGently } from '../protocols/verify-gently.ts'
import { deadline, type Fields, say, sayError, violation } from '../protocols/wire.ts'
import { decisionOn, offeredHere, refuse } from './decide.ts'
import type { Inbound } from './inbound.ts'
import { isHandoff, MAX_RECORD } from './protocol.ts'
import { ordered } from './verdict.ts'

/** Pulling a history of the greatest length, and checking it, takes less. */
const HISTORY_MS = 60_000

/**
 * A refuse takes a slot for good: only whoever held the agent up to this very handoff gets one, or any
 * peer could use up the slots that the true holder's handoff needs.
 *
 * @throws IgorError PROTOCOL_VIOLATION
 */
const checkAsker = async (context: Context, peer: string, record: LineageRecord<Handoff>): Promise<Chain> => {
  const limit = deadline(context.clock, HISTORY_MS, `peer ${peer}`, context.signal)
  try {
    const puller = await pullFrom(context, peer, false, limit.signal)
    try {
      const chain = await verifyGently(context, await puller.records(record.body.agent, { brief: true }))
      if (!chain.head.id.equals(record.id) || offeredHere(context, chain) === undefined)
        throw violation(peer, 'the history that it shows does not end in the handoff that it asks about')
      return chain
    } finally {
      await puller.close().catch(() => {})
    }
  } finally {
    limit.clear()
  }
}

/** Asked about a handoff: the decision that was made, or a refusal now, or `unknown` for another incarnation. */
export const status = async (
  inbound: Inbound,
  serialOf: (agent: string) => Serial,
  channel: Channel,
  fields: Fields,
): Promise<void> => {
  const { context } = inbound
  try {
    const record = decodeRecord(fields.bytes('record', MAX_RECORD))
    if (!isHandoff(record)) throw violation(channel.peer, 'it asks about something that is no handoff')
    const { ready } = readReady(record.body.ready)
    if (ready.to !== context.peer) throw violation(channel.peer, 'it asks about a handoff to somebody else')
    if (hexOf(ready.incarnation) !== hexOf(context.incarnation)) {
      await say(channel, { type: 'unknown', incarnation: context.incarnation })
      return
    }
    const inFile = ready.agent === null
    if (!verifySigned(LINEAGE_DOMAIN, record.signed, keyOfPeerId(channel.peer)))
      throw violation(channel.peer, 'the handoff that it asks about is not its own')
    const { agent } = record.body
    const serial = serialOf(agent)
    let decision = await serial(() => decisionOn(context, record))
    // A handoff in a file is decided when the file comes, or when its time is over.
    const waits = decision === undefined && inFile && nowMs(context.clock) <= ready.expiry
    if (decision?.body.kind === 'accept') {
      // Its own holder brings it to the witness; before that has cosigned it, it is no decision.
      const witnessed = inbound.ledger(agent)?.chain.witness != null
      if (witnessed && decision.cosignatures.length === 0) decision = undefined
    } else if (!waits && (decision === undefined || decision.cosignatures.length === 0)) {
      const { witness } = await checkAsker(context, channel.peer, record)
      decision = await serial(
        async () =>
          (await decisionOn(context, record)) ??
          refuse(context, record, 'interrupted', 'the move was interrupted before it was complete'),
      )
      if (decision.body.kind === 'refuse') decision = await ordered(context, witness, decision)
    }
    await say(channel, decision === undefined ? { type: 'undecided' } : { type: 'done', record: decision.bytes })
  } catch (error) {
    await sayError(channel, error)
  }
}
