/**
 * A node in a process of its own, led over the process's channel: what `createNode` makes, but for workers that
 * stamp their ticks.
 *
 * @module
 */
import { type Agent, createCoreNode, openLogStore } from '@igor/core'
import { createNetwork } from '@igor/libp2p'
import { nodeClock, nodeCrypto, nodeThreads, openFiles } from '../src/index.ts'
import type { Stamp } from './stamping-worker.ts'

export type Asked =
  | { readonly op: 'connect'; readonly to: string }
  | { readonly op: 'spawn'; readonly module: Uint8Array; readonly init: string }
  | { readonly op: 'move'; readonly agent: string; readonly to: string }
  | { readonly op: 'arrived'; readonly agent: string; readonly after: number }
  | { readonly op: 'key' }
  | { readonly op: 'own'; readonly key: string }
  | { readonly op: 'stop' }

export interface Told {
  readonly agent?: string
  readonly tick?: number
  readonly downtimeMs?: number
  /** Unix ms of the last tick's end before it left, or of the first tick's start after it came. */
  readonly at?: number
  /** The owner's seed, hex. */
  readonly key?: string
  readonly error?: string
}

const [, , dataDir = ''] = process.argv
/** Of all jobs since an agent came, the first; of all before one left, the last. */
let first: number | undefined
let last = 0

const stamped = () => {
  const threads = nodeThreads(new URL('./stamping-worker.ts', import.meta.url))
  return {
    parallelism: threads.parallelism,
    spawn: () => {
      const thread = threads.spawn()
      const outer: typeof thread = {
        onmessage: undefined,
        onexit: undefined,
        post: (message, transfer) => thread.post(message, transfer),
        terminate: () => thread.terminate(),
      }
      thread.onexit = (reason) => outer.onexit?.(reason)
      thread.onmessage = (message) => {
        const stamp = message as Stamp
        if (stamp.type !== 'stamp') outer.onmessage?.(message)
        else {
          first ??= stamp.first
          last = stamp.last
        }
      }
      return outer
    },
  }
}

const crypto = nodeCrypto()
const node = await createCoreNode(
  {
    clock: nodeClock(),
    crypto,
    store: await openLogStore(await openFiles(dataDir), { random: (length) => crypto.random(length) }),
    threads: stamped(),
    network: (seed) => createNetwork({ seed, listen: { tcp: 0 }, webrtc: false }),
  },
  { kind: 'server' },
)

const answer = async (asked: Asked): Promise<Told> => {
  switch (asked.op) {
    case 'connect':
      await node.connect(asked.to)
      return {}
    case 'key':
      return { key: (await node.exportKeys())[0] ?? '' }
    case 'own':
      await node.importKey(new Uint8Array(Buffer.from(asked.key, 'hex')))
      return {}
    case 'spawn': {
      const agent: Agent = await node.spawn({
        module: asked.module,
        init: new TextEncoder().encode(asked.init),
        manifest: {
          capabilities: { log: { version: 1 } },
          resource_limits: { max_memory_bytes: 64 * 1024 * 1024 },
          migration_policy: { enabled: true },
          tick_interval_ms: 100,
          public: true,
        },
      })
      return { agent: agent.id }
    }
    case 'move': {
      const { tick, downtimeMs } = await node.agent(asked.agent).moveTo(asked.to)
      const at = last
      first = undefined
      return { tick, downtimeMs, at }
    }
    case 'arrived': {
      // Its first tick may be under way.
      for (;;) {
        const status = node.agents().find(({ agent }) => agent === asked.agent)
        const move = status?.lastMove
        if (
          status?.here === true &&
          status.tick > asked.after &&
          move?.to === node.id &&
          move.tick === asked.after &&
          first !== undefined
        )
          return { tick: status.tick, downtimeMs: move.downtimeMs, at: first }
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
    }
    case 'stop':
      await node.stop()
      return {}
  }
}

process.on('message', (asked: Asked) => {
  answer(asked).then(
    (told) => process.send?.(told),
    (error: unknown) => process.send?.({ error: String(error) } satisfies Told),
  )
})
// Whoever led it is gone: so is its purpose.
process.on('disconnect', () => process.exit())
process.send?.({ peer: node.id, multiaddrs: node.multiaddrs })
