/**
 * What the running node does for commands.
 *
 * @module
 */
import type { Agent, AgentEvent, Node } from '@igor/core'
import type { LogLine, NodeInfo } from '../control/methods.ts'
import type { CallHandlers, StreamHandlers } from '../control/server.ts'
import { codeOf } from '../failure.ts'
import { recentLines } from './recent.ts'

export interface Serving {
  readonly node: Node
  /** All but what the node tells itself. */
  readonly info: Omit<NodeInfo, 'id' | 'name' | 'multiaddrs' | 'usage'>
  /** Stops the node and frees its folder. */
  readonly stop: () => Promise<void>
}

export function createCalls({ node, info, stop }: Serving): CallHandlers {
  const order =
    (kind: 'pause' | 'resume' | 'retire') =>
    async ({ agent }: { agent: string }, signal: AbortSignal) => {
      const handle = node.agent(agent)
      await handle[kind]({ signal })
      return handle.status
    }
  return {
    info: async () => ({ ...info, id: node.id, name: node.name, multiaddrs: node.multiaddrs, usage: await node.usage() }),
    ready: () => node.ready(),
    run: async (options, signal) => (await node.spawn({ ...options, signal })).status,
    agents: async () => node.agents(),
    peers: async () => node.peers(),
    proofs: () => node.proofs(),
    connect: async ({ multiaddr }, signal) => ({ peer: await node.connect(multiaddr, { signal }) }),
    send: async ({ agent, message }, signal) => {
      const handle = node.agent(agent)
      await handle.send(message, { signal })
      return { agent: handle.id, name: handle.status.name }
    },
    // An agent elsewhere may be called here: for it, this node's own address names a peer, not something to dial.
    move: ({ agent, to }, signal) => node.agent(agent).moveTo(to.endsWith(`/p2p/${node.id}`) ? node.id : to, { signal }),
    pause: order('pause'),
    resume: order('resume'),
    fund: async ({ agent, amount }, signal) => {
      const handle = node.agent(agent)
      await handle.fund(amount, { signal })
      return handle.status
    },
    upgrade: async ({ agent, module }, signal) => {
      const handle = node.agent(agent)
      await handle.upgrade(module, { signal })
      return handle.status
    },
    retire: order('retire'),
    changeWitness: async ({ agent, to }, signal) => {
      const handle = node.agent(agent)
      await handle.changeWitness(to, { signal })
      return handle.status
    },
    recover: async ({ agent, ...options }, signal) => (await node.recover(agent, { ...options, signal })).status,
    export: async ({ agent, to, ready }, signal) => {
      const handle = node.agent(agent)
      const target = to ?? ready
      const file = await handle.export({ signal, ...(target === undefined ? {} : { to: target }) })
      return { agent: handle.id, name: handle.status.name, file }
    },
    import: async ({ file, keys = [], ...given }, signal) => {
      const options = { signal, ...given }
      if (keys.length === 0) return (await node.import(file, options)).status
      return (await withRightKey(keys, (key) => node.import(file, { ...options, key }))).status
    },
    passport: ({ agent }, signal) => node.agent(agent).passport({ signal }),
    replay: ({ agent }, signal) => node.agent(agent).verify({ replay: true, signal }),
    exportKeys: () => node.exportKeys(),
    importKeys: async ({ seeds }) => {
      for (const seed of seeds) await node.importKey(seed)
      return { keys: (await node.exportKeys()).length }
    },
    stop: async () => {
      await stop()
      return { pid: info.pid }
    },
  }
}

/** A file of keys may hold several: the one that fits is used. */
async function withRightKey(keys: readonly Uint8Array[], attempt: (key: Uint8Array) => Promise<Agent>): Promise<Agent> {
  let refused: unknown
  for (const key of keys) {
    try {
      return await attempt(key)
    } catch (error) {
      if (codeOf(error) !== 'NOT_OWNER') throw error
      refused = error
    }
  }
  throw refused
}

export function createStreams({ node }: Pick<Serving, 'node'>): StreamHandlers {
  return {
    watch: ({ agent }, signal): AsyncIterable<AgentEvent> => node.agent(agent).watch(signal),
    logs: ({ agent, lines, follow }, signal): AsyncIterable<LogLine> => logs(node.agent(agent), lines, follow, signal),
  }
}

async function* logs(agent: Agent, lines: number, follow: boolean, signal: AbortSignal): AsyncIterable<LogLine> {
  const ended = new AbortController()
  const events = agent.watch(AbortSignal.any([signal, ended.signal]))[Symbol.asyncIterator]()
  try {
    const { recent, rest } = await recentLines(events, agent.status.here)
    yield* recent.slice(recent.length - Math.min(lines, recent.length))
    if (follow) yield* rest
  } finally {
    ended.abort()
  }
}
