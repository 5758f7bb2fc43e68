import type { Network } from '@igor/core'
import { networkSuite } from '@igor/core/testing'
import { describe, expect, vi } from 'vitest'
import { createNetwork, type NetworkOptions } from './index.ts'
import { DEAD, seed } from './testing/helpers.ts'

const open: Network[] = []

async function make(options: Omit<NetworkOptions, 'seed'>): Promise<Network> {
  const network = await createNetwork({ seed: seed(), ...options })
  open.push(network)
  return network
}

async function closeAll(): Promise<void> {
  await Promise.all(open.splice(0).map((network) => network.close()))
}

/** A relay and two that only it can be reached through. */
async function pairThroughRelay(options: Omit<NetworkOptions, 'seed'> = {}) {
  const relay = await make({ listen: { tcp: 0 } })
  const bootstrap = relay.multiaddrs()
  const [a, b] = await Promise.all([make({ bootstrap, ...options }), make({ bootstrap, ...options })])
  await vi.waitFor(() => expect(b.multiaddrs()).not.toHaveLength(0), { timeout: 5000 })
  await a.connect(b.multiaddrs()[0] ?? '')
  return { relay, a, b, deadAddress: DEAD.tcp, close: closeAll }
}

describe('over WebRTC, met through a relay', () => networkSuite(() => pairThroughRelay()))
describe('through a relay', () => networkSuite(() => pairThroughRelay({ webrtc: false }), { direct: false }))
