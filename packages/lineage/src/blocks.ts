/**
 * Content-addressed blocks: raw or DAG-CBOR, CIDv1 with sha2-256, at most 1 MiB each.
 *
 * @module
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { equalBytes } from './bytes.ts'
import { LineageError } from './errors.ts'
import { cid as cidField, DAG_CBOR, decodeAs, encodeAs, integer, list, object, RAW } from './schema.ts'
import { MAX_BLOCK_BYTES } from './types.ts'

export interface Block {
  readonly cid: CID
  readonly bytes: Uint8Array
}

/** Multicodec of sha2-256. */
const SHA2_256 = 0x12
export const DIGEST_BYTES = 32
/** As large as an agent's memory may be. */
export const MAX_MODULE_BYTES = 64 * 1024 * 1024

/** The CID of bytes whose SHA-256 is already known. */
export function cidOfDigest(codec: typeof RAW | typeof DAG_CBOR, digest: Uint8Array): CID {
  if (digest.length !== DIGEST_BYTES) throw new LineageError('BAD_CID', 'a SHA-256 digest has 32 bytes')
  return CID.createV1(codec, Digest.create(SHA2_256, digest))
}

export function cidOf(codec: typeof RAW | typeof DAG_CBOR, bytes: Uint8Array): CID {
  return cidOfDigest(codec, sha256(bytes))
}

export const rawCid = (bytes: Uint8Array): CID => cidOf(RAW, bytes)
export const cborCid = (bytes: Uint8Array): CID => cidOf(DAG_CBOR, bytes)

const anyCid = cidField(RAW, DAG_CBOR)

/** @throws LineageError BAD_CID unless it is a CIDv1 of sha2-256 with codec raw or dag-cbor, in base32 */
export function parseCid(text: string): CID {
  let parsed: CID
  try {
    if (text.length > 64) throw new Error('too long')
    parsed = anyCid(CID.parse(text), 'cid')
    if (parsed.toString() !== text) throw new Error('not base32')
  } catch (cause) {
    throw new LineageError('BAD_CID', `${JSON.stringify(String(text).slice(0, 64))} is not a CID that is used here`, { cause })
  }
  return parsed
}

/** True if the bytes are a block (at most 1 MiB) of that name. */
export function verifyBlock(cid: CID, bytes: Uint8Array): boolean {
  if (bytes.length > MAX_BLOCK_BYTES) return false
  try {
    anyCid(cid, 'cid')
  } catch {
    return false
  }
  return equalBytes(cid.multihash.digest, sha256(bytes))
}

interface ModuleList {
  /** Length of the whole. */
  readonly bytes: number
  /** Raw blocks of 1 MiB; the last may be shorter. */
  readonly parts: readonly CID[]
}

const readModuleList = object<ModuleList>({
  bytes: integer(MAX_BLOCK_BYTES + 1, MAX_MODULE_BYTES),
  parts: list(cidField(RAW), MAX_MODULE_BYTES / MAX_BLOCK_BYTES),
})

/**
 * A module as blocks. Up to 1 MiB it is one raw block; above, a DAG-CBOR list `{bytes, parts}` of raw
 * blocks of 1 MiB. One module has one CID.
 *
 * @param bytes at most 64 MiB
 * @returns all blocks that are needed, the one named by `cid` first
 * @throws LineageError TOO_LARGE
 */
export function splitModule(bytes: Uint8Array): { readonly cid: CID; readonly blocks: readonly Block[] } {
  if (bytes.length > MAX_MODULE_BYTES) {
    throw new LineageError('TOO_LARGE', `a module has at most ${MAX_MODULE_BYTES} bytes, this one ${bytes.length}`)
  }
  if (bytes.length <= MAX_BLOCK_BYTES) {
    const cid = rawCid(bytes)
    return { cid, blocks: [{ cid, bytes }] }
  }
  const parts: Block[] = []
  for (let offset = 0; offset < bytes.length; offset += MAX_BLOCK_BYTES) {
    const part = bytes.subarray(offset, offset + MAX_BLOCK_BYTES)
    parts.push({ cid: rawCid(part), bytes: part })
  }
  const head = encodeAs(readModuleList, { bytes: bytes.length, parts: parts.map((part) => part.cid) }, 'module', MAX_BLOCK_BYTES)
  const cid = cborCid(head)
  return { cid, blocks: [{ cid, bytes: head }, ...parts] }
}

/**
 * The raw blocks of a module, given the block that its CID names: that one alone, or the list's parts.
 *
 * @throws LineageError BAD_ENCODING | BAD_FIELD | TOO_LARGE
 */
export function moduleParts(cid: CID, bytes: Uint8Array): readonly CID[] {
  if (cid.code === RAW) return [cid]
  const { bytes: length, parts } = decodeAs(readModuleList, bytes, 'module', MAX_BLOCK_BYTES)
  if (parts.length !== Math.ceil(length / MAX_BLOCK_BYTES))
    throw new LineageError('BAD_FIELD', 'module.parts do not make up module.bytes')
  return parts
}

/**
 * Puts a module together from blocks that were verified before.
 *
 * @throws LineageError MISSING_BLOCK, or the list is not what `splitModule` makes
 */
export function joinModule(cid: CID, get: (cid: CID) => Uint8Array | undefined): Uint8Array {
  const need = (wanted: CID): Uint8Array => {
    const bytes = get(wanted)
    if (bytes === undefined) throw new LineageError('MISSING_BLOCK', `the module's block ${wanted} is missing`)
    return bytes
  }
  const head = need(cid)
  if (cid.code === RAW) return head
  const parts = moduleParts(cid, head)
  const { bytes: length } = decodeAs(readModuleList, head, 'module', MAX_BLOCK_BYTES)
  const out = new Uint8Array(length)
  let offset = 0
  for (const part of parts) {
    const bytes = need(part)
    const wanted = Math.min(MAX_BLOCK_BYTES, length - offset)
    if (bytes.length !== wanted)
      throw new LineageError('BAD_BLOCK', `the module's part ${part} has ${bytes.length} bytes instead of ${wanted}`)
    out.set(bytes, offset)
    offset += bytes.length
  }
  return out
}
