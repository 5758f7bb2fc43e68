import type { Network } from '@igor/core'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { NetworkOptions, NetworkWarning } from './index.ts'
import { type Running, startNetwork } from './network.ts'
import { seed } from './testing/helpers.ts'

const HELLO = '/test/hello/1.0.0'
const TOPIC = 'test/topic'
const SOON = { timeout: 10_000, interval: 20 }
const running = new Set<Running>()

async function start(options: Partial<NetworkOptions>): Promise<Running> {
  const node = await startNetwork({ seed: seed(), ...options })
  node.network.handle(HELLO, async (channel) => channel.send(new TextEncoder().encode(node.network.id)), { maxPerPeer: 8 })
  running.add(node)
  return node
}

async function stop(node: Running): Promise<void> {
  running.delete(node)
  await node.network.close()
}

function directTo(node: Running, other: Running) {
  return node.libp2p.getConnections(other.libp2p.peerId).filter(({ limits, status }) => limits === undefined && status === 'open')
}

async function hello(from: Network, to: Network, direct = true): Promise<void> {
  const channel = await from.open(to.id, HELLO, { direct })
  expect(channel.direct).toBe(direct)
  expect(new TextDecoder().decode(await channel.receive())).toBe(to.id)
  await channel.close()
}

async function gossips(from: Network, to: Network): Promise<void> {
  let heard = 0
  const stops = [from.subscribe(TOPIC, () => {}), to.subscribe(TOPIC, (_, author) => author === from.id && heard++)]
  await vi.waitFor(async () => {
    await from.publish(TOPIC, new Uint8Array(1))
    expect(heard).toBeGreaterThan(0)
  }, SOON)
  for (const each of stops) each()
}

async function reserved(node: Running): Promise<void> {
  await vi.waitFor(() => expect(node.network.multiaddrs().join()).toContain('/p2p-circuit'), SOON)
}

async function meet(options: Partial<NetworkOptions> = {}): Promise<{ relay: Running; a: Running; b: Running }> {
  const relay = await start({ listen: { tcp: 0 } })
  const bootstrap = relay.network.multiaddrs()
  const [a, b] = await Promise.all([start({ bootstrap, ...options }), start({ bootstrap, ...options })])
  await Promise.all([reserved(a), reserved(b)])
  return { relay, a, b }
}

afterEach(async () => {
  await Promise.all([...running].map(stop))
})

