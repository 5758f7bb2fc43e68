/**
 * The last part of an agent's state, which goes ahead of the handoff record: all that takes time is done while the
 * source writes that record. It binds nobody: what counts is what the record names.
 *
 * @module
 */
import { applyDigests, cborCid, changedChunks, type StateBlock } from '@igor/lineage'
import type { CID } from 'multiformats/cid'
import { type BlockRefs, digestAt, hexOf } from '../agent/blocks.ts'
import type { Context } from '../agent/context.ts'
import { decodeHostPart, encodeHostPart } from '../agent/host-part.ts'
import type { Ledger } from '../agent/ledger.ts'
import type { Change } from '../agent/live-state.ts'
import { type Current, encodeCurrent } from '../agent/state.ts'
import { IgorError } from '../errors.ts'
import type { Executor, Placed } from '../execution/executor.ts'
import { keys } from '../keys.ts'
import { type Channel, MAX_FRAME } from '../platform.ts'
import { type Fields, hear, say, violation } from '../protocols/wire.ts'
import { type Copy, checkSize } from './copy.ts'
import { clockUs } from './protocol.ts'

const CHUNK = 4096
/** Of 64 MiB. */
const MAX_CHUNKS = 16_384
/** Chunks of 4 KiB in one frame of the tail: half of what a frame can carry. */
const FRAME_CHUNKS = 128
/** 2000 globals are the most that a module may have; and the drop bits. */
const MAX_GLOBALS = 4096
/** The host's part is one block. */
const MAX_HOST = 1024 * 1024

/** What came, its types and sizes checked. */
export interface TailFrames {
  readonly base: CID
  readonly memory: number
  readonly globals: readonly Uint8Array[]
  readonly host: Uint8Array
  /** Chunks that became zero. */
  readonly zeros: readonly number[]
  readonly chunks: readonly (readonly [index: number, bytes: Uint8Array])[]
}

/** The agent's present state, in the worker and ready to be written. */
export interface Tail {
  readonly current: Current
  /** Blocks that the store lacks. */
  readonly rows: readonly (readonly [key: string, bytes: Uint8Array])[]
  readonly refs: BlockRefs
}

const readIndex = (item: unknown, fail: (what: string) => never): number =>
  Number.isSafeInteger(item) && (item as number) >= 0 && (item as number) < MAX_CHUNKS ? (item as number) : fail('index')

const readBytes =
  (max: number) =>
  (item: unknown, fail: (what: string) => never): Uint8Array =>
    item instanceof Uint8Array && item.length <= max ? item : fail('bytes')

const readChunk = (item: unknown, fail: (what: string) => never): readonly [number, Uint8Array] =>
  Array.isArray(item) && item[1] instanceof Uint8Array && item[1].length === CHUNK
    ? [readIndex(item[0], fail), item[1]]
    : fail('chunks')

/** @throws IgorError PROTOCOL_VIOLATION, or the channel's error */
export const hearTail = async (context: Context, channel: Channel, first: Fields): Promise<TailFrames> => {
  const chunks: (readonly [number, Uint8Array])[] = []
  for (let left = first.count('chunks', MAX_CHUNKS); left > 0; ) {
    const frame = await hear(channel, { clock: context.clock, signal: context.signal, max: MAX_FRAME })
    if (frame?.type !== 'chunks') throw violation(channel.peer, 'the changed chunks did not come')
    const some = frame.list('chunks', left, readChunk)
    if (some.length === 0) throw violation(channel.peer, 'an empty frame of chunks')
    left -= some.length
    chunks.push(...some)
  }
  return {
    base: first.cid('base'),
    memory: first.count('memory'),
    globals: first.list('globals', MAX_GLOBALS, readBytes(16)),
    host: first.bytes('host', MAX_HOST),
    zeros: first.list('zeros', MAX_CHUNKS, readIndex),
    chunks,
  }
}

export interface Landing {
  readonly executor: Executor
  /** Holds `copy`, and has not run. */
  readonly placed: Placed
  readonly copy: Copy
  /** Uses of the copy's blocks; they become those of the tail. */
  readonly refs: BlockRefs
}

/**
 * Rebuilds the index from the copy's and the hashes of what came, and patches the worker's image.
 *
 * @throws IgorError HANDOFF_FAILED | BAD_FILE | HANDOFF_REJECTED | HOST_FAULT, LineageError: this state cannot be taken
 */
