import { describe, expect, it } from 'vitest'
import type { Context } from '../agent/context.ts'
import { testCrypto } from '../node/fixtures/world.ts'
import type { Channel, Network } from '../platform.ts'
import { openLogStore } from '../store/log-store.ts'
import { makeDisk } from '../testing/memory-files.ts'
import { systemClock } from '../worker/fixtures/clock.ts'
import { createLinks } from './links.ts'

/** A channel on which nothing comes until it ends. */
const channelTo = (peer: string) => {
  const ended = Promise.withResolvers<undefined>()
  const channel: Channel = {
    peer,
    direct: true,
    send: async () => {},
    receive: () => ended.promise,
    close: async () => {},
  } as never
  return { channel, end: () => ended.resolve(undefined) }
}

describe('the way to a witness that several nodes serve', () => {
  const setUp = (connected: readonly string[], clock = systemClock) => {
    const opened: { peer: string; end: () => void }[] = []
    const network = {
      links: () => connected.map((peer) => ({ peer, direct: true })),
      open: async (target: string, _protocol: string, { signal }: { signal: AbortSignal }) => {
        if (target === 'frozen') return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
        const { channel, end } = channelTo(target)
        opened.push({ peer: target, end })
        return channel
      },
    } as unknown as Network
    const context = { network, clock, peer: 'me', signal: new AbortController().signal } as unknown as Context
    const servers = () => ['frozen', 'far', 'near'].map((peer) => ({ peer, addresses: [] }))
    return { links: createLinks({ context, own: undefined, servers }), opened }
  }

  it('goes through one that is connected, and through another when that one ends', async () => {
    const { links, opened } = setUp(['far', 'near'])
    const first = await links.to('witness', [])
    expect(await links.to('witness', [])).toBe(first)
    opened[0]?.end()
    while ((await links.to('witness', [])) === first) await systemClock.sleep(1)
    expect(opened.map(({ peer }) => peer)).toEqual(['far', 'near'])
  })

  it('does not wait for one that cannot be reached', async () => {
    const { links, opened } = setUp([], { ...systemClock, sleep: () => Promise.resolve() })
    await links.to('witness', [])
    expect(opened.map(({ peer }) => peer)).toEqual(['far'])
  })

  it('says so when it was given up by who asked', async () => {
    const { links } = setUp(['frozen'])
    const asking = new AbortController()
    const asked = links.to('witness', [], asking.signal)
    asking.abort(new Error('enough'))
    await expect(asked).rejects.toThrow('enough')
  })

  it('is remembered for the next start, though nobody has said anything yet', async () => {
    const store = await openLogStore(makeDisk().open(), { random: testCrypto.random })
    const dialled: string[][] = []
    const start = () => {
      const asked: string[] = []
      dialled.push(asked)
      const network = {
        links: () => [],
        open: async (target: string) => {
          asked.push(target)
          if (!target.startsWith('/')) throw new Error('unknown')
          return channelTo('witness').channel
        },
      } as unknown as Network
      const context = {
        network,
        clock: systemClock,
        store,
        peer: 'me',
        signal: new AbortController().signal,
      } as unknown as Context
      return createLinks({ context, own: undefined, servers: () => [] })
    }
    await expect(start().to('witness', [])).rejects.toMatchObject({ code: 'WITNESS_UNREACHABLE' })
    await start().to('witness', ['/ip4/192.0.2.1/tcp/1/p2p/witness'])
    await start().to('witness', [])
    expect(dialled.at(-1)).toEqual(['witness', '/ip4/192.0.2.1/tcp/1/p2p/witness'])
    await store.close()
  })
})
