/**
 * `/igor/blocks/1.0.0`: records and blocks of an agent, pulled by whoever may have them. One channel
 * serves many requests.
 *
 * @module
 */
import { type Block, decodeRecord, type LineageRecord, MAX_BLOCK_BYTES, MAX_RECORD_BYTES, pruneRecords } from '@igor/lineage'
import { CID } from 'multiformats/cid'
import { hexOf } from '../agent/blocks.ts'
import type { Context } from '../agent/context.ts'
import { IgorError } from '../errors.ts'
import { type Channel, MAX_FRAME } from '../platform.ts'
import { type Fields, hear, hearAnswer, say, sayError, violation } from './wire.ts'

export const BLOCKS_PROTOCOL = '/igor/blocks/1.0.0'

/** Anchors of one chain (docs/design.md, section 7): a longer one cannot be checked in bounded time. */
export const MAX_RECORDS = 10_000
/** Blocks asked for at once: a list of their names fits a small message. */
const MAX_WANT = 256
/** Bytes of blocks per frame: half of what a frame can carry; a larger block comes in slices. */
const FRAME_BYTES = 512 * 1024
/** A block comes in two, or three where it shares a frame. */
const MAX_SLICES = 4
/** A whole frame may take this long on a slow line. */
const FRAME_MS = 60_000
/** A puller that asks nothing for this long is gone. */
const IDLE_MS = 60_000
/** Requests on one channel: a 64 MiB memory takes 64 of them. */
const MAX_REQUESTS = 4096

/** 10,000 anchors of 700 bytes twice over: what a peer can make this node hold before anything is verified. */
const MAX_HISTORY_BYTES = 16 * 1024 * 1024

export interface BlockSource {
  /** Records that this peer may read, oldest first. Throws NOT_OWNER or UNKNOWN_AGENT. */
  records(agent: string, peer: string, proof: Uint8Array | undefined): Promise<readonly LineageRecord[]>
  /**
   * A peer shows the history by which it claims to host an agent that is known here.
   * @returns what is known here, once its claim holds. Throws NOT_OWNER, UNKNOWN_AGENT or AGENT_HALTED.
   */
  meet(agent: string, peer: string, theirs: readonly LineageRecord[]): Promise<readonly LineageRecord[]>
  /** A block that this peer may have; undefined: not here. Throws NOT_OWNER. */
  block(agent: string, peer: string, cid: CID, proof: Uint8Array | undefined): Promise<Uint8Array | undefined>
  /** For progress: so many bytes went to that peer. */
  served(agent: string, peer: string, bytes: number): void
}

export const serveBlocks =
  (context: Context, source: BlockSource) =>
  async (channel: Channel): Promise<void> => {
    for (let served = 0; served < MAX_REQUESTS; served++) {
      const request = await hear(channel, { clock: context.clock, ms: IDLE_MS, signal: context.signal })
      if (request === undefined) return
      const agent = request.text('agent', 128)
      try {
        if (request.type === 'records') {
          const proof = request.has('proof') ? request.bytes('proof', 4096) : undefined
          const records = await source.records(agent, channel.peer, proof)
          await sendRecords(channel, request.flag('brief') ? pruneRecords(records) : records)
        } else if (request.type === 'meet') {
          const theirs = await hearRecords(channel.peer, () =>
            hearAnswer(channel, { clock: context.clock, signal: context.signal }),
          )
          await sendRecords(channel, await source.meet(agent, channel.peer, theirs))
        } else if (request.type === 'blocks') {
          if (!channel.direct) throw new IgorError('BAD_REQUEST', 'blocks never cross a relayed connection')
          const want = request.list('want', MAX_WANT, (item, fail) => CID.asCID(item) ?? fail('want'))
          const proof = request.has('proof') ? request.bytes('proof', 4096) : undefined
          await sendBlocks(channel, { ...source, block: (of, peer, cid) => source.block(of, peer, cid, proof) }, agent, want)
        } else throw violation(channel.peer, `unknown request ${request.type}`)
      } catch (error) {
        await sayError(channel, error)
      }
    }
  }

