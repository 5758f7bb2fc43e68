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

async function startRelay(): Promise<RunningRelay> {
  return await commands.startRelay({ seed: [...seed()], listen: { ws: 0, webrtc: 0 }, topic: TOPIC })
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

describe('dialling', () => {
  it('20 fresh tabs, each by each other side', async () => {
    const times: number[] = []
    for (let index = 0; index < 20; index++) {
      const { a, b } = await tabs()
      b.handle('/test/hello/1.0.0', async (channel) => channel.send(new Uint8Array(1)), { maxPerPeer: 1 })
      const start = performance.now()
      const channel = await a.open(b.id, '/test/hello/1.0.0', { direct: true })
      expect(await channel.receive()).toEqual(new Uint8Array(1))
      times.push(performance.now() - start)
      await close(a, b)
    }
    times.sort((x, y) => x - y)
    console.log(`dials: median ${times[10]?.toFixed(0)} ms, slowest ${times.at(-1)?.toFixed(0)} ms`)
  }, 120_000)
})
