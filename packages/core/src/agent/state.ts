/**
 * A state and its blocks: encoding it, counting who uses its blocks, and the next one from what changed.
 *
 * @module
 */
import { applyDigests, cborCid, encodeStateBytes, type Genesis, type StateBlock, stateCid } from '@igor/lineage'
import type { CID } from 'multiformats/cid'
import { IgorError } from '../errors.ts'
import { keys } from '../keys.ts'
import type { Crypto } from '../platform.ts'
import type { Delta } from '../worker/protocol.ts'
import { type BlockRefs, chunkDigests, createBlockRefs, digestAt, hexOf } from './blocks.ts'
import { encodeHostPart, type HostPart } from './host-part.ts'

export interface Current {
  readonly block: StateBlock
  readonly cid: CID
  readonly host: HostPart
}

export const nameOf = (cid: CID): string => hexOf(cid.multihash.digest)

/** Uses of the blocks of a state and of what an agent was born with. */
export const countRefs = (genesis: Pick<Genesis, 'manifest' | 'init'>, state: Current | undefined): BlockRefs => {
  const refs = createBlockRefs()
  refs.add(nameOf(genesis.manifest))
  if (genesis.init !== null) refs.add(nameOf(genesis.init))
  if (state === undefined) return refs
  refs.add(nameOf(state.cid))
  refs.add(nameOf(state.block.host))
  for (const digest of chunkDigests(state.block)) refs.add(digest)
  return refs
}

/** Encodes a state; hashed by the platform, as it may have half a megabyte. */
export const encodeCurrent = async (crypto: Crypto, block: StateBlock): Promise<{ cid: CID; bytes: Uint8Array }> => {
  const bytes = encodeStateBytes(block)
  const [digest] = await crypto.sha256([bytes])
  if (digest === undefined) throw new IgorError('HOST_FAULT', 'the platform did not hash')
  return { cid: stateCid(digest), bytes }
}

/** Extra rows of a commit. */
export interface Rows {
  readonly put?: readonly (readonly [string, Uint8Array])[]
  readonly remove?: readonly string[]
}

/** A state that is not written yet. Until it is, nothing else may be prepared. */
export interface NextState {
  readonly next: Current
  readonly put: readonly (readonly [string, Uint8Array])[]
  /** Uses that this state adds, and those that end with the state before. */
  readonly added: readonly string[]
  readonly dropped: readonly string[]
}

const NO_MEMORY: StateBlock['memory'] = { bytes: 0, runs: [] }

/** @param delta everything that changed since `before`; absent: memory and globals are the same */
export const blockAfter = (before: StateBlock, host: CID, delta: Delta | undefined): StateBlock => ({
  version: 1,
  memory:
    delta === undefined
      ? before.memory
      : applyDigests(
          before.memory,
          delta.memoryBytes,
          delta.chunks.map(([index, , digest]) => [index, digest] as const),
        ),
  globals: delta?.globals ?? before.globals,
  host,
})

/**
 * @param delta as of `blockAfter`
 * @param anew it is the whole memory
 */
export const nextState = async (
  crypto: Crypto,
  agent: string,
  refs: BlockRefs,
  before: Current,
  part: HostPart,
  delta: Delta | undefined,
  anew = false,
): Promise<NextState> => {
  const hostBytes = encodeHostPart(part)
  const host = cborCid(hostBytes)
  const chunks = delta?.chunks ?? []
  const block = blockAfter(anew ? { ...before.block, memory: NO_MEMORY } : before.block, host, delta)
  const encoded = await encodeCurrent(crypto, block)
  const put: (readonly [string, Uint8Array])[] = [
    [keys.block(agent, nameOf(encoded.cid)), encoded.bytes],
    [keys.block(agent, nameOf(host)), hostBytes],
  ]
  const added = [nameOf(encoded.cid), nameOf(host)]
  const dropped = [nameOf(before.cid), nameOf(before.block.host), ...(anew ? chunkDigests(before.block) : [])]
  for (const [index, bytes, digest] of chunks) {
    const old = anew ? undefined : digestAt(before.block, index)
    if (old !== undefined) dropped.push(hexOf(old))
    if (bytes === null || digest === null) continue
    const name = hexOf(digest)
    added.push(name)
    if (!refs.has(name)) put.push([keys.block(agent, name), bytes])
  }
  return { next: { block, cid: encoded.cid, host: part }, put, added, dropped }
}