export const applyTail = async (context: Context, frames: TailFrames, landing: Landing): Promise<Tail> => {
  const { executor, placed, copy, refs } = landing
  const { agent } = copy.chain
  const before = copy.state
  if (!frames.base.equals(before.cid)) throw new IgorError('HANDOFF_FAILED', 'it builds on another state than was copied')
  const host = decodeHostPart(frames.host)
  const hostCid = cborCid(frames.host)
  const digests = await context.crypto.sha256(frames.chunks.map(([, bytes]) => bytes))
  const changes = [
    ...frames.zeros.map((index) => [index, null] as const),
    ...frames.chunks.map(([index], i) => [index, digests[i] ?? null] as const),
  ]
  const memory = applyDigests(before.block.memory, frames.memory, changes)
  const block: StateBlock = { version: 1, memory, globals: frames.globals, host: hostCid }
  checkSize(agent, copy.manifest, block)
  const patched = executor.patch(placed, {
    chunks: [...frames.zeros.map((index) => [index, null] as const), ...frames.chunks],
    memoryBytes: memory.bytes,
    globals: block.globals,
    kv: host.kv,
  })
  const [{ cid, bytes }] = await Promise.all([encodeCurrent(context.crypto, block), patched])
  const blocks = new Map([
    [hexOf(cid.multihash.digest), bytes],
    [hexOf(hostCid.multihash.digest), frames.host],
  ])
  for (const [i, digest] of digests.entries()) blocks.set(hexOf(digest), frames.chunks[i]?.[1] ?? new Uint8Array())
  const rows = moveRefs(refs, before, { block, cid, host }, changes).flatMap((name) => {
    const found = blocks.get(name)
    return found === undefined ? [] : [[keys.block(agent, name), found] as const]
  })
  return { current: { block, cid, host }, rows, refs }
}

/** Counts the uses of the new state's blocks instead of the old one's. @returns names that were not in use */
const moveRefs = (
  refs: BlockRefs,
  before: Current,
  now: Current,
  changes: readonly (readonly [index: number, digest: Uint8Array | null])[],
): string[] => {
  const indexes = [...new Set(changes.map(([index]) => index))]
  const namesOf = ({ cid, block }: Current): string[] => [
    hexOf(cid.multihash.digest),
    hexOf(block.host.multihash.digest),
    ...indexes.flatMap((index) => digestAt(block, index) ?? []).map(hexOf),
  ]
  const added = namesOf(now)
  const fresh = added.filter((name) => !refs.has(name))
  for (const name of added) refs.add(name)
  for (const name of namesOf(before)) refs.release(name)
  return fresh
}

/** A state that the target has, and its name. */
export interface Base {
  readonly cid: CID
  readonly block: StateBlock
}

/** What a tail is made of. */
export interface Leaving {
  readonly base: Base
  readonly present: Current
  /** What of it is not committed yet: its chunks are not in the store. */
  readonly change: Change | undefined
}

/** The present state as what changed since the one that the target has. Binds nobody: the commit does. */
export const sendTail = async (
  context: Context,
  channel: Channel,
  ledger: Ledger,
  { base, present, change }: Leaving,
): Promise<void> => {
  const { memory, globals } = present.block
  const fresh = new Map(change?.delta?.chunks.map(([index, bytes]) => [index, bytes]))
  const zeros: number[] = []
  const changed: Promise<readonly [number, Uint8Array]>[] = []
  for (const [index, digest] of changedChunks(base.block, present.block)) {
    if (digest === null) zeros.push(index)
    else changed.push(Promise.resolve(fresh.get(index) ?? need(ledger, digest)).then((bytes) => [index, bytes] as const))
  }
  const chunks = await Promise.all(changed)
  await say(channel, {
    type: 'tail',
    clockUs: clockUs(context),
    base: base.cid,
    memory: memory.bytes,
    globals,
    host: encodeHostPart(present.host),
    zeros,
    chunks: chunks.length,
  })
  for (let at = 0; at < chunks.length; at += FRAME_CHUNKS) {
    await say(channel, { type: 'chunks', chunks: chunks.slice(at, at + FRAME_CHUNKS) })
  }
}

const need = async (ledger: Ledger, digest: Uint8Array): Promise<Uint8Array> => {
  const bytes = await ledger.readBlock(digest)
  if (bytes === undefined) throw new IgorError('STORE_DAMAGED', `a block of ${ledger.agent} is missing from the store`)
  return bytes
}