/** Frames of records until the last, bounded. */
const hearRecords = async (peer: string, next: () => Promise<Fields>): Promise<LineageRecord[]> => {
  const records: LineageRecord[] = []
  let size = 0
  for (;;) {
    const answer = await next()
    const frames = answer.list('records', MAX_RECORDS, (item, fail) =>
      item instanceof Uint8Array && item.length <= MAX_RECORD_BYTES ? item : fail('records'),
    )
    for (const bytes of frames) {
      size += bytes.length
      records.push(decodeRecord(bytes))
    }
    if (records.length > MAX_RECORDS || size > MAX_HISTORY_BYTES) throw violation(peer, 'a history that is too long')
    if (answer.flag('last')) return records
    if (frames.length === 0) throw violation(peer, 'an empty frame of records')
  }
}

const sendRecords = async (channel: Channel, records: readonly LineageRecord[]): Promise<void> => {
  let batch: Uint8Array[] = []
  let size = 0
  const flush = async (last: boolean): Promise<void> => {
    await say(channel, { type: 'records', records: batch, last })
    batch = []
    size = 0
  }
  for (const { bytes } of records) {
    // A relayed connection carries small messages only: records go in pieces that fit.
    if (size + bytes.length > 48 * 1024) await flush(false)
    batch.push(bytes)
    size += bytes.length
  }
  await flush(true)
}

/** The same, for whoever has shown what it may see. */
interface Shown extends Pick<BlockSource, 'served'> {
  block(agent: string, peer: string, cid: CID): Promise<Uint8Array | undefined>
}

/** A block or a slice of one: [index in the request, bytes, whether the block ends here]. */
type Slice = readonly [index: number, bytes: Uint8Array, last: boolean]

const sendBlocks = async (channel: Channel, source: Shown, agent: string, want: readonly CID[]): Promise<void> => {
  let batch: Slice[] = []
  let size = 0
  const flush = async (last: boolean): Promise<void> => {
    await say(channel, { type: 'blocks', blocks: batch, last })
    source.served(agent, channel.peer, size)
    batch = []
    size = 0
  }
  for (const [index, cid] of want.entries()) {
    const bytes = await source.block(agent, channel.peer, cid)
    if (bytes === undefined) continue
    for (let at = 0; at === 0 || at < bytes.length; at += FRAME_BYTES) {
      const slice = bytes.subarray(at, at + FRAME_BYTES)
      if (size > 0 && size + slice.length > FRAME_BYTES) await flush(false)
      batch.push([index, slice, at + FRAME_BYTES >= bytes.length])
      size += slice.length
    }
  }
  await flush(true)
}

const readSlice = (item: unknown, fail: (what: string) => never): Slice =>
  Array.isArray(item) && typeof item[0] === 'number' && item[1] instanceof Uint8Array && typeof item[2] === 'boolean'
    ? [item[0], item[1], item[2]]
    : fail('blocks')

const join = (slices: readonly Uint8Array[]): Uint8Array => {
  const [only] = slices
  if (only !== undefined && slices.length === 1) return only
  const out = new Uint8Array(slices.reduce((sum, one) => sum + one.length, 0))
  let at = 0
  for (const slice of slices) {
    out.set(slice, at)
    at += slice.length
  }
  return out
}

export interface RecordsWish {
  /** The owner's, for an agent that is not public. */
  readonly proof?: Uint8Array
  /** Only what the chain can be verified with: no window of plain checkpoints. */
  readonly brief?: boolean
}

export interface Puller {
  /** Milliseconds that the quickest answer took: a round trip, and little more. */
  readonly roundTrip: number
  /** The records that the peer shows, oldest first, decoded but not verified. */
  records(agent: string, wish?: RecordsWish): Promise<LineageRecord[]>
  /** Shows the history by which an agent lives here, and gets the peer's. */
  meet(agent: string, mine: readonly LineageRecord[]): Promise<LineageRecord[]>
  /** Calls `onblocks` with each frame's blocks, their hashes checked. @throws IgorError HANDOFF_FAILED when one is missing */
  blocks(
    agent: string,
    want: readonly CID[],
    onblocks: (blocks: readonly Block[]) => Promise<void>,
    proof?: Uint8Array,
  ): Promise<void>
  close(): Promise<void>
}

