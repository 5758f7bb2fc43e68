/**
 * `/igor/witness/1.0.0`: commit, renew, release, fetch and takeover (docs/design.md, section 6). One channel carries
 * many requests at a time, told apart by `n`; a commit of what the witness can expect takes one round trip.
 *
 * @module
 */
import { decodeRecord, type LineageRecord, MAX_BLOCK_BYTES, MAX_RECORD_BYTES } from '@igor/lineage'
import { CID } from 'multiformats/cid'
import type { Context } from '../agent/context.ts'
import { IgorError } from '../errors.ts'
import { type Channel, MAX_FRAME } from '../platform.ts'
import { MAX_RELEASE_BYTES } from '../witness/release.ts'
import { type Claim, type CommitAnswer, MAX_WANT, type RenewAnswer, type WitnessService } from '../witness/service.ts'
import { ANSWER_MS, deadline, type Fields, fieldsOf, hear, MAX_MESSAGE, type Message, readError, say, violation } from './wire.ts'

export const WITNESS_PROTOCOL = '/igor/witness/1.0.0'

/** Requests that one peer may have under way on a channel. */
const MAX_OPEN = 64
/** A holder renews three times a lease; one that is silent for this long is gone. */
const IDLE_MS = 5 * 60_000
/** As of the blocks protocol: the longest history that can be checked, and its bytes. */
const MAX_HISTORY = 10_000
const MAX_HISTORY_BYTES = 16 * 1024 * 1024
/** Of records and of blocks in one frame: what is left holds the envelope. */
const FRAME_BYTES = 512 * 1024
/** Blocks that may come unasked, in the commit's own frame. */
export const PUSH_BYTES = FRAME_BYTES
const MAX_PUSH = 256
/** A small question has its answer, or another way is tried before the lease ends. */
const SMALL_MS = 6000
/** A batch of blocks may take this long on a slow line. */
const BLOCKS_MS = 60_000

export interface TakeoverWish {
  /** Peer id of who shall have it; default: who asks. */
  readonly to?: string
  /** The owner's word for who asks. */
  readonly proof?: Uint8Array
}

export interface WitnessAccess {
  /** Who may read the history that the witness keeps. @throws IgorError NOT_OWNER */
  mayRead(agent: string, peer: string, proof: Uint8Array | undefined): Promise<void>
  /**
   * Moves the agent once its lease is over, to `to`: because the peer held it and lost its copy, or has its owner's word.
   */
  takeover(agent: string, peer: string, wish?: TakeoverWish): Promise<void>
}

const concat = (a: Uint8Array, b: Uint8Array): Uint8Array => {
  const both = new Uint8Array(a.length + b.length)
  both.set(a)
  both.set(b, a.length)
  return both
}

const readBytes =
  (max: number) =>
  (item: unknown, fail: (what: string) => never): Uint8Array =>
    item instanceof Uint8Array && item.length <= max ? item : fail('bytes')

const readCid = (item: unknown, fail: (what: string) => never): CID => CID.asCID(item) ?? fail('want')

/** Records of one request, as they come in frames. */
interface Gathering {
  readonly records: LineageRecord[]
  size: number
}

const gather = (peer: string, into: Gathering, fields: Fields): void => {
  for (const bytes of fields.list('records', MAX_HISTORY, readBytes(MAX_RECORD_BYTES))) {
    into.size += bytes.length
    if (into.size > MAX_HISTORY_BYTES || into.records.length >= MAX_HISTORY) throw violation(peer, 'a history that is too long')
    into.records.push(decodeRecord(bytes))
  }
}

