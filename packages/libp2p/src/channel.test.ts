import { ChannelError } from '@igor/core'
import { streamPair } from '@libp2p/utils'
import { array, assert, asyncProperty, constantFrom, integer } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createChannel, type StreamChannel } from './channel.ts'

const init = { peer: 'peer', protocol: '/test/1.0.0', direct: true }

async function pair(): Promise<[StreamChannel, StreamChannel]> {
  const [a, b] = await streamPair()
  return [createChannel(a, init), createChannel(b, init)]
}

async function readAll(channel: StreamChannel): Promise<number[]> {
  const lengths: number[] = []
  for (let next = await channel.receive(); next !== undefined; next = await channel.receive()) lengths.push(next.length)
  return lengths
}

describe('a channel', () => {
  it('delivers all that was sent, in order, whatever the sizes and whoever waits', async () => {
    const size = constantFrom(0, 1, 3, 4, 5, 1000, 65_535, 65_536, 200_000, 262_144, 1_048_575, 1_048_576)
    await assert(
      asyncProperty(
        array(size, { maxLength: 12 }),
        array(size, { maxLength: 12 }),
        integer({ min: 0, max: 3 }),
        async (ab, ba, who) => {
          const [a, b] = await pair()
          const send = async (channel: StreamChannel, sizes: number[]): Promise<void> => {
            const sending = sizes.map((length) => channel.send(new Uint8Array(length)))
            if (who & 1) await Promise.all(sending)
            else for (const each of sending) each.catch(() => {})
            await channel.close()
          }
          const reading = who & 2 ? [readAll(b), readAll(a)] : undefined
          const sending = Promise.all([send(a, ab), send(b, ba)])
          const [gotB, gotA] = await Promise.all(reading ?? [readAll(b), readAll(a)])
          await sending
          expect(gotB).toEqual(ab)
          expect(gotA).toEqual(ba)
          await Promise.all([a.closed, b.closed])
        },
      ),
      { numRuns: 40 },
    )
  })

  it('gives up what waits when it is aborted', async () => {
    const [a, b] = await pair()
    const stuck = [1, 2, 3].map(() => a.send(new Uint8Array(1_000_000)))
    const results = Promise.allSettled(stuck)
    const closing = a.close()
    a.abort(new Error('enough'))
    expect((await results).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected'])
    await closing
    await Promise.all([a.closed, b.closed])
    await expect(a.receive()).rejects.toBeInstanceOf(ChannelError)
  })

  it('lets one sender give up without holding up the next', async () => {
    const [a, b] = await pair()
    const stop = new AbortController()
    await a.send(new Uint8Array(1_000_000))
    const given = a.send(new Uint8Array(1_000_001), stop.signal)
    const kept = a.send(new Uint8Array(5))
    stop.abort(new Error('changed my mind'))
    await expect(given).rejects.toThrow('changed my mind')
    await kept
    void a.close()
    expect(await readAll(b)).toEqual([1_000_000, 5])
    await b.close()
  })

  it('delivers what had arrived before the other side was lost, then says so', async () => {
    const [a, b] = await pair()
    await a.send(new Uint8Array(7))
    await a.send(new Uint8Array(8))
    expect(await b.receive()).toHaveLength(7)
    a.abort(new Error('gone'))
    await b.closed
    expect(await b.receive()).toHaveLength(8)
    await expect(b.receive()).rejects.toBeInstanceOf(ChannelError)
  })
})
