/**
 * Proof that a signer contradicted itself (docs/design.md, section 5, "Proof of a fork"). It proves
 * conflicting signatures, not intent: a disk that was rolled back does it too.
 *
 * @module
 */
import { LINEAGE_DOMAIN, verifySigned } from './signing.ts'
import type { LineageRecord } from './types.ts'

/** True if both claim one slot (agent, epoch, seq). */
export function sameSlot(a: LineageRecord, b: LineageRecord): boolean {
  return a.body.agent === b.body.agent && a.body.epoch === b.body.epoch && a.body.seq === b.body.seq
}

/** True if `a` gave the epoch up and `b` went on in it. */
function goesOnAfter(a: LineageRecord, b: LineageRecord): boolean {
  const { kind, agent, epoch, seq } = a.body
  return (kind === 'handoff' || kind === 'retire') && agent === b.body.agent && epoch === b.body.epoch && b.body.seq > seq
}

/**
 * True if these two records, in either order, prove that the holder of `signer` forked the agent: two
 * bodies for one slot, or a record of an epoch after it handed that epoch off or retired.
 *
 * @param signer public key under which both must verify; a body does not name its signer
 */
export function isForkProof(a: LineageRecord, b: LineageRecord, signer: Uint8Array): boolean {
  if (a.id.equals(b.id)) return false
  if (!sameSlot(a, b) && !goesOnAfter(a, b) && !goesOnAfter(b, a)) return false
  return [a, b].every((record) => verifySigned(LINEAGE_DOMAIN, record.signed, signer))
}
