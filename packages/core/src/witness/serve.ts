/**
 * The witness's end of its protocol: many requests on one channel, each answered when it is done.
 *
 * @module
 */
import { MAX_BLOCK_BYTES } from '@igor/lineage'
import type { CID } from 'multiformats/cid'
import type { Context } from '../agent/context.ts'
import { MAX_WANT } from '../authority/witness.ts'
import { IgorError } from '../errors.ts'
import { type Channel, MAX_FRAME } from '../platform.ts'
import { deadline, type Fields, hear, type Message, say, violation } from '../protocols/wire.ts'
import { BLOCKS_MS, framesOf, type Gathering, gather, readBytes, readSlice, toWire } from '../protocols/witness.ts'
import type { WitnessAccess } from './link.ts'
import { MAX_RELEASE_BYTES } from './release.ts'
import type { WitnessService } from './service.ts'

/** Requests that one peer may have under way on a channel. */
const MAX_OPEN = 64
/** A holder renews three times a lease; one that is silent for this long is gone. */
const IDLE_MS = 5 * 60_000
/** Blocks in the commit's own frame. */
const MAX_PUSH = 256

const concat = (a: Uint8Array, b: Uint8Array): Uint8Array => {
  const both = new Uint8Array(a.length + b.length)
  both.set(a)
  both.set(b, a.length)
  return both
}

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
          case 'welcome':
            await service.welcome(peer, agent)
            return { type: 'welcome' }
          case 'takeover':
            await access.takeover(agent, peer, {
              ...(fields.has('to') ? { to: fields.text('to', 128) } : {}),
              ...(fields.has('proof') ? { proof: fields.bytes('proof', 4096) } : {}),
            })
            return { type: 'taken' }
          case 'fetch': {
            const whole = await access.mayRead(agent, peer, fields.has('proof') ? fields.bytes('proof', 4096) : undefined)
            const records = ((await service.records(agent)) ?? []).slice(0, whole ? undefined : 1)
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