/** Cuts records into frames; the last one may be empty. */
function* framesOf(records: readonly LineageRecord[]): Generator<Uint8Array[]> {
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

function* blockFrames(blocks: readonly Uint8Array[]): Generator<Slice[]> {
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

const readSlice = (item: unknown, fail: (what: string) => never): Slice =>
  Array.isArray(item) && item[0] instanceof Uint8Array && typeof item[1] === 'boolean' ? [item[0], item[1]] : fail('blocks')

export const serveWitness =
  (context: Context, service: WitnessService, access: WitnessAccess) =>
  async (channel: Channel): Promise<void> => {
    const { peer } = channel
    const gatherings = new Map<number, Gathering>()
    const awaiting = new Map<number, (fields: Fields) => void>()
    const running = new Set<Promise<void>>()
    const ended = new AbortController()
    const end = (): void => ended.abort()
    context.signal.addEventListener('abort', end)

    const fetchFor = (n: number) => async (want: readonly CID[]) => {
      const limit = deadline(context.clock, BLOCKS_MS, `peer ${peer}`, ended.signal)
      const blocks: Uint8Array[] = []
      let part: Uint8Array = new Uint8Array()
      try {
        const frames: Fields[] = []
        let ring = (): void => {}
        awaiting.set(n, (fields) => {
          frames.push(fields)
          ring()
        })
        limit.signal.addEventListener('abort', () => ring())
        await say(channel, { type: 'need', n, want }, limit.signal)
        for (let last = false; !last; ) {
          limit.signal.throwIfAborted()
          const fields = frames.shift()
          if (fields === undefined) {
            await new Promise<void>((resolve) => {
              ring = resolve
            })
            continue
          }
          for (const [bytes, ends] of fields.list('blocks', 2 * MAX_WANT, readSlice)) {
            part = part.length === 0 ? bytes : concat(part, bytes)
            if (part.length > MAX_BLOCK_BYTES || blocks.length >= want.length) throw violation(peer, 'more than was asked for')
            if (!ends) continue
            blocks.push(part)
            part = new Uint8Array()
          }
          last = fields.flag('last')
        }
        return blocks
      } finally {
        awaiting.delete(n)
        limit.clear()
      }
    }

    const answer = async (n: number, task: () => Promise<Message | undefined>): Promise<void> => {
      try {
        const message = await task()
        if (message !== undefined) await say(channel, { ...message, n })
      } catch (error) {
        const known = error instanceof IgorError
        const broken = error instanceof Error && error.name === 'LineageError'
        const code = known ? error.code : broken ? 'NOT_AUTHORITATIVE' : 'HOST_FAULT'
        const message = known || broken ? error.message.slice(0, 1024) : 'the witness failed'
        await say(channel, { type: 'error', n, code, message }).catch(() => {})
      }
    }

    const handle = (fields: Fields, n: number, gathered: Gathering): Promise<void> =>
      answer(n, async () => {
        const agent = fields.type === 'release' ? '' : fields.text('agent', 128)
        switch (fields.type) {
          case 'commit': {
            gather(peer, gathered, fields)
            const blocks = fields.list('blocks', MAX_PUSH, readBytes(MAX_BLOCK_BYTES))
            return toWire(await service.commit(peer, { agent, records: gathered.records, blocks, fetch: fetchFor(n) }))
          }
          case 'renew': {
            const claim = { epoch: fields.count('epoch'), seq: fields.count('seq'), id: fields.cid('id') }
            return toWire(await service.renew(peer, agent, claim))
          }
          case 'release':
            return { type: 'released', taken: await service.release(fields.bytes('release', MAX_RELEASE_BYTES)) }
          case 'takeover':
            await access.takeover(agent, peer, {
              ...(fields.has('to') ? { to: fields.text('to', 128) } : {}),
              ...(fields.has('proof') ? { proof: fields.bytes('proof', 4096) } : {}),
            })
            return { type: 'taken' }
          case 'fetch': {
            await access.mayRead(agent, peer, fields.has('proof') ? fields.bytes('proof', 4096) : undefined)
            const records = (await service.records(agent)) ?? []
            const frames = [...framesOf(records)]
            for (const frame of frames.slice(0, -1)) await say(channel, { type: 'records', n, records: frame, last: false })
            return { type: 'records', records: frames.at(-1) ?? [], last: true }
          }
          default:
            throw violation(peer, `unknown request ${fields.type}`)
        }
      })

    try {
      for (;;) {
        const fields = await hear(channel, { clock: context.clock, ms: IDLE_MS, signal: context.signal, max: MAX_FRAME })
        if (fields === undefined) return
        const n = fields.count('n')
        if (fields.type === 'blocks') {
          awaiting.get(n)?.(fields)
          continue
        }
        const gathered = gatherings.get(n) ?? { records: [], size: 0 }
        if (fields.type === 'records') {
          if (gatherings.size >= 2 && !gatherings.has(n)) throw violation(peer, 'too many histories at once')
          gather(peer, gathered, fields)
          gatherings.set(n, gathered)
          continue
        }
        gatherings.delete(n)
        if (running.size >= MAX_OPEN) throw violation(peer, 'too many requests at once')
        const task = handle(fields, n, gathered).finally(() => running.delete(task))
        running.add(task)
      }
    } finally {
      context.signal.removeEventListener('abort', end)
      ended.abort(new IgorError('CHANNEL_FAILED', `the channel of ${peer} ended`))
      await Promise.all(running)
      await channel.close().catch(() => {})
    }
  }

const toWire = (answer: CommitAnswer | RenewAnswer): Message => {
  switch (answer.kind) {
    case 'cosigned': {
      const { lease } = answer
      return { type: 'cosigned', record: answer.record.bytes, ...(lease === undefined ? {} : { lease: lease.id, ms: lease.ms }) }
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

/** Blocks by their name; undefined: not here any more. */
export type BlockReader = (cid: CID) => Promise<Uint8Array | undefined>

export interface CommitWish {
  readonly agent: string
  readonly records: readonly LineageRecord[]
  /** At most `PUSH_BYTES` together. */
  readonly blocks: readonly Uint8Array[]
  readonly read: BlockReader
}

/** A witness as whoever asks it sees it, near or far. */
export interface WitnessLink {
  commit(wish: CommitWish, signal?: AbortSignal): Promise<CommitAnswer>
  renew(agent: string, claim: Claim, signal?: AbortSignal): Promise<RenewAnswer>
  release(bytes: Uint8Array): Promise<boolean>
  records(agent: string, proof?: Uint8Array, signal?: AbortSignal): Promise<readonly LineageRecord[]>
  takeover(agent: string, wish?: TakeoverWish, signal?: AbortSignal): Promise<void>
  close(): Promise<void>
}

/** This node's own. */
export const linkToSelf = (peer: string, service: WitnessService, access: WitnessAccess): WitnessLink => ({
  commit: ({ agent, records, blocks, read }) =>
    service.commit(peer, {
      agent,
      records,
      blocks,
      fetch: async (want) => {
        const found = await Promise.all(want.map(read))
        return found.filter((bytes) => bytes !== undefined)
      },
    }),
  renew: (agent, claim) => service.renew(peer, agent, claim),
  release: (bytes) => service.release(bytes),
  records: async (agent) => (await service.records(agent)) ?? [],
  takeover: (agent, wish) => access.takeover(agent, peer, wish),
  close: async () => {},
})

interface Waiting {
  hear(fields: Fields): void
  fail(error: unknown): void
}

/** @param channel to a node that serves the witness; the link ends with it */
export const linkOver = (context: Context, channel: Channel, onend: () => void): WitnessLink => {
  const { peer } = channel
  const waiting = new Map<number, Waiting>()
  let next = 0
  let failed: unknown

  const end = (error: unknown): void => {
    if (failed !== undefined) return
    failed = error
    for (const one of waiting.values()) one.fail(error)
    waiting.clear()
    onend()
  }
  const reading = async (): Promise<void> => {
    for (;;) {
      const frame = await channel.receive(context.signal)
      if (frame === undefined) throw new IgorError('CHANNEL_FAILED', `the witness at ${peer} closed the channel`)
      if (frame.length > MAX_FRAME) throw violation(peer, 'a message that is too large')
      const fields = fieldsOf(peer, frame)
      waiting.get(fields.count('n'))?.hear(fields)
    }
  }
  reading().catch(end)

  /** Sends, then hands each answer to `onanswer` until that gives a result. */
  const ask = async <T>(
    messages: (n: number) => Iterable<Message>,
    onanswer: (fields: Fields, n: number) => Promise<{ readonly value: T } | undefined> | { readonly value: T } | undefined,
    signal?: AbortSignal,
    ms = ANSWER_MS,
  ): Promise<T> => {
    if (failed !== undefined) throw failed
    const n = next++
    const queue: Fields[] = []
    let ring = (): void => {}
    let error: unknown
    waiting.set(n, {
      hear: (fields) => {
        queue.push(fields)
        ring()
      },
      fail: (why) => {
        error = why
        ring()
      },
    })
    let limit = deadline(context.clock, ms, `the witness at ${peer}`, signal)
    const wake = (): void => ring()
    try {
      for (const message of messages(n)) await say(channel, message, limit.signal)
      for (;;) {
        const fields = queue.shift()
        if (fields === undefined) {
          if (error !== undefined) throw error
          limit.signal.throwIfAborted()
          limit.signal.addEventListener('abort', wake)
          await new Promise<void>((resolve) => {
            ring = resolve
          })
          continue
        }
        if (fields.type === 'error') throw readError(peer, fields)
        const result = await onanswer(fields, n)
        if (result !== undefined) return result.value
        limit.clear()
        limit = deadline(context.clock, BLOCKS_MS, `the witness at ${peer}`, signal)
      }
    } catch (error) {
      // It froze, or the line is cut and nobody knows: the next request finds another way.
      if (limit.signal.aborted && signal?.aborted !== true) {
        end(error)
        channel.close().catch(() => {})
      }
      throw error
    } finally {
      limit.clear()
      waiting.delete(n)
    }
  }

  const wrong = (fields: Fields): never => {
    throw violation(peer, `an unexpected ${fields.type}`)
  }

  return {
    commit: ({ agent, records, blocks, read }, signal) =>
      ask<CommitAnswer>(
        function* (n) {
          const frames = [...framesOf(records)]
          for (const frame of frames.slice(0, -1)) yield { type: 'records', n, records: frame }
          // The last frame of records and the blocks share one message.
          yield { type: 'commit', n, agent, records: frames.at(-1) ?? [], blocks }
        },
        async (fields, n) => {
          if (fields.type === 'history') return { value: { kind: 'history' } }
          if (fields.type === 'cosigned') return { value: readCosigned(fields) }
          if (fields.type !== 'need') return wrong(fields)
          const found = await Promise.all(fields.list('want', MAX_WANT, readCid).map(read))
          const frames = [...blockFrames(found.filter((bytes) => bytes !== undefined))]
          for (const [i, frame] of frames.entries())
            await say(channel, { type: 'blocks', n, blocks: frame, last: i === frames.length - 1 }, signal)
          return undefined
        },
        signal,
        blocks.reduce((sum, { length }) => sum + length, 0) > MAX_MESSAGE ? ANSWER_MS : SMALL_MS,
      ),
    renew: (agent, claim, signal) =>
      ask<RenewAnswer>(
        (n) => [{ type: 'renew', n, agent, ...claim }],
        (fields) => ({ value: readRenewal(fields) ?? wrong(fields) }),
        signal,
        SMALL_MS,
      ),
    release: (bytes) =>
      ask(
        (n) => [{ type: 'release', n, release: bytes }],
        (fields) => ({ value: fields.type === 'released' ? fields.flag('taken') : wrong(fields) }),
      ),
    records: async (agent, proof, signal) => {
      const gathered: Gathering = { records: [], size: 0 }
      return ask<readonly LineageRecord[]>(
        (n) => [{ type: 'fetch', n, agent, ...(proof === undefined ? {} : { proof }) }],
        (fields) => {
          if (fields.type !== 'records') return wrong(fields)
          gather(peer, gathered, fields)
          return fields.flag('last') ? { value: gathered.records } : undefined
        },
        signal,
      )
    },
    takeover: (agent, wish = {}, signal) =>
      ask(
        (n) => [{ type: 'takeover', n, agent, ...wish }],
        (fields) => (fields.type === 'taken' ? { value: undefined } : wrong(fields)),
        signal,
        BLOCKS_MS,
      ),
    close: async () => {
      end(new IgorError('CHANNEL_FAILED', `the channel to the witness at ${peer} was closed`))
      await channel.close().catch(() => {})
    },
  }
}

const readLease = (fields: Fields) => ({ id: fields.bytes('lease', 16, true), ms: fields.count('ms', 10 * 60_000) })

const readCosigned = (fields: Fields): CommitAnswer => ({
  kind: 'cosigned',
  record: decodeRecord(fields.bytes('record', MAX_RECORD_BYTES)),
  ...(fields.has('lease') ? { lease: readLease(fields) } : {}),
})

const readRenewal = (fields: Fields): RenewAnswer | undefined => {
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
