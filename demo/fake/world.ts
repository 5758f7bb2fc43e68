// A made-up node with made-up peers and agents, for work on the page's looks. It proves nothing.
import { IgorError } from '@igor/core'
import type { AgentEvent, AgentState, AgentStatus, IgorNode, Move, NodeEvent, Passport, Peer } from '../src/api.ts'
import { cid, did, peerId } from './ids.ts'
import { MINDS, type Mind, type MindName } from './minds.ts'

interface FakeAgent {
  status: AgentStatus
  readonly mind: Mind
  readonly hosts: { peer: string; epoch: number; tick: number; since: number }[]
  readonly inbox: string[]
  readonly listeners: Set<(event: AgentEvent) => void>
  last: AgentEvent[]
  due: number
}

export interface Seed {
  readonly name: string
  readonly mind: MindName
  readonly host: string
  readonly tick?: number
  readonly state?: AgentState
  readonly reason?: string
  readonly owned?: boolean
  readonly before?: readonly string[]
}

export interface World {
  readonly selfName: string
  readonly peers: readonly (Omit<Peer, 'agents' | 'seen' | 'price'> & {
    readonly slow?: boolean
    readonly refuses?: string
    readonly gone?: boolean
  })[]
  readonly agents: readonly Seed[]
  readonly persistent?: boolean
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

export const fakeNode = (world: World): IgorNode => {
  const self = peerId(world.selfName)
  const agents = new Map<string, FakeAgent>()
  const changes = new Set<() => void>()
  const events = new Set<(event: NodeEvent) => void>()
  let peers = world.peers.map((peer) => ({ ...peer }))
  const changed = (): void => changes.forEach((listener) => void listener())
  const tell = (agent: FakeAgent, event: AgentEvent): void => agent.listeners.forEach((listener) => void listener(event))
  const set = (agent: FakeAgent, part: Partial<AgentStatus>): void => {
    agent.status = { ...agent.status, ...part }
    agent.status = { ...agent.status, here: agent.status.host === self }
    tell(agent, { type: 'status', status: agent.status })
    changed()
  }

  const add = (seed: Seed): FakeAgent => {
    const id = did(seed.name)
    const host = seed.host === 'self' ? self : peerId(seed.host)
    const born = Date.now() - (seed.tick ?? 1) * 1000
    const mind = MINDS[seed.mind]()
    const stays = [...(seed.before ?? []), seed.host]
    const agent: FakeAgent = {
      mind,
      hosts: stays.map((peer, i) => ({
        peer: peer === 'self' ? self : peerId(peer),
        epoch: i + 1,
        tick: Math.floor(((seed.tick ?? 0) * i) / stays.length),
        since: born + (i * (Date.now() - born)) / stays.length,
      })),
      inbox: [],
      listeners: new Set(),
      last: [],
      due: performance.now() + Math.random() * 900,
      status: {
        agent: id,
        name: seed.name,
        state: seed.state ?? 'active',
        ...(seed.reason === undefined ? {} : { reason: seed.reason }),
        tick: seed.tick ?? 0,
        epoch: stays.length,
        seq: (seed.tick ?? 0) + 3,
        head: cid(`${seed.name}${seed.tick}`),
        budget: 0n,
        host,
        here: host === self,
        resided: stays.includes('self'),
        owned: seed.owned ?? true,
        public: true,
        born,
        capabilities: mind.capabilities,
        inbox: 0,
        memory: seed.mind === 'life' ? 4 * 65536 : 2 * 65536,
      },
    }
    agents.set(id, agent)
    return agent
  }
  for (const seed of world.agents) add(seed)

  const beat = (): void => {
    const now = performance.now()
    for (const agent of agents.values()) {
      if (agent.status.state !== 'active' || now < agent.due) continue
      const host = peers.find((peer) => peer.id === agent.status.host)
      if (host?.link === 'none') continue
      agent.due = Math.max(agent.due + agent.mind.intervalMs, now)
      const tick = agent.status.tick + 1
      const { log, view } = agent.mind.tick(tick, agent.inbox.splice(0))
      const said: AgentEvent[] = []
      if (view) said.push({ type: 'view', tick, view })
      if (log !== undefined) said.push({ type: 'log', tick, time: Date.now(), text: log })
      agent.last = said.length > 0 ? said : agent.last
      agent.status = { ...agent.status, tick, seq: agent.status.seq + 1, inbox: 0 }
      tell(agent, { type: 'status', status: agent.status })
      for (const event of said) tell(agent, event)
    }
    changed()
  }
  const timer = setInterval(beat, 100)
  const drift = setInterval(() => {
    peers = peers.map((peer) =>
      peer.rtt === undefined ? peer : { ...peer, rtt: Math.max(0.4, peer.rtt * (0.9 + Math.random() * 0.2)) },
    )
  }, 2000)

  const find = (nameOrId: string): FakeAgent => {
    const agent = agents.get(nameOrId)
    if (!agent) throw new IgorError('UNKNOWN_AGENT', `no agent ${nameOrId} is known here`)
    return agent
  }
  const mine = (agent: FakeAgent): void => {
    if (!agent.status.owned) throw new IgorError('NOT_OWNER', `the key that owns ${agent.status.name} is not in this browser`)
  }

  const move = async (agent: FakeAgent, to: string, signal: AbortSignal | undefined): Promise<Move> => {
    mine(agent)
    const target = peers.find((peer) => peer.id === to)
    const from = agent.status.host
    const slow = target?.slow === true ? 12 : 1
    const step = async (phase: 'offer' | 'copy' | 'stop' | 'commit', ms: number): Promise<void> => {
      for (let i = 0; i < 8; i++) {
        tell(agent, { type: 'progress', phase, done: i, total: 8 })
        await wait((ms * slow) / 8)
        signal?.throwIfAborted()
      }
    }
    await step('offer', 60)
    if (target?.refuses !== undefined) {
      throw new IgorError('HANDOFF_REJECTED', target.refuses)
    }
    await step('copy', 240)
    set(agent, { state: 'moving' })
    await step('stop', 30)
    await step('commit', 60)
    const done: Move = { agent: agent.status.agent, from, to, tick: agent.status.tick, downtimeMs: 4 + Math.random() * 20 }
    agent.hosts.push({ peer: to, epoch: agent.status.epoch + 1, tick: agent.status.tick + 1, since: Date.now() })
    set(agent, { state: 'active', host: to, epoch: agent.status.epoch + 1, lastMove: done })
    agent.due = performance.now()
    return done
  }

  return {
    id: self,
    name: world.selfName,
    multiaddrs: [`/ip4/127.0.0.1/tcp/7460/ws/p2p/${peerId('granite-heron')}/p2p-circuit/webrtc/p2p/${self}`],
    async spawn({ module, manifest, name }) {
      await wait(120)
      if (module.length < 8 || module[0] !== 0 || module[1] !== 0x61) {
        throw new IgorError(
          'BAD_MODULE',
          'this is not a WebAssembly module: it does not begin with \\0asm. Drop a compiled .wasm file',
        )
      }
      const list = (await (await fetch('/gallery.json')).json()) as { id: string; wasm: string }[]
      let kind = 'heartbeat'
      for (const item of list) {
        const other = await (await fetch(`/${item.wasm}`)).arrayBuffer()
        if (other.byteLength === module.length) kind = item.id
      }
      const mind = (
        kind in MINDS ? kind : manifest === undefined ? 'silent' : kind === 'snake' ? 'life' : 'heartbeat'
      ) as MindName
      const words = ['quiet-otter', 'brave-finch', 'merry-wren', 'lucky-newt', 'vivid-toad', 'early-crane', 'olive-swan']
      const fresh = words.find((word) => !agents.has(did(word))) ?? `agent-${agents.size}`
      const agent = add({ name: name ?? fresh, mind, host: 'self' })
      changed()
      return this.agent(agent.status.agent)
    },
    async import() {
      await wait(300)
      throw new IgorError(
        'NOT_OWNER',
        'this is a copy, and the key of its owner is not in this browser. Add the key, then import it again',
      )
    },
    proofs: async () => [],
    handOver: async () => ({ moves: [], stayed: [] }),
    witness: undefined,
    releases: () => [],
    release: async () => false,
    farewell: () => {},
    agent(nameOrId) {
      const agent = find(nameOrId)
      return {
        id: agent.status.agent,
        get status() {
          return agent.status
        },
        async *watch(signal) {
          const queue: AgentEvent[] = [{ type: 'status', status: agent.status }, ...agent.last]
          let wake = (): void => {}
          const listener = (event: AgentEvent): void => {
            queue.push(event)
            wake()
          }
          agent.listeners.add(listener)
          signal.addEventListener('abort', () => wake())
          try {
            while (!signal.aborted) {
              const event = queue.shift()
              if (event) yield event
              else await new Promise<void>((resolve) => (wake = resolve))
            }
          } finally {
            agent.listeners.delete(listener)
          }
        },
        async send(message) {
          await wait(40)
          agent.inbox.push(typeof message === 'string' ? message : new TextDecoder().decode(message))
          agent.status = { ...agent.status, inbox: agent.inbox.length }
        },
        moveTo: (peer, options) => move(agent, peer, options?.signal),
        async pause() {
          mine(agent)
          await wait(150)
          set(agent, { state: 'paused' })
        },
        changeWitness: async () => {},
        async resume() {
          mine(agent)
          await wait(150)
          set(agent, { state: 'active' })
        },
        async fund(amount) {
          mine(agent)
          await wait(150)
          set(agent, { budget: agent.status.budget + amount })
        },
        async upgrade() {
          mine(agent)
          await wait(150)
        },
        async retire() {
          mine(agent)
          await wait(150)
          set(agent, { state: 'retired' })
        },
        async export() {
          await wait(300)
          return new Uint8Array(1000)
        },
        async passport(): Promise<Passport> {
          await wait(120)
          return {
            agent: agent.status.agent,
            name: agent.status.name,
            hosts: agent.hosts,
            records: agent.status.seq + 1,
            epoch: agent.status.epoch,
            tick: agent.status.tick,
            genesis: cid(`${agent.status.name}g`),
            module: cid(`${agent.status.name}m`),
            asserted: [],
          }
        },
        async verify() {
          return this.passport()
        },
      }
    },
    async recover(id) {
      const agent = find(id)
      await wait(400)
      const { reason: _resolved, ...status } = agent.status
      agent.status = { ...status, host: self, here: true, state: 'active' }
      changed()
      return this.agent(id)
    },
    agents: () => [...agents.values()].map((agent) => agent.status),
    peers: () =>
      peers
        .filter((peer) => peer.gone !== true)
        .map((peer) => ({
          ...peer,
          price: 0n,
          seen: Date.now(),
          agents: [...agents.values()].filter((agent) => agent.status.host === peer.id && agent.status.state !== 'retired')
            .length,
        })),
    async connect(multiaddr) {
      await wait(800)
      throw new IgorError('PEER_UNREACHABLE', `nobody answers at ${multiaddr}; check the address, and that the node is up`)
    },
    ready: async () => new Uint8Array(300),
    exportKeys: async () => ['00'.repeat(32)],
    importKey: async () => {},
    usage: async () => ({ used: 3_400_000, quota: 12_000_000_000, persistent: world.persistent ?? false }),
    onchange(listener) {
      changes.add(listener)
      return () => changes.delete(listener)
    },
    onevent(listener) {
      events.add(listener)
      return () => events.delete(listener)
    },
    async stop() {
      clearInterval(timer)
      clearInterval(drift)
    },
  }
}
