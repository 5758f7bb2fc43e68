/**
 * An agent's inbox: bounded, each message id let in once. Pure.
 *
 * @module
 */
import { IgorError } from '../errors.ts'
import { type HostPart, ID_BYTES, MAX_INBOX, MAX_INBOX_BYTES, MAX_MESSAGE_BYTES, MAX_SEEN } from './host-part.ts'

type Inbox = Pick<HostPart, 'inbox' | 'seen'>

export const hasSeen = (box: Pick<HostPart, 'seen'>, id: Uint8Array): boolean => {
  for (let at = 0; at < box.seen.length; at += ID_BYTES) {
    if (id.every((byte, i) => box.seen[at + i] === byte)) return true
  }
  return false
}

/** @throws IgorError BAD_MESSAGE | QUOTA; nothing is changed then */
export const deliver = <T extends Inbox>(box: T, id: Uint8Array, message: Uint8Array): T => {
  if (id.length !== ID_BYTES) throw new IgorError('BAD_MESSAGE', `a message id has ${ID_BYTES} bytes`)
  if (message.length > MAX_MESSAGE_BYTES) {
    throw new IgorError('BAD_MESSAGE', `a message has at most ${MAX_MESSAGE_BYTES} bytes; this one has ${message.length}`)
  }
  if (hasSeen(box, id)) return box
  const waiting = box.inbox.reduce((sum, one) => sum + one.length, 0)
  if (box.inbox.length >= MAX_INBOX || waiting + message.length > MAX_INBOX_BYTES) {
    throw new IgorError('QUOTA', `the inbox is full (${box.inbox.length} messages wait): send again when the agent has read some`)
  }
  const kept = box.seen.subarray(Math.max(0, box.seen.length - (MAX_SEEN - 1) * ID_BYTES))
  const seen = new Uint8Array(kept.length + ID_BYTES)
  seen.set(kept)
  seen.set(id, kept.length)
  return { ...box, inbox: [...box.inbox, message], seen }
}
