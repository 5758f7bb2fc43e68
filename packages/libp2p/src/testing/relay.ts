/**
 * A relay in a process of its own, for tests in browsers. Its options come as JSON in the first
 * argument; when it listens it prints one line of JSON, and it ends with its standard input.
 */
import { createNetwork, type ListenOptions } from '../index.ts'

export interface RelayOptions {
  /** 32 bytes. */
  readonly seed: readonly number[]
  readonly listen: ListenOptions
  /** A topic that it listens to, and so passes on. */
  readonly topic?: string
}

const { seed, listen, topic } = JSON.parse(process.argv[2] ?? '') as RelayOptions
const network = await createNetwork({ seed: Uint8Array.from(seed), listen })
if (topic !== undefined) network.subscribe(topic, () => {})
network.handle(
  '/test/echo/1.0.0',
  async (channel) => {
    for (let next = await channel.receive(); next !== undefined; next = await channel.receive()) await channel.send(next)
  },
  { maxPerPeer: 64 },
)
console.log(JSON.stringify({ peer: network.id, multiaddrs: network.multiaddrs() }))
process.stdin.on('end', () => void network.close()).resume()
