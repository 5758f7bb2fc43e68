/**
 * The blocks that a replay reads: each is held against its name, as a block that is not what it is named
 * would convict whoever named it.
 *
 * @module
 */
import {
  chunkCid,
  chunkEntries,
  decodeSegment,
  decodeState,
  type JournalEntry,
  joinModule,
  moduleParts,
  type StateBlock,
} from '@igor/lineage'
import type { CID } from 'multiformats/cid'
import { hexOf } from '../agent/blocks.ts'
import { decodeHostPart, type HostPart } from '../agent/host-part.ts'
import { type Manifest, parseManifest } from '../manifest.ts'
import type { Crypto } from '../platform.ts'
import type { Image } from '../worker/protocol.ts'

/** Gives blocks by name, at most 256 at a time and one call after the other; undefined where one is not known. */
export type ReadBlocks = (cids: readonly CID[]) => Promise<readonly (Uint8Array | undefined)[]>

/** Something that a judge needs is not there, or is not what it is named. */
export class MissingBlock extends Error {}

/** Chunks hashed at once. */
const BATCH = 256

export interface Library {
  has(cid: CID): Promise<boolean>
  segment(cid: CID): Promise<readonly JournalEntry[]>
  state(cid: CID): Promise<{ readonly block: StateBlock; readonly host: HostPart }>
  image(block: StateBlock, host: HostPart): Promise<Image>
  module(cid: CID): Promise<Uint8Array>
  manifest(cid: CID): Promise<Manifest>
  bytes(cid: CID | null): Promise<Uint8Array>
}

export const createLibrary = (readSome: ReadBlocks, { sha256 }: Pick<Crypto, 'sha256'>): Library => {
  let turn: Promise<unknown> = Promise.resolve()
  const read: ReadBlocks = (cids) => {
    const mine = turn.then(() => readSome(cids))
    turn = mine.catch(() => {})
    return mine
  }
  const many = async (cids: readonly CID[]): Promise<Uint8Array[]> => {
    const found = await read(cids)
    const bytes = cids.map((cid, i) => {
      const one = found[i]
      if (one === undefined) throw new MissingBlock(`block ${cid} is missing`)
      return one
    })
    const digests = await sha256(bytes)
    for (const [i, cid] of cids.entries()) {
      if (hexOf(digests[i] ?? new Uint8Array()) !== hexOf(cid.multihash.digest))
        throw new MissingBlock(`block ${cid} is damaged: it is not what its name says`)
    }
    return bytes
  }
  const one = async (cid: CID): Promise<Uint8Array> => (await many([cid]))[0] ?? new Uint8Array()
  return {
    has: async (cid) => (await read([cid]))[0] !== undefined,
    segment: async (cid) => decodeSegment(await one(cid)),
    state: async (cid) => {
      const block = decodeState(await one(cid))
      return { block, host: decodeHostPart(await one(block.host)) }
    },
    image: async (block, { kv }) => {
      const entries = [...chunkEntries(block)]
      const chunks: (readonly [number, Uint8Array])[] = []
      for (let at = 0; at < entries.length; at += BATCH) {
        const some = entries.slice(at, at + BATCH)
        const bytes = await many(some.map(([, digest]) => chunkCid(digest)))
        for (const [i, [index]] of some.entries()) chunks.push([index, bytes[i] ?? new Uint8Array()])
      }
      return { chunks, memoryBytes: block.memory.bytes, globals: block.globals, kv }
    },
    module: async (cid) => {
      const blocks = new Map([[cid.toString(), await one(cid)]])
      for (const part of moduleParts(cid, blocks.get(cid.toString()) ?? new Uint8Array()))
        blocks.set(part.toString(), await one(part))
      return joinModule(cid, (part) => blocks.get(part.toString()))
    },
    manifest: async (cid) => parseManifest(await one(cid)),
    bytes: async (cid) => (cid === null ? new Uint8Array() : one(cid)),
  }
}
