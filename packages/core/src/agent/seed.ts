/**
 * The root from which the seeds of an epoch's ticks are derived (docs/design.md, section 3): the
 * nonce comes from the other party where there was one, so that no host chooses it alone.
 *
 * @module
 */
import { decodeReady, type LineageRecord, type Ready } from '@igor/lineage'
import type { Crypto } from '../platform.ts'

const text = new TextEncoder()

const concat = (...parts: readonly Uint8Array[]): Uint8Array => {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

const u64 = (value: number): Uint8Array => {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true)
  return bytes
}

/** The ready by which another party gave its nonce to the accept at this place. */
const givenTo = (records: readonly LineageRecord[], at: number): Ready | undefined => {
  const before = records[at - 1]?.body
  if (records[at]?.body.kind !== 'accept') return undefined
  return before?.kind === 'handoff' || before?.kind === 'recover' ? decodeReady(before.ready).ready : undefined
}

/** @param records the anchors, oldest first, from genesis */
export const seedRoot = async (crypto: Pick<Crypto, 'sha256'>, records: readonly LineageRecord[]): Promise<Uint8Array> => {
  const hash = async (...parts: readonly Uint8Array[]): Promise<Uint8Array> => {
    const [digest] = await crypto.sha256([concat(text.encode('igor/r/1'), ...parts)])
    return digest ?? new Uint8Array(32)
  }
  // A nonce that was given leaves nothing of what was before it: an agent that moved a thousand times has one to look at.
  let at = records.length - 1
  let given: Ready | undefined
  while (at > 0 && given === undefined) {
    given = givenTo(records, at)
    if (given === undefined) at--
  }
  const first = records[0]?.body
  const nonce = first?.kind === 'genesis' ? first.nonce : new Uint8Array(32)
  let root = given === undefined ? nonce : await hash(given.handoff, given.nonce)
  for (const { body } of records.slice(at + 1)) {
    if (body.kind === 'accept') root = await hash(root, u64(body.epoch))
  }
  return root
}