export const pullFrom = async (context: Context, peer: string, direct: boolean, signal?: AbortSignal): Promise<Puller> => {
  const { clock } = context
  const channel = await context.network.open(peer, BLOCKS_PROTOCOL, { direct, ...(signal ? { signal } : {}) })
  const waiting = { clock, ms: FRAME_MS, ...(signal ? { signal } : {}) }
  let roundTrip = Number.POSITIVE_INFINITY
  const answerSince = async (asked: number, max?: number): Promise<Fields> => {
    const answer = await hearAnswer(channel, max === undefined ? waiting : { ...waiting, max })
    roundTrip = Math.min(roundTrip, clock.elapsed() - asked)
    return answer
  }
  return {
    get roundTrip() {
      return roundTrip
    },
    records: async (agent, { proof, brief = false } = {}) => {
      const asked = clock.elapsed()
      await say(channel, { type: 'records', agent, brief, ...(proof ? { proof } : {}) }, signal)
      return hearRecords(peer, () => answerSince(asked))
    },
    meet: async (agent, mine) => {
      await say(channel, { type: 'meet', agent }, signal)
      await sendRecords(channel, pruneRecords(mine))
      const asked = clock.elapsed()
      return hearRecords(peer, () => answerSince(asked))
    },
    blocks: async (agent, want, onblocks, proof) => {
      for (let at = 0; at < want.length; at += MAX_WANT) {
        await pullSome(agent, want.slice(at, at + MAX_WANT), onblocks, proof)
      }
    },
    close: () => channel.close(),
  }

  async function pullSome(
    agent: string,
    want: readonly CID[],
    onblocks: (blocks: readonly Block[]) => Promise<void>,
    proof: Uint8Array | undefined,
  ): Promise<void> {
    const asked = clock.elapsed()
    const missing = new Set(want.keys())
    const partial = new Map<number, { readonly slices: readonly Uint8Array[]; readonly size: number }>()
    await say(channel, { type: 'blocks', agent, want, ...(proof ? { proof } : {}) }, signal)
    for (let last = false; !last; ) {
      const frame = await answerSince(asked, MAX_FRAME)
      const whole: Block[] = []
      let came = 0
      for (const [index, slice, ends] of frame.list('blocks', MAX_WANT, readSlice)) {
        const cid = want[index]
        if (cid === undefined || !missing.has(index)) throw violation(peer, 'a block that was not asked for')
        if (slice.length === 0 && !ends) throw violation(peer, 'an empty slice of a block')
        came++
        const before = partial.get(index) ?? { slices: [], size: 0 }
        const { slices, size } = { slices: [...before.slices, slice], size: before.size + slice.length }
        if (size > MAX_BLOCK_BYTES || slices.length > MAX_SLICES)
          throw violation(peer, `block ${cid} is larger than ${MAX_BLOCK_BYTES} bytes, or cut too small`)
        if (!ends) {
          partial.set(index, { slices, size })
          continue
        }
        missing.delete(index)
        partial.delete(index)
        whole.push({ cid, bytes: join(slices) })
      }
      const digests = await context.crypto.sha256(whole.map(({ bytes }) => bytes))
      for (const [i, { cid }] of whole.entries()) {
        if (hexOf(digests[i] ?? new Uint8Array()) !== hexOf(cid.multihash.digest))
          throw violation(peer, `block ${cid} does not hash to its name`)
      }
      if (whole.length > 0) await onblocks(whole)
      last = frame.flag('last')
      if (came === 0 && !last) throw violation(peer, 'an empty frame of blocks')
    }
    if (missing.size > 0) throw new IgorError('HANDOFF_FAILED', `peer ${peer} no longer has ${missing.size} blocks of ${agent}`)
  }
}
