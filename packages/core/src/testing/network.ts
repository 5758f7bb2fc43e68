import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { ChannelError, IgorError, PeerUnreachableError } from '../errors.ts'
import { type Channel, MAX_FRAME, type Network } from '../platform.ts'
import { noise, utf8 } from './fixture.ts'

/** Two networks that are connected. */
export interface NetworkPair {
  readonly a: Network
  readonly b: Network
  /** A well-formed multiaddr with a peer id that nobody answers at, and that `a` could dial. */
  readonly deadAddress: string
  close(): Promise<void>
}

export interface NetworkSuiteOptions {
  /** False where the pair is connected through a relay: small messages only. Default true. */
  readonly direct?: boolean
  /** How long `open` to nobody may take, in milliseconds. Default 25 s. */
  readonly boundMs?: number
}

/** A well-formed peer id that no test has the key of. */
export const STRANGER = '12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5'

const MIB = 1024 * 1024
/** More than a sender may have under way, whatever the implementation's window. */
const HELD_BACK = 4 * MIB
const OPEN_TO_ALL = { maxPerPeer: 64 }

async function readAll(channel: Channel): Promise<Uint8Array[]> {
  const messages: Uint8Array[] = []
  for (let next = await channel.receive(); next !== undefined; next = await channel.receive()) messages.push(next)
  return messages
}

async function echo(channel: Channel): Promise<void> {
  for (let next = await channel.receive(); next !== undefined; next = await channel.receive()) await channel.send(next)
}

