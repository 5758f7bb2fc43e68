import { describe, expect, it } from 'vitest'
import type { Context } from '../agent/context.ts'
import type { Channel, Network } from '../platform.ts'
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
})
