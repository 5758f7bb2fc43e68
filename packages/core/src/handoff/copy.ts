/**
 * Copying an agent in: history verified, blocks pulled and hashed, the module compiled and the memory
 * placed in a worker, while the agent still ticks at its source.
 *
 * @module
 */
import {
  type Block,
  type Chain,
  chunkCid,
  chunkEntries,
  decodeState,
  type LineageRecord,
  MAX_MODULE_BYTES,
  moduleParts,
  type StateBlock,
} from '@igor/lineage'
import type { CID } from 'multiformats/cid'
import { hangMs } from '../agent/attempt.ts'
import { hexOf } from '../agent/blocks.ts'
import type { Context } from '../agent/context.ts'
import { decodeHostPart, type HostPart } from '../agent/host-part.ts'
import { hasModule, readModule } from '../agent/modules.ts'
import { IgorError } from '../errors.ts'
import type { Executor, Placed } from '../execution/executor.ts'
import { keys } from '../keys.ts'
import { granted, type Manifest, parseManifest } from '../manifest.ts'
import type { Puller } from '../protocols/blocks.ts'

/** What has been copied so far. */
export interface Copy {
  readonly chain: Chain
  readonly records: readonly LineageRecord[]
  readonly manifest: Manifest
  readonly init: Uint8Array
  readonly state: { readonly cid: CID; readonly block: StateBlock; readonly host: HostPart }
  /** Digests (hex) of the chunks that are in the store, and of the blocks that name them. */
  readonly chunks: Set<string>
  /** Of those, what the last pull brought; emptied when it is placed. */
  readonly fresh: Map<string, Uint8Array>
}

/** Blocks go to the store as they come, a frame at a time; the accept makes them durable. */
const keep = async (context: Context, agent: string, blocks: readonly Block[]): Promise<void> =>
  context.store.commit({
    put: blocks.map(({ cid, bytes }) => [keys.block(agent, hexOf(cid.multihash.digest)), bytes] as const),
    durable: false,
  })

/** One block, kept. */
const pullOne = async (context: Context, puller: Puller, agent: string, cid: CID): Promise<Uint8Array> => {
  let got: Uint8Array | undefined
  await puller.blocks(agent, [cid], async (blocks) => {
    await keep(context, agent, blocks)
    got = blocks[0]?.bytes
  })
  if (got === undefined) throw new IgorError('HANDOFF_FAILED', `a block of ${agent} did not come`)
  return got
}

export const pullManifest = async (context: Context, puller: Puller, chain: Chain): Promise<Manifest> =>
  parseManifest(await pullOne(context, puller, chain.agent, chain.genesis.body.manifest))

/** Pulls the module unless it is known, in parts of at most 1 MiB. */
const pullModule = async (context: Context, puller: Puller, agent: string, cid: CID): Promise<void> => {
  const { store } = context
  if (await hasModule(store, cid)) return
  let size = 0
  const write = async (blocks: readonly Block[]): Promise<void> => {
    size += blocks.reduce((sum, { bytes }) => sum + bytes.length, 0)
    if (size > MAX_MODULE_BYTES)
      throw new IgorError('BAD_MODULE', `the module of ${agent} is larger than ${MAX_MODULE_BYTES} bytes`)
    await store.commit({ put: blocks.map((block) => [keys.module(block.cid.toString()), block.bytes] as const), durable: false })
  }
  let parts: readonly CID[] = []
  await puller.blocks(agent, [cid], async (blocks) => {
    for (const { bytes } of blocks) parts = moduleParts(cid, bytes)
    await write(blocks)
  })
  if (parts.length > 0) await puller.blocks(agent, parts, write)
}

/** Pulls what `before` did not bring: called again while the agent ticks on, it copies the difference. */
export const pullState = async (
  context: Context,
  puller: Puller,
  origin: { readonly chain: Chain; readonly records: readonly LineageRecord[]; readonly manifest: Manifest },
  before?: Copy,
): Promise<Copy> => {
  const { chain, manifest } = origin
  const { agent } = chain
  const cid = chain.state?.body.state
  if (cid == null) throw new IgorError('HANDOFF_FAILED', `${agent} has no state to go on from`)
  const one = (name: CID): Promise<Uint8Array> => pullOne(context, puller, agent, name)
  const { init } = chain.genesis.body
  await pullModule(context, puller, agent, chain.module)
  const initBytes = before?.init ?? (init === null ? new Uint8Array() : await one(init))
  const block = decodeState(await one(cid))
  checkSize(agent, manifest, block)
  const host = decodeHostPart(await one(block.host))
  const chunks = before?.chunks ?? new Set<string>()
  for (const name of [cid, block.host]) chunks.add(hexOf(name.multihash.digest))
  const want = new Map<string, CID>()
  for (const [, digest] of chunkEntries(block)) {
    const name = hexOf(digest)
    if (!chunks.has(name)) want.set(name, chunkCid(digest))
  }
  const fresh = new Map<string, Uint8Array>()
  await puller.blocks(agent, [...want.values()], async (blocks) => {
    await keep(context, agent, blocks)
    for (const block of blocks) {
      const name = hexOf(block.cid.multihash.digest)
      chunks.add(name)
      fresh.set(name, block.bytes)
    }
  })
  return { ...origin, init: initBytes, state: { cid, block, host }, chunks, fresh }
}

export const checkSize = (agent: string, manifest: Manifest, block: StateBlock): void => {
  if (block.memory.bytes > manifest.limits.maxMemoryBytes) {
    throw new IgorError(
      'HANDOFF_REJECTED',
      `${agent} has ${block.memory.bytes} bytes of memory, its manifest allows ${manifest.limits.maxMemoryBytes}`,
    )
  }
}

/** Puts a copied state into a worker: what follows on commit is a patch and a tick. */
export const placeCopy = async (context: Context, executor: Executor, copy: Copy): Promise<Placed> => {
  const { manifest, chain, state } = copy
  const module = chain.module.toString()
  const limits = { maxMemoryBytes: manifest.limits.maxMemoryBytes, granted: granted(manifest) }
  await executor.load(module, () => readModule(context.store, chain.module), limits)
  const chunks: (readonly [number, Uint8Array])[] = []
  for (const [index, digest] of chunkEntries(state.block)) {
    chunks.push([index, copy.fresh.get(hexOf(digest)) ?? (await readChunk(context, chain.agent, digest))])
  }
  copy.fresh.clear()
  const { placed } = await executor.place({
    module,
    ...limits,
    init: copy.init,
    tickMs: hangMs(manifest),
    image: { chunks, memoryBytes: state.block.memory.bytes, globals: state.block.globals, kv: state.host.kv },
  })
  return placed
}

const readChunk = async (context: Context, agent: string, digest: Uint8Array): Promise<Uint8Array> => {
  const bytes = await context.store.get(keys.block(agent, hexOf(digest)))
  if (bytes === undefined) throw new IgorError('STORE_DAMAGED', `a chunk of ${agent} is missing from the store`)
  return bytes
}

/** Takes back what a copy wrote, when the agent does not come after all. */
export const dropCopy = async (context: Context, agent: string, row: Uint8Array | undefined): Promise<void> => {
  const remove = await context.store.list(keys.blocks(agent))
  // Unless it came by another way meanwhile.
  if (remove.length > 0) await context.store.commit({ remove, durable: false, expect: [[keys.authority(agent), row]] })
}