/** Acceptance suite of `Network`. `make` gives two fresh networks that are connected. */
export function networkSuite(
  make: () => Promise<NetworkPair>,
  { direct = true, boundMs = 25_000 }: NetworkSuiteOptions = {},
): void {
  describe('Network', () => {
    let pair: NetworkPair
    let count = 0

    beforeAll(async () => {
      pair = await make()
    }, 60_000)
    afterAll(async () => {
      await pair?.close()
    })

    /** Serves at b under a name of its own, opens from a. */
    async function channelTo(handler: (channel: Channel) => Promise<void>): Promise<Channel & AsyncDisposable> {
      const protocol = `/test/${count++}/1.0.0`
      const stop = pair.b.handle(protocol, handler, OPEN_TO_ALL)
      const channel = await pair.a.open(pair.b.id, protocol, { direct })
      return Object.assign(channel, {
        async [Symbol.asyncDispose]() {
          stop()
        },
      })
    }

    describe('channels', () => {
      it('know their peers, and carry messages both ways', async () => {
        const peers: string[] = []
        for (const [from, to] of [
          [pair.a, pair.b],
          [pair.b, pair.a],
        ] as const) {
          const stop = to.handle(
            '/test/hello/1.0.0',
            async (channel) => {
              peers.push(channel.peer)
              expect(channel.direct).toBe(direct)
              await echo(channel)
            },
            OPEN_TO_ALL,
          )
          const channel = await from.open(to.id, '/test/hello/1.0.0', { direct })
          expect(channel.peer).toBe(to.id)
          expect(channel.direct).toBe(direct)
          await channel.send(utf8('hello'))
          expect(await channel.receive()).toEqual(utf8('hello'))
          await channel.close()
          expect(await channel.receive()).toBeUndefined()
          stop()
        }
        expect(peers).toEqual([pair.a.id, pair.b.id])
      })

      it('keep the order and the bounds of messages, empty ones too', async () => {
        await using channel = await channelTo(echo)
        const sent = Array.from({ length: 200 }, (_, index) => noise(index % 7 === 0 ? 0 : index * 13, index))
        const got = readAll(channel)
        for (const message of sent) await channel.send(message)
        await channel.close()
        expect(await got).toEqual(sent)
      })

      it('do not look at a message again once it is sent', async () => {
        await using channel = await channelTo(echo)
        const message = utf8('before')
        await channel.send(message)
        message.fill(0)
        expect(await channel.receive()).toEqual(utf8('before'))
        await channel.close()
      })

      it.runIf(direct)('carry messages of the largest size', async () => {
        await using channel = await channelTo(echo)
        const message = noise(MAX_FRAME, 1)
        for (let round = 0; round < 3; round++) {
          await channel.send(message)
          expect(await channel.receive()).toEqual(message)
        }
        await channel.close()
      })

      it('refuse a larger one and live on', async () => {
        await using channel = await channelTo(echo)
        await expect(channel.send(new Uint8Array(MAX_FRAME + 1))).rejects.toMatchObject({ code: 'BAD_MESSAGE' })
        await channel.send(utf8('still here'))
        expect(await channel.receive()).toEqual(utf8('still here'))
        await channel.close()
      })

      it.runIf(direct)('hold a sender back while the receiver is slow, and lose nothing', async () => {
        const start = Promise.withResolvers<void>()
        const received: Uint8Array[] = []
        await using channel = await channelTo(async (slow) => {
          await start.promise
          received.push(...(await readAll(slow)))
        })
        await using other = await channelTo(echo)
        const message = noise(MIB / 4, 3)
        let sent = 0
        const sending = (async () => {
          for (let index = 0; index < 128; index++) {
            message[0] = index
            await channel.send(message)
            sent += message.length
          }
          await channel.close()
        })()
        await vi.waitFor(() => expect(sent).toBeGreaterThanOrEqual(MIB / 2))
        for (let round = 0; round < 50; round++) {
          await other.send(utf8('?'))
          await other.receive()
        }
        expect(sent).toBeLessThanOrEqual(HELD_BACK)
        start.resolve()
        await sending
        expect(await channel.receive()).toBeUndefined()
        expect(received.length).toBe(128)
        expect(received.every((got, index) => got[0] === index && got.length === message.length)).toBe(true)
        await other.close()
      })

      it('let the other side go on after one has closed', async () => {
        await using channel = await channelTo(async (answering) => {
          const questions = await readAll(answering)
          for (const question of questions) await answering.send(question)
        })
        await channel.send(utf8('one'))
        await channel.send(utf8('two'))
        await channel.close()
        expect(await readAll(channel)).toEqual([utf8('one'), utf8('two')])
        await expect(channel.send(utf8('three'))).rejects.toBeInstanceOf(ChannelError)
      })

      it('deliver what was sent right before the close', async () => {
        const got = Promise.withResolvers<Uint8Array[]>()
        await using channel = await channelTo(async (reading) => got.resolve(await readAll(reading)))
        const sent = Array.from({ length: 20 }, (_, index) => noise(3000, index))
        void Promise.all(sent.map((message) => channel.send(message)))
        await channel.close()
        expect(await got.promise).toEqual(sent)
        expect(await channel.receive()).toBeUndefined()
      })

      it('tell the other side when one aborts', async () => {
        const failure = Promise.withResolvers<unknown>()
        await using channel = await channelTo(async (reading) => {
          await reading.send(utf8('ready'))
          await readAll(reading).catch(failure.resolve)
        })
        await channel.receive()
        channel.abort(new Error('changed my mind'))
        const error = await failure.promise
        expect(error).toBeInstanceOf(ChannelError)
        expect(error).toMatchObject({ code: 'CHANNEL_FAILED', peer: pair.a.id })
        await expect(channel.send(utf8('x'))).rejects.toMatchObject({ code: 'CHANNEL_FAILED', peer: pair.b.id })
        await expect(channel.receive()).rejects.toMatchObject({ code: 'CHANNEL_FAILED', peer: pair.b.id })
      })

      it('that were aborted can be closed, here and there', async () => {
        const closed = Promise.withResolvers<void>()
        await using channel = await channelTo(async (reading) => {
          await reading.send(utf8('ready'))
          await readAll(reading).catch(() => {})
          await reading.close()
          closed.resolve()
        })
        await channel.receive()
        channel.abort(new Error('changed my mind'))
        await channel.close()
        await closed.promise
      })

      it('are aborted when their handler throws', async () => {
        await using channel = await channelTo(async (failing) => {
          await failing.receive()
          throw new Error('no')
        })
        await channel.send(utf8('x'))
        await expect(channel.receive()).rejects.toMatchObject({ code: 'CHANNEL_FAILED', peer: pair.b.id })
      })

      it('end when their handler is done, read or not', async () => {
        await using channel = await channelTo(async (bored) => void (await bored.receive()))
        for (let index = 0; index < 10; index++) await channel.send(utf8('x'))
        expect(await channel.receive()).toBeUndefined()
        await channel.close()
      })

      it('stop waiting when told to', async () => {
        await using channel = await channelTo(echo)
        const stop = new AbortController()
        const reason = new Error('enough')
        const waiting = channel.receive(stop.signal)
        stop.abort(reason)
        await expect(waiting).rejects.toBe(reason)
        await expect(channel.receive(stop.signal)).rejects.toBe(reason)
        await expect(channel.send(utf8('never'), stop.signal)).rejects.toBe(reason)
        await channel.send(utf8('after'))
        expect(await channel.receive()).toEqual(utf8('after'))
        await channel.close()
      })

      it('are limited in number for each peer', async () => {
        const stop = pair.b.handle('/test/few/1.0.0', echo, { maxPerPeer: 2 })
        const open = () => pair.a.open(pair.b.id, '/test/few/1.0.0', { direct })
        const ask = async (channel: Channel) => {
          await channel.send(utf8('?'))
          return await channel.receive()
        }
        const first = await open()
        const second = await open()
        expect(await ask(first)).toEqual(utf8('?'))
        expect(await ask(second)).toEqual(utf8('?'))
        await expect(open().then(ask)).rejects.toMatchObject({ code: 'CHANNEL_FAILED' })
        expect(await ask(first)).toEqual(utf8('?'))
        await first.close()
        expect(await first.receive()).toBeUndefined()
        await vi.waitFor(async () => {
          const third = await open()
          expect(await ask(third)).toEqual(utf8('?'))
          third.abort(new Error('done'))
        })
        second.abort(new Error('done'))
        stop()
      })

      it('leave nothing behind: 500, one after the other', async () => {
        let handled = 0
        let ended = 0
        const stop = pair.b.handle(
          '/test/many/1.0.0',
          async (channel) => {
            handled++
            await echo(channel)
            ended++
          },
          { maxPerPeer: 4 },
        )
        for (let index = 0; index < 500; index++) {
          const channel = await pair.a.open(pair.b.id, '/test/many/1.0.0', { direct })
          await channel.send(utf8(`${index}`))
          expect(await channel.receive()).toEqual(utf8(`${index}`))
          await channel.close()
          expect(await channel.receive()).toBeUndefined()
        }
        expect(handled).toBe(500)
        await vi.waitFor(() => expect(ended).toBe(500))
        stop()
      }, 60_000)
    })

    describe('failures', () => {
      it('names a protocol that the peer does not serve', async () => {
        await expect(pair.a.open(pair.b.id, '/test/nobody-serves/1.0.0')).rejects.toMatchObject({
          code: 'CHANNEL_FAILED',
          peer: pair.b.id,
          message: expect.stringContaining('/test/nobody-serves/1.0.0'),
        })
      })

      it('stops serving', async () => {
        const stop = pair.b.handle('/test/gone/1.0.0', echo, OPEN_TO_ALL)
        stop()
        await expect(pair.a.open(pair.b.id, '/test/gone/1.0.0')).rejects.toMatchObject({ code: 'CHANNEL_FAILED' })
      })

      it.each([false, true])(
        'does not look for an unknown peer for ever (direct: %s)',
        async (wanted) => {
          const failure = await pair.a.open(STRANGER, '/test/x/1.0.0', { direct: wanted }).catch((error) => error)
          expect(failure).toBeInstanceOf(PeerUnreachableError)
          expect(failure).toMatchObject({ code: 'PEER_UNREACHABLE', peer: STRANGER })
        },
        boundMs,
      )

      it(
        'does not wait for an address that nobody answers at for ever',
        async () => {
          await expect(pair.a.connect(pair.deadAddress)).rejects.toBeInstanceOf(PeerUnreachableError)
          await expect(pair.a.open(pair.deadAddress, '/test/x/1.0.0')).rejects.toBeInstanceOf(PeerUnreachableError)
        },
        2 * boundMs,
      )

      it('says what is no address', async () => {
        for (const target of ['', 'nonsense', '/nonsense', `/p2p/nonsense`, 'x'.repeat(10_000), '/'.repeat(10_000)]) {
          await expect(pair.a.open(target, '/test/x/1.0.0')).rejects.toBeInstanceOf(IgorError)
          await expect(pair.a.connect(target)).rejects.toBeInstanceOf(IgorError)
        }
      })

      it('does not connect to itself', async () => {
        await expect(pair.a.open(pair.a.id, '/test/x/1.0.0')).rejects.toBeInstanceOf(IgorError)
      })

      it('stops dialling when told to', async () => {
        const reason = new Error('enough')
        await expect(pair.a.open(pair.b.id, '/test/x/1.0.0', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
        await expect(pair.a.connect(pair.deadAddress, AbortSignal.abort(reason))).rejects.toBe(reason)
      })
    })

    // Gossip runs over direct connections only; through a relay it needs a relay that listens too.
    describe.runIf(direct)('gossip', () => {
      it('reaches the other, once, with its author', async () => {
        const got: [string, string][] = []
        const stop = pair.b.subscribe('test/one', (message, from) => got.push([new TextDecoder().decode(message), from]))
        const stopOwn = pair.a.subscribe('test/one', () => {
          throw new Error('not to itself')
        })
        let tries = 0
        await vi.waitFor(
          async () => {
            await pair.a.publish('test/one', utf8(`try ${tries++}`))
            expect(got.length).toBeGreaterThan(0)
          },
          { timeout: 5000, interval: 100 },
        )
        got.length = 0
        for (const text of ['x', 'y', 'y', 'z']) await pair.a.publish('test/one', utf8(text))
        await vi.waitFor(() => expect(got.map(([text]) => text)).toContain('z'))
        expect(got.filter(([text]) => !text.startsWith('try'))).toEqual(['x', 'y', 'y', 'z'].map((text) => [text, pair.a.id]))
        stop()
        stopOwn()
      })

      it('carries up to 64 KiB and refuses more', async () => {
        const received: Uint8Array[] = []
        const stop = pair.a.subscribe('test/size', (message) => received.push(message))
        const largest = noise(64 * 1024, 9)
        await expect(pair.b.publish('test/size', noise(64 * 1024 + 1, 9))).rejects.toMatchObject({ code: 'BAD_MESSAGE' })
        await vi.waitFor(
          async () => {
            await pair.b.publish('test/size', largest)
            expect(received.length).toBeGreaterThan(0)
          },
          { timeout: 5000, interval: 100 },
        )
        expect(received[0]).toEqual(largest)
        stop()
      })

      it('to nobody is no error, and unsubscribing ends it', async () => {
        let calls = 0
        const stop = pair.b.subscribe('test/ended', () => calls++)
        const kept = pair.b.subscribe('test/ended', () => calls++)
        stop()
        stop()
        await vi.waitFor(
          async () => {
            await pair.a.publish('test/ended', utf8('x'))
            expect(calls).toBeGreaterThan(0)
          },
          { timeout: 5000, interval: 100 },
        )
        kept()
        await pair.a.publish('test/nobody', utf8('x'))
      })
    })

    describe('links', () => {
      it('shows the other, how it is connected and how well', async () => {
        await vi.waitFor(
          () => {
            for (const [network, peer] of [
              [pair.a, pair.b.id],
              [pair.b, pair.a.id],
            ] as const) {
              const link = network.links().find((each) => each.peer === peer)
              expect(link?.direct).toBe(direct)
              expect(link?.kind === 'relayed').toBe(!direct)
              expect(link?.rtt).toBeGreaterThanOrEqual(0)
            }
          },
          { timeout: 15_000 },
        )
      })

      it('tells of changes until told not to', async () => {
        const fresh = await make()
        try {
          let calls = 0
          let ended = 0
          fresh.a.onchange(() => calls++)
          fresh.a.onchange(() => ended++)()
          const gone = vi.waitFor(
            () => {
              expect(fresh.a.links().some((link) => link.peer === fresh.b.id)).toBe(false)
              expect(calls).toBeGreaterThan(0)
            },
            { timeout: 30_000 },
          )
          await fresh.b.close()
          await gone
          expect(ended).toBe(0)
        } finally {
          await fresh.close()
        }
      }, 60_000)
    })

    it('closes its channels and refuses to be used again', async () => {
      const fresh = await make()
      try {
        const failure = Promise.withResolvers<unknown>()
        fresh.b.handle('/test/close/1.0.0', async (channel) => void (await readAll(channel).catch(failure.resolve)), OPEN_TO_ALL)
        const channel = await fresh.a.open(fresh.b.id, '/test/close/1.0.0', { direct })
        const receiving = channel.receive()
        receiving.catch(() => {})
        await channel.send(utf8('x'))
        await fresh.a.close()
        await fresh.a.close()
        await expect(receiving).rejects.toBeInstanceOf(ChannelError)
        expect(await failure.promise).toBeInstanceOf(ChannelError)
        await expect(fresh.a.open(fresh.b.id, '/test/close/1.0.0')).rejects.toMatchObject({ code: 'NODE_STOPPED' })
        await expect(fresh.a.publish('x', utf8('x'))).rejects.toMatchObject({ code: 'NODE_STOPPED' })
      } finally {
        await fresh.close()
      }
    }, 60_000)
  })
}
