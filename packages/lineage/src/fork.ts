/**
 * Proof that a signer contradicted itself (docs/design.md, section 5, "Proof of a fork"). It proves
 * conflicting signatures, not intent: a disk that was rolled back does it too.
 *
 * @module
 */
import { cosignatureOf, verifyCosignature } from './cosign.ts'
import { LineageError } from './errors.ts'
import { keyOfDid, keyOfPeerId } from './identity.ts'
import { decodeRecord, MAX_RECORD_BYTES } from './records.ts'
import { bytes, decodeAs, encodeAs, literal, object, oneOf, type Read } from './schema.ts'
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
 * A node may be an agent's host and its witness: what it recovers as the one never stands against what it
 * wrote as the other, since the head, and not the slot, decides between the two.
 *
 * @param signer public key under which both must verify; a body does not name its signer
 */
export function isForkProof(a: LineageRecord, b: LineageRecord, signer: Uint8Array): boolean {
  if (a.id.equals(b.id)) return false
  if (!sameSlot(a, b) && !goesOnAfter(a, b) && !goesOnAfter(b, a)) return false
  if ((a.body.kind === 'recover') !== (b.body.kind === 'recover')) return false
  return [a, b].every((record) => verifySigned(LINEAGE_DOMAIN, record.signed, signer))
}

/** True if this witness cosigned both, and they claim one slot: it ordered the history in two ways. */
export function isCosignedFork(a: LineageRecord, b: LineageRecord, witness: string): boolean {
  if (a.id.equals(b.id) || !sameSlot(a, b)) return false
  return [a, b].every((record) => {
    const cosignature = cosignatureOf(record, witness)
    return cosignature !== undefined && verifyCosignature(record, cosignature)
  })
}

/** Two records that convict whoever signed (or cosigned) both; all that is needed to check it is in it. */
export interface ForkProof {
  readonly agent: string
  /** Peer id of a host or witness, or the agent's DID: its owner. */
  readonly signer: string
  /** `cosigned`: as the agent's witness. */
  readonly as: 'signed' | 'cosigned'
  readonly records: readonly [LineageRecord, LineageRecord]
  readonly bytes: Uint8Array
}

/** Of an encoded proof: two records and a name. */
export const MAX_PROOF_BYTES = 2 * MAX_RECORD_BYTES + 512

interface ProofFields {
  readonly kind: 'igor/fork/1'
  readonly signer: string
  readonly as: ForkProof['as']
  readonly a: Uint8Array
  readonly b: Uint8Array
}

const signerName: Read<string> = (value, where) => {
  if (typeof value !== 'string') throw new LineageError('BAD_FIELD', `${where} must be a peer id or a did:key`)
  keyOfSigner(value)
  return value
}

const readProofFields = object<ProofFields>({
  kind: literal('igor/fork/1'),
  signer: signerName,
  as: oneOf('signed', 'cosigned'),
  a: bytes(1, MAX_RECORD_BYTES),
  b: bytes(1, MAX_RECORD_BYTES),
})

function keyOfSigner(signer: string): Uint8Array {
  return signer.startsWith('did:') ? keyOfDid(signer) : keyOfPeerId(signer)
}

const convicts = (a: LineageRecord, b: LineageRecord, signer: string, as: ForkProof['as']): boolean =>
  as === 'signed' ? isForkProof(a, b, keyOfSigner(signer)) : isCosignedFork(a, b, signer)

/**
 * The proof that two records are, if they are one; undefined: they convict nobody of that name. One
 * contradiction has one encoding, whatever order the records were met in.
 */
export function proveFork(a: LineageRecord, b: LineageRecord, signer: string): ForkProof | undefined {
  const as = convicts(a, b, signer, 'signed') ? 'signed' : signer.startsWith('did:') ? undefined : 'cosigned'
  if (as === undefined || !convicts(a, b, signer, as)) return undefined
  const [first, second] = a.id.toString() < b.id.toString() ? ([a, b] as const) : ([b, a] as const)
  const fields: ProofFields = { kind: 'igor/fork/1', signer, as, a: first.bytes, b: second.bytes }
  const encoded = encodeAs(readProofFields, fields, 'proof', MAX_PROOF_BYTES)
  return { agent: a.body.agent, signer, as, records: [first, second], bytes: encoded }
}

/** True if a file has the form of a proof; whether it is one, `readForkProof` tells. */
export function looksLikeForkProof(encoded: Uint8Array): boolean {
  if (encoded.length > MAX_PROOF_BYTES) return false
  try {
    decodeAs(readProofFields, encoded, 'proof', MAX_PROOF_BYTES)
    return true
  } catch {
    return false
  }
}

/**
 * Decodes and checks a proof; nothing else is needed.
 *
 * @throws LineageError TOO_LARGE | BAD_ENCODING | BAD_FIELD | BAD_PROOF (and BAD_DID, BAD_PEER_ID)
 */
export function readForkProof(encoded: Uint8Array): ForkProof {
  const { signer, as, a, b } = decodeAs(readProofFields, encoded, 'proof', MAX_PROOF_BYTES)
  const records = [decodeRecord(a), decodeRecord(b)] as const
  if (!convicts(...records, signer, as))
    throw new LineageError('BAD_PROOF', `these two records do not show that ${signer} forked an agent`)
  return { agent: records[0].body.agent, signer, as, records, bytes: encoded }
}
