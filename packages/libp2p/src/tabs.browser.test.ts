import type { Network } from '@igor/core'
import { networkSuite } from '@igor/core/testing'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { commands } from 'vitest/browser'
import { createNetwork, type NetworkOptions } from './index.ts'
import type { RunningRelay } from './testing/commands.ts'
import { DEAD, seed } from './testing/helpers.ts'

const TOPIC = 'test/shared'
let relay: RunningRelay
const open = new Set<Network>()

async function startRelay(): Promise<RunningRelay & { seed: number[] }> {
  const key = [...seed()]
  return { ...(await commands.startRelay({ seed: key, listen: { ws: 0, webrtc: 0 }, topic: TOPIC })), seed: key }
}

async function tab(options: Partial<NetworkOptions> = {}): Promise<Network> {
  const network = await createNetwork({
    seed: seed(),
    bootstrap: relay.multiaddrs.filter((each) => each.includes('/ws/')),
    ...options,
  })
  open.add(network)
  return network
}

async function close(...networks: Network[]): Promise<void> {
  await Promise.all(networks.map((network) => network.close()))
  for (const network of networks) open.delete(network)
}

async function reachable(network: Network): Promise<string> {
  return await vi.waitFor(
    () => {
      const address = network.multiaddrs().find((each) => each.includes('/p2p-circuit'))
      expect(address).toBeDefined()
      return address as string
    },
    { timeout: 10_000, interval: 20 },
  )
}

async function tabs(options: Partial<NetworkOptions> = {}): Promise<{ a: Network; b: Network }> {
  const [a, b] = await Promise.all([tab(options), tab(options)])
  await Promise.all([reachable(a), reachable(b)])
  return { a, b }
}

beforeAll(async () => {
  relay = await startRelay()
}, 30_000)
afterAll(async () => {
  await close(...open)
  await commands.killRelay(relay.pid)
})

describe('two tabs over WebRTC', () =>
  networkSuite(async () => {
    const { a, b } = await tabs()
    await a.connect(await reachable(b))
    return { a, b, deadAddress: DEAD.ws, close: () => close(a, b) }
  }))

describe('a tab and a server', () => {
  it.each(['ws', 'webrtc-direct'])('over %s', async (kind) => {
    const address = relay.multiaddrs.find((each) => each.includes(`/${kind}/`))
    expect(address).toBeDefined()
    const a = await tab({ bootstrap: [] })
    expect(await a.connect(address as string)).toBe(relay.peer)
    const channel = await a.open(relay.peer, '/test/echo/1.0.0', { direct: true })
    const message = crypto.getRandomValues(new Uint8Array(60_000))
    for (let index = 0; index < 100; index++) {
      await channel.send(message)
      expect(await channel.receive()).toEqual(message)
    }
    expect(a.links()).toMatchObject([{ peer: relay.peer, kind: kind === 'ws' ? 'websocket' : 'webrtc', direct: true }])
    await channel.close()
    await close(a)
  })
})

async function hello(from: Network, to: Network): Promise<void> {
  const channel = await from.open(to.id, '/test/hello/1.0.0', { direct: true })
  expect(channel.direct).toBe(true)
  expect(await channel.receive()).toEqual(new Uint8Array(1))
  await channel.close()
}

function greet(network: Network): void {
  network.handle('/test/hello/1.0.0', async (channel) => channel.send(new Uint8Array(1)), { maxPerPeer: 4 })
}

async function gossips(from: Network, to: Network, topic: string): Promise<void> {
  const heard: string[] = []
  const stops = [from.subscribe(topic, () => {}), to.subscribe(topic, (_, author) => heard.push(author))]
  await vi.waitFor(
    async () => {
      await from.publish(topic, new Uint8Array(1))
      expect(heard).toContain(from.id)
    },
    { timeout: 10_000, interval: 50 },
  )
  for (const stop of stops) stop()
}

describe('fresh tabs', () => {
  it('reach each other at the first dial: from one side, from the other, from both at once', async () => {
    for (let round = 0; round < 15; round++) {
      const { a, b } = await tabs()
      greet(a)
      greet(b)
      if (round % 3 === 0) await hello(a, b)
      else if (round % 3 === 1) await hello(b, a)
      else await Promise.all([hello(a, b), hello(b, a)])
      await close(a, b)
    }
  }, 60_000)

  it('hear each other through a server before they are connected', async () => {
    const { a, b } = await tabs()
    await gossips(a, b, TOPIC)
    expect(a.links().some(({ peer }) => peer === b.id)).toBe(false)
    await close(a, b)
  })
})

describe('a relay that is killed', () => {
  it('is not needed by tabs that are connected, and is found again', async () => {
    const own = await startRelay()
    const port = Number(own.multiaddrs.find((each) => each.includes('/ws/'))?.split('/')[4])
    const bootstrap = own.multiaddrs.filter((each) => each.includes('/ws/'))
    const { a, b } = await tabs({ bootstrap })
    greet(a)
    greet(b)
    await hello(a, b)
    await commands.killRelay(own.pid)
    await vi.waitFor(() => expect(a.links()).toMatchObject([{ peer: b.id, kind: 'webrtc', direct: true }]), { timeout: 10_000 })
    for (let round = 0; round < 5; round++) {
      await hello(a, b)
      await hello(b, a)
    }
    await gossips(a, b, 'test/alone')
    await gossips(b, a, 'test/alone')

    const again = await commands.startRelay({ seed: own.seed, listen: { ws: port } })
    await Promise.all([reachable(a), reachable(b)])
    const c = await tab({ bootstrap })
    greet(c)
    await reachable(c)
    await Promise.all([hello(a, c), hello(c, b)])
    await close(a, b, c)
    await commands.killRelay(again.pid)
  }, 60_000)
})
