/**
 * The root from which the seeds of an epoch's ticks are derived (docs/design.md, section 3): the
 * nonce comes from the other party where there was one, so that no host chooses it alone.
 *
 * @module
 */
import { decodeReady, type LineageRecord } from '@igor/lineage'
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

/** @param records the anchors, oldest first, from genesis */
export const seedRoot = async (crypto: Crypto, records: readonly LineageRecord[]): Promise<Uint8Array> => {
  let root: Uint8Array = new Uint8Array(32)
  let before: LineageRecord | undefined
  const hash = async (...parts: readonly Uint8Array[]): Promise<Uint8Array> => {
    const [digest] = await crypto.sha256([concat(...parts)])
    return digest ?? root
  }
  for (const record of records) {
    const { body } = record
    if (body.kind === 'genesis') root = body.nonce
    if (body.kind === 'accept') {
      const given =
        before?.body.kind === 'handoff' || before?.body.kind === 'recover' ? decodeReady(before.body.ready).ready : undefined
      root =
        given === undefined
          ? await hash(text.encode('igor/r/1'), root, u64(body.epoch))
          : await hash(text.encode('igor/r/1'), given.handoff, given.nonce)
    }
    before = record
  }
  return root
}
