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
  peerId,
  RAW,
  type Read,
  text,
  time,
  uint32,
  word,
} from './schema.ts'
import { decodeSigned, encodeSigned, LINEAGE_DOMAIN, MAX_SIGNED_BYTES, type Sign, signBody } from './signing.ts'
import type {
  Accept,
  Body,
  BodyBase,
  Checkpoint,
  Genesis,
  Handoff,
  LineageRecord,
  Progress,
  Recover,
  Refuse,
  Retire,
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
  }),
  retire: object<Retire>({ ...base, kind: literal('retire'), because: text(0, MAX_REASON), orders }),
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
  const envelope = encodeSigned(signed)
  if (envelope.length > MAX_RECORD_BYTES) {
    throw new LineageError('TOO_LARGE', `the record has ${envelope.length} bytes, at most ${MAX_RECORD_BYTES} are allowed`)
  }
  return { id: cborCid(encoded), body, signed, bytes: envelope }
}

/**
 * Does not check the signature: who must have signed follows from the chain (`extendChain`).
 *
 * @throws LineageError TOO_LARGE | BAD_ENCODING | BAD_FIELD (and BAD_DID, BAD_PEER_ID)
 */
export function decodeRecord(encoded: Uint8Array): LineageRecord {
  const signed = decodeSigned(encoded, MAX_RECORD_BYTES)
  const body = decodeBody(signed.body)
  return { id: cborCid(signed.body), body, signed, bytes: encoded }
}

/** Any text as one that fits `because` and `reason`: control characters become spaces, the rest is cut. */
export function plainText(value: string, max: number = MAX_REASON): string {
  const clean = value
    .slice(0, 4 * max)
    .toWellFormed()
    .replace(/\p{Cc}/gu, ' ')
  return [...clean].slice(0, max).join('')
}
