import { type Channel, MAX_FRAME } from '@igor/core'
import type { Stream } from '@libp2p/interface'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type Running, startNetwork } from './network.ts'
import { seed } from './testing/helpers.ts'

/** One unit as on the wire: kind, number, bytes. */
function unit(kind: number, number: number, bytes = 0): Uint8Array {
  const encoded = new Uint8Array(4 + bytes)
  new DataView(encoded.buffer).setUint32(0, kind * 0x1000000 + number)
  return encoded
}

function join(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]))
}

let a: Running
let b: Running
let count = 0

beforeAll(async () => {
  ;[a, b] = await Promise.all([
    startNetwork({ seed: seed(), reserve: false }),
    startNetwork({ seed: seed(), listen: { tcp: 0 } }),
  ])
  await a.network.connect(b.network.multiaddrs()[0] as string)
})
afterAll(async () => {
  await Promise.all([a.network.close(), b.network.close()])
})

/** A raw stream to a handler that reads, or does not, until the channel fails. */
async function rawStream(reads: boolean): Promise<{ stream: Stream; failure: Promise<unknown>; channel: Promise<Channel> }> {
  const protocol = `/test/raw/${count++}`
  const failure = Promise.withResolvers<unknown>()
  const opened = Promise.withResolvers<Channel>()
  b.network.handle(
    protocol,
    async (channel) => {
      opened.resolve(channel)
      try {
        if (reads) while ((await channel.receive()) !== undefined);
        else await channel.send(new Uint8Array(MAX_FRAME)).then(() => channel.send(new Uint8Array(MAX_FRAME)))
        failure.resolve('ended')
      } catch (error) {
        failure.resolve(error)
      }
    },
    { maxPerPeer: 1 },
  )
  const [connection] = a.libp2p.getConnections(b.libp2p.peerId)
  const stream = await connection?.newStream(protocol)
  if (stream === undefined) throw new Error('not connected')
  return { stream, failure: failure.promise, channel: opened.promise }
}

describe('a peer that does not keep to the protocol loses the channel', () => {
  it.each([
    ['an unknown kind', unit(3, 0)],
    ['a number for the end', unit(2, 1)],
    ['a message over the limit, at its header', unit(0, MAX_FRAME + 1)],
    ['a message after the end', join(unit(2, 0), unit(0, 1, 1))],
    ['the end twice', join(unit(2, 0), unit(2, 0))],
    ['no credit', unit(1, 0)],
    ['credit for what it never got', unit(1, 1)],
    ['nonsense', new TextEncoder().encode('GET / HTTP/1.1\r\n\r\n')],
  ])('%s', async (_what, bytes) => {
    const { stream, channel } = await rawStream(true)
    stream.send(bytes)
    await vi.waitFor(() => expect(stream.status).toBe('reset'))
    await expect((await channel).send(new Uint8Array(1))).rejects.toMatchObject({
      code: 'CHANNEL_FAILED',
      peer: a.network.id,
    })
  })

  it('more than it has credit for', async () => {
    const { stream, failure } = await rawStream(false)
    stream.addEventListener('message', () => {})
    for (let index = 0; index < 40 && stream.status === 'open'; index++) stream.send(unit(0, 64 * 1024, 64 * 1024))
    await vi.waitFor(() => expect(stream.status).toBe('reset'))
    expect(await failure).toMatchObject({ code: 'CHANNEL_FAILED', message: expect.stringContaining('credit') })
  })

  it('empty messages without end', async () => {
    const { stream, failure } = await rawStream(false)
    stream.addEventListener('message', () => {})
    const many = join(...Array.from({ length: 1000 }, () => unit(0, 0)))
    for (let index = 0; index < 40 && stream.status === 'open'; index++) stream.send(many)
    await vi.waitFor(() => expect(stream.status).toBe('reset'))
    expect(await failure).toMatchObject({ code: 'CHANNEL_FAILED' })
  })

  it('half a message, and then nothing more', async () => {
    const { stream, failure } = await rawStream(true)
    stream.send(unit(0, 100, 50))
    await stream.close()
    expect(await failure).toMatchObject({ code: 'CHANNEL_FAILED', message: expect.stringContaining('went away') })
  })
})

describe('one byte at a time', () => {
  it('is a message all the same', async () => {
    const protocol = `/test/raw/${count++}`
    const got = Promise.withResolvers<Uint8Array | undefined>()
    b.network.handle(protocol, async (channel) => got.resolve(await channel.receive()), { maxPerPeer: 1 })
    const [connection] = a.libp2p.getConnections(b.libp2p.peerId)
    const stream = await connection?.newStream(protocol)
    for (const byte of join(unit(0, 3), Uint8Array.of(7, 8, 9))) stream?.send(Uint8Array.of(byte))
    expect(await got.promise).toEqual(Uint8Array.of(7, 8, 9))
    stream?.abort(new Error('done'))
  })
})
