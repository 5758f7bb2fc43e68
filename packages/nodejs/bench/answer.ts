/**
 * What a node in a bench is asked, wherever it runs: in a process (`host.ts`) or in a tab.
 *
 * @module
 */
import type { Node } from '@igor/core'
import type { Stamp } from './stamp.ts'

export type Asked =
  | { readonly op: 'connect'; readonly to: string }
  | { readonly op: 'spawn'; readonly module: Uint8Array; readonly init: string }
  | { readonly op: 'pause' | 'resume'; readonly agent: string }
  | { readonly op: 'move'; readonly agent: string; readonly to: string }
  | { readonly op: 'arrived'; readonly agent: string; readonly after: number }
  | { readonly op: 'sees'; readonly peer: string }
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

/** Looks again this often. */
const LOOK_MS = 1

/** What its workers stamped: of the jobs since an agent came the first, of those before one left the last. */
export interface Stamps {
  first: number | undefined
  last: number
}

export const keepStamp = (stamps: Stamps, stamp: Stamp): void => {
  stamps.first ??= stamp.first
  stamps.last = stamp.last
}

export const makeAnswer =
  (node: Node, stamps: Stamps) =>
  async (asked: Asked): Promise<Told> => {
    const look = () => new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    switch (asked.op) {
      case 'connect':
        await node.connect(asked.to)
        return {}
      case 'sees':
        while (!node.peers().some(({ id, link }) => id === asked.peer && link !== 'none' && link !== 'relayed')) await look()
        return {}
      case 'key':
        return { key: (await node.exportKeys())[0] ?? '' }
      case 'own':
        await node.importKey(Uint8Array.from(asked.key.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16)))
        return {}
      case 'spawn': {
        const agent = await node.spawn({
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
      case 'pause':
      case 'resume':
        await node.agent(asked.agent)[asked.op]()
        return {}
      case 'move': {
        const { tick, downtimeMs } = await node.agent(asked.agent).moveTo(asked.to)
        stamps.first = undefined
        return { tick, downtimeMs, at: stamps.last }
      }
      case 'arrived':
        for (;;) {
          const status = node.agents().find(({ agent, here }) => here && agent === asked.agent)
          const { tick, to, downtimeMs } = status?.lastMove ?? {}
          if (to === node.id && tick === asked.after && stamps.first !== undefined) return { tick, downtimeMs, at: stamps.first }
          await look()
        }
      case 'stop':
        await node.stop()
        return {}
    }
  }
