/**
 * Records as bytes: one fixed schema per kind (docs/design.md, section 5).
 *
 * @module
 */
import { cborCid } from './blocks.ts'
import { LineageError } from './errors.ts'
import { MAX_ORDER_BYTES, MAX_ORDERS } from './order.ts'
import { MAX_READY_BYTES } from './ready.ts'
import {
  byKind,
  bytes,
  cid,
  DAG_CBOR,
  decodeAs,
  did,
  encodeAs,
  int64,
  list,
  literal,
  natural,
  nullable,
  object,
  oneOf,
  optional,
  peerId,
  RAW,
  type Read,
  text,
  time,
  uint32,
  word,
} from './schema.ts'
import { LINEAGE_DOMAIN, MAX_SIGNED_BYTES, SIGNATURE_BYTES, type Sign, signBody } from './signing.ts'
import type {
  Accept,
  Body,
  BodyBase,
  Checkpoint,
  Cosignature,
  Genesis,
  Handoff,
  LineageRecord,
  Progress,
  Recover,
  Refuse,
  Retire,
  Signed,
} from './types.ts'

/** Of an encoded record: 16 orders and a ready at their largest, and as much again as the rest can need. */
export const MAX_RECORD_BYTES = MAX_SIGNED_BYTES
/** Characters of an agent's name. */
export const MAX_NAME = 64
/** Characters of `because` and `reason`. */
export const MAX_REASON = 256
/** Characters of a refusal's code. */
export const MAX_CODE = 64

type Fields<T> = { readonly [K in keyof T]-?: Read<T[K]> }

const record = cid(DAG_CBOR)
const block = cid(RAW, DAG_CBOR)
const orders = list(bytes(1, MAX_ORDER_BYTES), MAX_ORDERS)

const base: Fields<BodyBase> = {
  agent: did,
  seq: natural,
  prev: nullable(record),
  anchor: nullable(record),
  epoch: natural,
  time,
}

const progress: Fields<Progress> = {
  journal: nullable(block),
  state: nullable(cid(DAG_CBOR)),
  from: nullable(record),
  tick: natural,
  module: block,
  manifest: cid(RAW),
  instrument: uint32,
  costTable: uint32,
  fuel: int64,
  cost: int64,
  price: int64,
  budget: int64,
  orders,
}

const readBody = byKind<Body>({
  genesis: object<Genesis>({
    ...base,
    kind: literal('genesis'),
    version: literal(1),
    nonce: bytes(32),
    name: text(1, MAX_NAME),
    module: block,
    manifest: cid(RAW),
    init: nullable(cid(RAW)),
    budget: int64,
    price: int64,
    authority: peerId,
    incarnation: bytes(16),
    witness: nullable(peerId),
  }),
  checkpoint: object<Checkpoint>({ ...base, ...progress, kind: literal('checkpoint') }),
  handoff: object<Handoff>({ ...base, ...progress, kind: literal('handoff'), ready: bytes(1, MAX_READY_BYTES) }),
  accept: object<Accept>({ ...base, kind: literal('accept'), incarnation: bytes(16), budget: int64, price: int64 }),
  refuse: object<Refuse>({ ...base, kind: literal('refuse'), code: word(MAX_CODE), reason: text(0, MAX_REASON) }),
  recover: object<Recover>({
    ...base,
    kind: literal('recover'),
    ready: bytes(1, MAX_READY_BYTES),
    because: text(0, MAX_REASON),
    asserts: nullable(oneOf('holder-gone', 'witness-gone')),
    witness: optional(nullable(peerId)),
  }),
  retire: object<Retire>({ ...base, kind: literal('retire'), because: text(0, MAX_REASON), orders }),
})

/** Cosignatures of one record: a change of witness has two. */
const MAX_COSIGNATURES = 2

interface Envelope extends Signed {
  readonly cosigned?: readonly Cosignature[]
}

const some = list(
  object<Cosignature>({ by: peerId, incarnation: bytes(16), signature: bytes(SIGNATURE_BYTES) }),
  MAX_COSIGNATURES,
)
const readEnvelope = object<Envelope>({
  body: bytes(1, MAX_RECORD_BYTES),
  signature: bytes(SIGNATURE_BYTES),
  cosigned: optional((value, where) => {
    const cosigned = some(value, where)
    const [first, second] = cosigned
    if (first === undefined || first.by === second?.by) throw new LineageError('BAD_FIELD', `${where} must be one a witness`)
    return cosigned
  }),
})

/** @throws LineageError BAD_FIELD | TOO_LARGE (and BAD_DID, BAD_PEER_ID) */
export function encodeBody(body: Body): Uint8Array {
  return encodeAs(readBody, body, body.kind, MAX_RECORD_BYTES)
}

/** @throws LineageError TOO_LARGE | BAD_ENCODING | BAD_FIELD (and BAD_DID, BAD_PEER_ID) */
export function decodeBody(encoded: Uint8Array): Body {
  return decodeAs(readBody, encoded, 'record', MAX_RECORD_BYTES)
}

/**
 * Encodes and signs. The body must be durable in its slot before the result leaves the process.
 *
 * @throws LineageError BAD_FIELD | TOO_LARGE | BAD_SIGNATURE
 */
export async function signRecord<B extends Body>(body: B, sign: Sign): Promise<LineageRecord<B>> {
  const encoded = encodeBody(body)
  const signed = await signBody(LINEAGE_DOMAIN, encoded, sign)
  return { id: cborCid(encoded), body, signed, cosignatures: [], bytes: encodeEnvelope(signed, []) }
}

/**
 * The record with these cosignatures; its identity stays.
 *
 * @param cosignatures in the order in which they were given; none, or one a witness
 * @throws LineageError BAD_FIELD | TOO_LARGE
 */
export function withCosignatures<B extends Body>(
  record: LineageRecord<B>,
  cosignatures: readonly Cosignature[],
): LineageRecord<B> {
  return { ...record, cosignatures, bytes: encodeEnvelope(record.signed, cosignatures) }
}

function encodeEnvelope({ body, signature }: Signed, cosigned: readonly Cosignature[]): Uint8Array {
  const envelope: Envelope = { body, signature, ...(cosigned.length === 0 ? {} : { cosigned }) }
  return encodeAs(readEnvelope, envelope, 'record', MAX_RECORD_BYTES)
}

/**
 * Does not check the signatures: who must have signed follows from the chain (`extendChain`).
 *
 * @throws LineageError TOO_LARGE | BAD_ENCODING | BAD_FIELD (and BAD_DID, BAD_PEER_ID)
 */
export function decodeRecord(encoded: Uint8Array): LineageRecord {
  const { body: bytes, signature, cosigned = [] } = decodeAs(readEnvelope, encoded, 'record', MAX_RECORD_BYTES)
  return {
    id: cborCid(bytes),
    body: decodeBody(bytes),
    signed: { body: bytes, signature },
    cosignatures: cosigned,
    bytes: encoded,
  }
}

/** True if these bytes have the form of a record's envelope: no other block of an agent has. */
export function isRecordEnvelope(encoded: Uint8Array): boolean {
  if (encoded.length > MAX_RECORD_BYTES) return false
  try {
    decodeAs(readEnvelope, encoded, 'record', MAX_RECORD_BYTES)
    return true
  } catch {
    return false
  }
}

/** Any text as one that fits `because` and `reason`: control characters become spaces, the rest is cut. */
export function plainText(value: string, max: number = MAX_REASON): string {
  const clean = value
    .slice(0, 4 * max)
    .toWellFormed()
    .replace(/\p{Cc}/gu, ' ')
  return [...clean].slice(0, max).join('')
}
