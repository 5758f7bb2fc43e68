/**
 * The witness's cosignature of a record (docs/design.md, section 6): who gives one has put the record at
 * the head of the agent's history, and holds every block that it needs.
 *
 * @module
 */
import type { CID } from 'multiformats/cid'
import { LineageError } from './errors.ts'
import { keyOfPeerId } from './identity.ts'
import { decodeOrder } from './order.ts'
import { bytes, cid, DAG_CBOR, did, encodeAs, natural, object } from './schema.ts'
import { COSIGN_DOMAIN, type Sign, signBody, verifySigned } from './signing.ts'
import type { Cosignature, LineageRecord } from './types.ts'

interface CosignedBody {
  readonly agent: string
  readonly epoch: number
  readonly seq: number
  /** The record's identity. */
  readonly record: CID
  readonly incarnation: Uint8Array
}

/** The largest that the schema lets through has about 190. */
const MAX_COSIGNED_BYTES = 256

const readCosigned = object<CosignedBody>({
  agent: did,
  epoch: natural,
  seq: natural,
  record: cid(DAG_CBOR),
  incarnation: bytes(16),
})

const cosignedBody = ({ id, body }: LineageRecord, incarnation: Uint8Array): Uint8Array => {
  const { agent, epoch, seq } = body
  return encodeAs(readCosigned, { agent, epoch, seq, record: id, incarnation }, 'cosignature', MAX_COSIGNED_BYTES)
}

/**
 * Only for a record that is durable as the agent's head in the witness's store, with every block that it needs.
 *
 * @param witness peer id of the key that `sign` signs with
 * @param incarnation 16 bytes: the witness's store
 * @throws LineageError BAD_FIELD | BAD_SIGNATURE
 */
export async function cosign(record: LineageRecord, witness: string, incarnation: Uint8Array, sign: Sign): Promise<Cosignature> {
  const { signature } = await signBody(COSIGN_DOMAIN, cosignedBody(record, incarnation), sign)
  return { by: witness, incarnation, signature }
}

/** True if `cosignature.by` signed exactly this record. Whether it is the agent's witness the chain tells. */
export function verifyCosignature(record: LineageRecord, { by, incarnation, signature }: Cosignature): boolean {
  return verifySigned(COSIGN_DOMAIN, { body: cosignedBody(record, incarnation), signature }, keyOfPeerId(by))
}

/** The cosignature of this witness, not checked; undefined: there is none. */
export function cosignatureOf(record: LineageRecord, witness: string | null): Cosignature | undefined {
  return record.cosignatures.find(({ by }) => by === witness)
}

/**
 * The witness that a checkpoint's orders name, the last one's; undefined: none of them is about it. The
 * orders are not checked.
 */
export function witnessOrdered(record: LineageRecord): string | null | undefined {
  if (record.body.kind !== 'checkpoint') return undefined
  let named: string | null | undefined
  for (const encoded of record.body.orders) {
    const order = orderIn(encoded)
    if (order?.kind === 'witness') named = order.to
  }
  return named
}

const orderIn = (encoded: Uint8Array) => {
  try {
    return decodeOrder(encoded).order
  } catch (error) {
    if (error instanceof LineageError) return undefined
    throw error
  }
}
