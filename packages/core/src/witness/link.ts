/**
 * A witness as whoever asks it sees it: this node's own, or one at the other end of a channel.
 *
 * @module
 */
import type { LineageRecord } from '@igor/lineage'
import type { Context } from '../agent/context.ts'
import { type CommitAnswer, MAX_WANT, type RenewAnswer, type TakeoverWish, type WitnessLink } from '../authority/witness.ts'
import { IgorError } from '../errors.ts'
import { type Channel, MAX_FRAME } from '../platform.ts'
import {
  ANSWER_MS,
  deadline,
  type Fields,
  fieldsOf,
  MAX_MESSAGE,
  type Message,
  readError,
  say,
  violation,
} from '../protocols/wire.ts'
import {
  BLOCKS_MS,
  blockFrames,
  framesOf,
  type Gathering,
  gather,
  readCid,
  readCosigned,
  readRenewal,
} from '../protocols/witness.ts'
import type { WitnessService } from './service.ts'

/** A small question has its answer, or another way is tried before the lease ends. */
const SMALL_MS = 6000

export interface WitnessAccess {
  /** Who may read the history that the witness keeps; anyone else its genesis. @throws IgorError UNKNOWN_AGENT */
  mayRead(agent: string, peer: string, proof: Uint8Array | undefined): Promise<boolean>
  /**
   * Moves the agent once its lease is over, to `to`: because the peer held it and lost its copy, or has its owner's word.
   */
  takeover(agent: string, peer: string, wish?: TakeoverWish): Promise<void>
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
  welcome: (agent) => service.welcome(peer, agent),
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
          if (fields.type === 'cosigned') return { value: readCosigned(peer, fields, records) }
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
    welcome: (agent, signal) =>
      ask(
        (n) => [{ type: 'welcome', n, agent }],
        (fields) => (fields.type === 'welcome' ? { value: undefined } : wrong(fields)),
        signal,
        SMALL_MS,
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