describe('relays', () => {
  it('lead to peers by their ids alone', async () => {
    const { a, b } = await meet({ webrtc: false })
    await hello(a.network, b.network, false)
    await expect(a.network.open(b.network.id, HELLO, { direct: true })).rejects.toMatchObject({ code: 'PEER_UNREACHABLE' })
  })

  it('may be down at the start, and are found when they come up', async () => {
    const relaySeed = seed()
    const first = await start({ seed: relaySeed, listen: { tcp: 0 } })
    const [address] = first.network.multiaddrs() as [string]
    const port = Number(address.split('/')[4])
    await stop(first)

    const warnings: NetworkWarning[] = []
    const early = await start({ bootstrap: [address], onwarning: (warning) => warnings.push(warning) })
    await vi.waitFor(() => expect(warnings.map(({ code }) => code)).toEqual(['RELAY_LOST']), SOON)
    await start({ seed: relaySeed, listen: { tcp: port } })
    await reserved(early)
    expect(warnings).toHaveLength(1)
  })

  it('are redialled and give their addresses again after a restart', async () => {
    const relaySeed = seed()
    let relay = await start({ seed: relaySeed, listen: { tcp: 0 } })
    const [address] = relay.network.multiaddrs() as [string]
    const port = Number(address.split('/')[4])
    const a = await start({ bootstrap: [address], webrtc: false })
    const b = await start({ bootstrap: [address], webrtc: false })
    await Promise.all([reserved(a), reserved(b)])
    for (let round = 0; round < 3; round++) {
      await stop(relay)
      await vi.waitFor(() => expect(a.network.multiaddrs().concat(b.network.multiaddrs())).toEqual([]), SOON)
      relay = await start({ seed: relaySeed, listen: { tcp: port } })
      await Promise.all([reserved(a), reserved(b)])
      await hello(round % 2 ? a.network : b.network, round % 2 ? b.network : a.network, false)
    }
  }, 60_000)

  it('are not needed any more once two are connected directly', async () => {
    const { relay, a, b } = await meet()
    await hello(a.network, b.network)
    await gossips(a.network, b.network)
    await stop(relay)
    await vi.waitFor(() => expect(a.network.links().map(({ peer }) => peer)).toEqual([b.network.id]), SOON)
    for (let index = 0; index < 10; index++) {
      await hello(a.network, b.network)
      await hello(b.network, a.network)
    }
    await gossips(a.network, b.network)
    await gossips(b.network, a.network)
    expect(a.network.links()).toMatchObject([{ peer: b.network.id, kind: 'webrtc', direct: true }])
  })

  it('are spared: the relayed connection goes once there is a direct one', async () => {
    const { a, b } = await meet()
    await hello(a.network, b.network)
    await vi.waitFor(() => {
      expect(a.libp2p.getConnections(b.libp2p.peerId)).toEqual(directTo(a, b))
      expect(directTo(a, b)).toHaveLength(1)
    }, SOON)
    await hello(b.network, a.network)
    await gossips(a.network, b.network)
  })

  it('refuse nobody quietly: who gets no address is told', async () => {
    const relay = await start({ listen: { tcp: 0 }, limits: { maxReservations: 1 } })
    const bootstrap = relay.network.multiaddrs()
    await reserved(await start({ bootstrap }))
    const warnings: NetworkWarning[] = []
    await start({ bootstrap, onwarning: (warning) => warnings.push(warning) })
    await vi.waitFor(() => expect(warnings.map(({ code }) => code)).toEqual(['RELAY_REFUSED']), SOON)
  })
})

describe('two that want each other at the same moment', () => {
  it('make one WebRTC connection', async () => {
    const { a, b } = await meet()
    for (let round = 0; round < 5; round++) {
      await Promise.all([hello(a.network, b.network), hello(b.network, a.network), hello(a.network, b.network)])
      expect(directTo(a, b)).toHaveLength(1)
      expect(directTo(b, a)).toHaveLength(1)
      for (const connection of directTo(a, b)) await connection.close()
      await vi.waitFor(() => expect(directTo(b, a)).toHaveLength(0), SOON)
    }
  })

  it('keep one of two TCP connections, and gossip on it', async () => {
    const [a, b] = await Promise.all([start({ listen: { tcp: 0 } }), start({ listen: { tcp: 0 } })])
    const stops = [a, b].map(({ network }) => network.subscribe(TOPIC, () => {}))
    await Promise.all([
      a.libp2p.dial(b.libp2p.getMultiaddrs(), { force: true }),
      b.libp2p.dial(a.libp2p.getMultiaddrs(), { force: true }),
    ])
    await vi.waitFor(() => expect(directTo(a, b)).toHaveLength(2))
    await gossips(a.network, b.network)
    await vi.waitFor(() => {
      expect(directTo(a, b)).toHaveLength(1)
      expect(directTo(b, a)).toHaveLength(1)
    }, SOON)
    await gossips(a.network, b.network)
    await gossips(b.network, a.network)
    for (const each of stops) each()
  })
})

describe('a peer that comes back under the same id', () => {
  it('is connected anew', async () => {
    const { relay, a, b } = await meet()
    await hello(a.network, b.network)
    const again = seed()
    for (let round = 0; round < 3; round++) {
      const c = await start({ seed: again, bootstrap: relay.network.multiaddrs() })
      await reserved(c)
      await Promise.all([hello(a.network, c.network), hello(c.network, b.network)])
      await stop(c)
    }
  })
})
