import { describe, expect, it, onTestFinished } from 'vitest'
import type { Network } from '../platform.ts'
import { WATCH_PROTOCOL } from '../protocols/watch.ts'
import { createWorld, eventually, spawnCounter, until } from './fixtures/world.ts'

describe('who watches an agent', () => {
  it('sees it where it goes on, though its host froze and never said a word', async () => {
    const world = createWorld()
    onTestFinished(() => world.stop())
    const witness = await world.start(undefined, { witness: { leaseMs: 1000 }, policy: { maxAgents: 0 } })
    const [a, b] = [await world.start(), await world.start()]
    let frozen = false
    // A line to it stays open, and nothing comes.
    const wrap = (network: Network): Network => ({
      ...network,
      open: async (target, protocol, options) => {
        const channel = await network.open(target, protocol, options)
        if (target !== a.id || protocol !== WATCH_PROTOCOL) return channel
        const receive = async (signal?: AbortSignal) => {
          const frame = await channel.receive(signal).catch(() => undefined)
          if (frame !== undefined || !frozen) return frame
          return new Promise<never>((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
        }
        return { ...channel, receive }
      },
    })
    const watcher = await world.start(undefined, { wrap })
    await eventually(a, () => a.peers().length === 3)
    await eventually(witness, () => witness.peers().length === 3)
    const agent = await spawnCounter(a, { witness: witness.id, failover: [b.id] })
    await eventually(watcher, () => watcher.agents().some((one) => one.agent === agent.id))
    let last = Number.POSITIVE_INFINITY
    const tick = await until(watcher.agent(agent.id), (event) => {
      if (event.type === 'log' && event.tick > last) return event.tick
      if (event.type === 'log' && !frozen) {
        frozen = true
        void a.stop().then(() => {
          last = agent.status.tick
        })
      }
      return undefined
    })
    expect(b.agent(agent.id).status).toMatchObject({ here: true, epoch: 2 })
    expect(tick).toBeGreaterThan(last)
  })
})
