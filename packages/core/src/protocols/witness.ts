/**
 * `/igor/witness/1.0.0`: commit, renew, release, fetch and takeover (docs/design.md, section 6). One channel carries
 * many requests at a time, told apart by `n`; a commit of what the witness can expect takes one round trip.
 *
 * @module
 */
import { type Cosignature, decodeRecord, type LineageRecord, MAX_RECORD_BYTES, withCosignatures } from '@igor/lineage'
import { CID } from 'multiformats/cid'
import type { CommitAnswer, RenewAnswer } from '../authority/witness.ts'
import { type Fields, type Message, violation } from './wire.ts'

export const WITNESS_PROTOCOL = '/igor/witness/1.0.0'

/** As of the blocks protocol: the longest history that can be checked, and its bytes. */
const MAX_HISTORY = 10_000
const MAX_HISTORY_BYTES = 16 * 1024 * 1024
/** Of one record: a change of witness has two. */
const MAX_COSIGNATURES = 2
/** Of records and of blocks in one frame: what is left holds the envelope. */
const FRAME_BYTES = 512 * 1024
/** Blocks that may come unasked, in the commit's own frame. */
export const PUSH_BYTES = FRAME_BYTES
/** A batch of blocks may take this long on a slow line. */
export const BLOCKS_MS = 60_000

export const readBytes =
  (max: number) =>
  (item: unknown, fail: (what: string) => never): Uint8Array =>
    item instanceof Uint8Array && item.length <= max ? item : fail('bytes')

export const readCid = (item: unknown, fail: (what: string) => never): CID => CID.asCID(item) ?? fail('want')

/** Records of one request, as they come in frames. */
export interface Gathering {
  readonly records: LineageRecord[]
  size: number
}

export const gather = (peer: string, into: Gathering, fields: Fields): void => {
  for (const bytes of fields.list('records', MAX_HISTORY, readBytes(MAX_RECORD_BYTES))) {
    into.size += bytes.length
    if (into.size > MAX_HISTORY_BYTES || into.records.length >= MAX_HISTORY) throw violation(peer, 'a history that is too long')
    into.records.push(decodeRecord(bytes))
  }
}

/** Cuts records into frames; the last one may be empty. */
export function* framesOf(records: readonly LineageRecord[]): Generator<Uint8Array[]> {
  let frame: Uint8Array[] = []
  let size = 0
  for (const { bytes } of records) {
    if (size + bytes.length > FRAME_BYTES) {
      yield frame
      frame = []
      size = 0
    }
    frame.push(bytes)
    size += bytes.length
  }
  yield frame
}

/** A block, or a part of one and whether it ends with it: a large one does not fit a frame. */
type Slice = readonly [bytes: Uint8Array, ends: boolean]

export function* blockFrames(blocks: readonly Uint8Array[]): Generator<Slice[]> {
  let frame: Slice[] = []
  let size = 0
  for (const bytes of blocks) {
    for (let at = 0; at === 0 || at < bytes.length; at += FRAME_BYTES) {
      const part = bytes.subarray(at, at + FRAME_BYTES)
      if (size > 0 && size + part.length > FRAME_BYTES) {
        yield frame
        frame = []
        size = 0
      }
      frame.push([part, at + FRAME_BYTES >= bytes.length])
      size += part.length
    }
  }
  yield frame
}

export const readSlice = (item: unknown, fail: (what: string) => never): Slice =>
  Array.isArray(item) && item[0] instanceof Uint8Array && typeof item[1] === 'boolean' ? [item[0], item[1]] : fail('blocks')

export const toWire = (answer: CommitAnswer | RenewAnswer): Message => {
  switch (answer.kind) {
    case 'cosigned': {
      const { lease, record } = answer
      const { id, cosignatures } = record
      // Who asked has the record: what was added to it is all that is news.
      return { type: 'cosigned', id, cosignatures, ...(lease === undefined ? {} : { lease: lease.id, ms: lease.ms }) }
    }
    case 'lease':
      return { type: 'lease', lease: answer.lease.id, ms: answer.lease.ms }
    case 'later':
      return { type: 'later', ...answer.head }
    case 'deposed':
      return { type: 'deposed', by: answer.by }
    case 'frozen':
      return { type: 'frozen', why: answer.why.slice(0, 1024) }
    case 'history':
      return { type: 'history' }
  }
}

const readLease = (fields: Fields) => ({ id: fields.bytes('lease', 16, true), ms: fields.count('ms', 10 * 60_000) })

const readCosignature = (item: unknown, fail: (what: string) => never): Cosignature => {
  const { by, incarnation, signature } = (item ?? {}) as Partial<Cosignature>
  const whole = typeof by === 'string' && incarnation instanceof Uint8Array && signature instanceof Uint8Array
  return whole ? { by, incarnation, signature } : fail('cosignatures')
}

/** @param asked what the witness was shown: it answers about one of these */
export const readCosigned = (peer: string, fields: Fields, asked: readonly LineageRecord[]): CommitAnswer => {
  const id = fields.cid('id')
  const record = asked.findLast((one) => one.id.equals(id))
  if (record === undefined) throw violation(peer, 'a cosignature of a record that it was not shown')
  return {
    kind: 'cosigned',
    record: withCosignatures(record, fields.list('cosignatures', MAX_COSIGNATURES, readCosignature)),
    ...(fields.has('lease') ? { lease: readLease(fields) } : {}),
  }
}

export const readRenewal = (fields: Fields): RenewAnswer | undefined => {
  switch (fields.type) {
    case 'lease':
      return { kind: 'lease', lease: readLease(fields) }
    case 'history':
      return { kind: 'history' }
    case 'later':
      return { kind: 'later', head: { epoch: fields.count('epoch'), seq: fields.count('seq'), id: fields.cid('id') } }
    case 'deposed':
      return { kind: 'deposed', by: fields.text('by', 128) }
    case 'frozen':
      return { kind: 'frozen', why: fields.text('why', 1024) }
    default:
      return undefined
  }
}
