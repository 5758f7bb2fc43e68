/**
 * What both sides of a handoff agree on (docs/design.md, section 7).
 *
 * @module
 */
import { decodeRecord, type Handoff, type LineageRecord } from '@igor/lineage'
import type { Context } from '../agent/context.ts'
import { IgorError } from '../errors.ts'
import type { Channel } from '../platform.ts'
import { type Fields, say, violation } from '../protocols/wire.ts'

export const HANDOFF_PROTOCOL = '/igor/handoff/1.0.0'
/** Of a handoff's id, and of an incarnation. */
export const ID_BYTES = 16
/** Bytes of a record in a message. */
export const MAX_RECORD = 24 * 1024
/** Bytes of orders that an offer may carry beside a record. */
export const OFFERED_ORDERS = 2048

export const isHandoff = (record: LineageRecord): record is LineageRecord<Handoff> => record.body.kind === 'handoff'

/** What a target says that it decided on this handoff. */
export const readDecision = (channel: Channel, handoff: LineageRecord, answer: Fields): LineageRecord => {
  if (answer.type !== 'done') throw violation(channel.peer, `${answer.type} instead of done`)
  const decision = decodeRecord(answer.bytes('record', MAX_RECORD))
  const decides = decision.body.kind === 'accept' || decision.body.kind === 'refuse'
  if (!decides || decision.body.prev?.equals(handoff.id) !== true)
    throw violation(channel.peer, 'its decision is on something else')
  return decision
}

/** The move does not happen: why, as far as it is the other side's business. */
export const reject = async (channel: Channel, error: unknown): Promise<void> => {
  const known = error instanceof IgorError || (error instanceof Error && error.name === 'LineageError')
  const reason = known ? error.message : 'the other node failed'
  const code = error instanceof IgorError ? error.code : 'HOST_FAULT'
  await say(channel, { type: 'reject', code, reason: reason.slice(0, 1024) })
}

/** This node's clock when a message leaves: by the quickest of them the target learns how the two clocks differ. */
export const clockUs = ({ clock }: Context): number => Math.round(clock.elapsed() * 1000)

/**
 * How far this clock is ahead of the source's. Each message says when it left; the one that was under way for the
 * shortest time tells best, and it took about half a round trip.
 */
export const clockDifference = ({ clock }: Context) => {
  let least = Number.POSITIVE_INFINITY
  return {
    hear: (message: Fields): void => {
      least = Math.min(least, clock.elapsed() - message.count('clockUs') / 1000)
    },
    ms: (roundTrip: number): number => least - roundTrip / 2,
  }
}
