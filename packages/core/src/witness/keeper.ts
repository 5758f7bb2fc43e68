/**
 * What a witness does when a lease is over: it moves the agent, by its manifest, to whoever takes it
 * (docs/design.md, section 7).
 *
 * @module
 */
import { type Chain, decodeReady, type LineageRecord, type Recover, readReady, signRecord } from '@igor/lineage'
import { type Context, nowMs } from '../agent/context.ts'
import type { Peer } from '../api.ts'
import { IgorError } from '../errors.ts'
import type { Inbound } from '../handoff/inbound.ts'
import { HANDOFF_PROTOCOL } from '../handoff/protocol.ts'
import { takeIn } from '../handoff/takeover.ts'
import { type Manifest, parseManifest } from '../manifest.ts'
import type { Puller } from '../protocols/blocks.ts'
import { hear, hearAnswer, say, violation } from '../protocols/wire.ts'
import { messageOf } from '../thrown.ts'
import type { Head } from './head.ts'
import type { WitnessAccess } from './link.ts'
import type { WitnessService } from './service.ts'

/** Between looks at the leases. */
const LOOK_MS = 250
/** Other relays' rows are read anew at each look. */
const SHARED_LOOK_MS = 1000
/** A candidate that copies 64 MiB over a slow line needs minutes. */
const COPY_MS = 5 * 60_000
/** Takeovers under way. */
const MAX_AT_ONCE = 8
/** Before the same agent is tried again when nobody took it; doubled up to the longest. */
const AGAIN_MS = 2000
const MAX_AGAIN_MS = 60_000

export interface Keeper extends WitnessAccess {
  start(): void
  stop(): Promise<void>
}

export interface KeeperOptions {
  readonly context: Context
  readonly service: WitnessService
  readonly shared: boolean
  /** The way in for agents that this node takes itself. */
  readonly inbound: Inbound
  /** In sight, with price and room. */
  readonly peers: () => readonly Peer[]
  readonly isOwner: (agent: string, peer: string, proof: Uint8Array | undefined) => boolean
}

/** The keeper is put together when the node is. */
export const witnessAccess = (keeper: () => Keeper | undefined): WitnessAccess => {
  const ready = (): Keeper => {
    const one = keeper()
    if (one === undefined) throw new IgorError('NODE_STOPPED', 'this witness is starting')
    return one
  }
  return {
    mayRead: (...asked) => ready().mayRead(...asked),
    takeover: (...asked) => ready().takeover(...asked),
  }
}

export const createKeeper = (options: KeeperOptions): Keeper => {
  const { context, service, inbound } = options
  const { clock, signal } = context
  const taking = new Map<string, Promise<void>>()
  const tries = new Map<string, { readonly count: number; readonly until: number }>()
  const never = new Set<string>()
  let running: Promise<void> | undefined

  const manifestOf = async ({ agent, genesis }: Chain): Promise<Manifest | undefined> => {
    const bytes = await service.block(agent, genesis.body.manifest)
    return bytes === undefined ? undefined : parseManifest(bytes)
  }

  /** Whom to ask, in order. */
  const candidates = ({ failover, migration }: Manifest, gone: string): readonly string[] => {
    if (failover === 'never') return []
    const idOf = (name: string): string => name.split('/p2p/').at(-1) ?? name
    const mayHost = (peer: string): boolean =>
      peer !== gone && !context.forks.convicts(peer) && (migration.allow === null || migration.allow.includes(idOf(peer)))
    if (failover !== 'witness') return failover.filter(mayHost)
    const others = options
      .peers()
      .filter(({ room, link }) => room > 0 && link !== 'none' && link !== 'relayed')
      .sort((a, b) => Number(b.kind === 'server') - Number(a.kind === 'server') || Number(a.price - b.price) || b.room - a.room)
    return [context.peer, ...others.map(({ id }) => id)].filter(mayHost)
  }

  const recoverTo = async (chain: Chain, ready: Uint8Array): Promise<LineageRecord> => {
    const { head, anchor, agent, epoch } = chain
    const body: Recover = {
      kind: 'recover',
      agent,
      seq: head.body.seq + 1,
      prev: head.id,
      anchor: anchor.id,
      epoch: epoch + 1,
      time: Math.max(nowMs(clock), head.body.time),
      ready,
      because: 'its holder no longer renews its lease',
      asserts: null,
    }
    return service.put(chain, await signRecord(body, service.sign))
  }

  const takeHere = async (chain: Chain): Promise<void> => {
    const { agent } = chain
    await takeIn(inbound, {
      agent,
      from: service.id,
      puller: localPuller(service),
      recover: (ready) => recoverTo(chain, ready),
    })
  }

  const giveTo = async (chain: Chain, target: string): Promise<void> => {
    const { agent } = chain
    const channel = await context.network.open(target, HANDOFF_PROTOCOL, { direct: true, signal })
    const { peer } = channel
    const close = service.open(agent, peer)
    try {
      context.forks.check(peer)
      await say(channel, { type: 'takeover', agent })
      const answer = await hearAnswer(channel, { clock, ms: COPY_MS, signal })
      if (answer.type === 'reject') throw new IgorError('HANDOFF_REJECTED', answer.text('reason', 1024))
      const bytes = answer.bytes('ready', 1024)
      const { ready } = readReady(bytes)
      if (ready.to !== peer || ready.agent !== agent) throw violation(peer, 'its ready is for something else')
      const record = await recoverTo(chain, bytes)
      await say(channel, { type: 'commit', record: record.bytes })
      const done = await hear(channel, { clock, signal })
      if (done?.type !== 'taken') throw new IgorError('HANDOFF_FAILED', `${peer} did not say that it took ${agent}`)
    } finally {
      close()
      await channel.close().catch(() => {})
    }
  }

  const give = (chain: Chain, target: string): Promise<void> =>
    target === context.peer || target.endsWith(`/p2p/${context.peer}`) ? takeHere(chain) : giveTo(chain, target)

  const waitLonger = (agent: string): void => {
    const count = (tries.get(agent)?.count ?? 0) + 1
    tries.set(agent, { count, until: clock.elapsed() + Math.min(MAX_AGAIN_MS, AGAIN_MS * 2 ** (count - 1)) })
  }

  /** One after the other, until somebody takes it or the head changed. */
  const failOver = async (agent: string): Promise<void> => {
    const chain = await service.chain(agent)
    const manifest = chain === undefined ? undefined : await manifestOf(chain)
    if (chain === undefined || manifest === undefined) return
    if (manifest.failover === 'never') {
      never.add(agent)
      return
    }
    for (const target of candidates(manifest, chain.authority.by)) {
      try {
        await give(chain, target)
        tries.delete(agent)
        context.report({
          level: 'info',
          code: 'TAKEN_OVER',
          agent,
          peer: target,
          message: `${agent} goes on at ${target}: ${chain.authority.by} is gone`,
        })
        return
      } catch (error) {
        const message = messageOf(error)
        context.report({
          level: 'info',
          code: 'HANDOFF_FAILED',
          agent,
          peer: target,
          message: `${target} did not take ${agent}: ${message}`,
        })
        // It may still take what was written for it, for a lease.
        if ((await service.chain(agent))?.head.id.equals(chain.head.id) !== true) break
      }
    }
    waitLonger(agent)
  }

  /** Its holder is silent since it named this witness: the one before is asked to hand it over. */
  const finish = async (agent: string, { chain, records }: Head): Promise<void> => {
    try {
      const link = await context.links.to(chain.changing?.from ?? '', [], signal)
      const answer = await link.commit({ agent, records: [chain.head], blocks: [], read: async () => undefined }, signal)
      if (answer.kind !== 'cosigned') throw new IgorError('NOT_AUTHORITATIVE', 'it knows nothing of this agent')
      const whole = [...records.slice(0, -1), answer.record]
      await service.commit(context.peer, { agent, records: whole, blocks: [], fetch: async () => [] })
      tries.delete(agent)
    } catch (error) {
      waitLonger(agent)
      const message = `${agent} is not handed over by its witness ${chain.changing?.from}: ${messageOf(error)}`
      context.report({ level: 'info', code: 'WITNESS', agent, message })
    }
  }

  const begin = (agent: string, task: () => Promise<void>): Promise<void> => {
    const task1 = task().finally(() => taking.delete(agent))
    taking.set(
      agent,
      task1.catch(() => {}),
    )
    return task1
  }

  const look = async (): Promise<void> => {
    for (const agent of await service.agents()) {
      if (signal.aborted || taking.size >= MAX_AT_ONCE) return
      if (taking.has(agent) || never.has(agent) || (tries.get(agent)?.until ?? 0) > clock.elapsed()) continue
      const left = await service.takeoverIn(agent)
      const head = left === undefined ? await service.unfinished(agent) : undefined
      if (left === 0) void begin(agent, () => failOver(agent)).catch(() => {})
      else if (head !== undefined) void begin(agent, () => finish(agent, head))
    }
  }

  const loop = async (): Promise<void> => {
    while (!signal.aborted) {
      await look().catch((error) => {
        context.report({ level: 'warn', code: 'WITNESS', message: `leases could not be looked at: ${String(error)}` })
      })
      await clock.sleep(options.shared ? SHARED_LOOK_MS : LOOK_MS, signal).catch(() => {})
    }
  }

  return {
    mayRead: async (agent, peer, proof) => {
      const chain = await service.chain(agent)
      if (chain === undefined) throw new IgorError('UNKNOWN_AGENT', `${agent} is not known here`)
      const { authority, hosts } = chain
      const named = authority.by === peer || (authority.status === 'offered' && authority.ready.to === peer)
      return (
        named ||
        hosts.some((host) => host.peer === peer) ||
        options.isOwner(agent, peer, proof) ||
        (await manifestOf(chain))?.public === true ||
        // Whom an earlier offer names may have taken it since, and learns here that it went on without.
        ((await service.records(agent)) ?? []).some((record) => targetOf(record) === peer)
      )
    },
    takeover: async (agent, peer, { to = peer, proof } = {}) => {
      const chain = await service.chain(agent)
      if (chain === undefined) throw new IgorError('UNKNOWN_AGENT', `${agent} is not known here`)
      const holds = chain.authority.by === peer && chain.authority.status === 'held'
      if (!options.isOwner(agent, peer, proof) && !(holds && to === peer))
        throw new IgorError('NOT_AUTHORITATIVE', `${agent} lives at ${chain.authority.by}`)
      if (chain.witness !== service.id)
        throw new IgorError('NOT_AUTHORITATIVE', `the witness of ${agent} is ${chain.witness ?? 'gone: it has none'} now`)
      const left = await service.takeoverIn(agent)
      if (left === undefined) throw new IgorError('AGENT_HALTED', `its witness cannot move ${agent} now`)
      if (left > 0 || taking.has(agent))
        throw new IgorError('LEASE_HELD', `${agent} may still run somewhere for ${Math.ceil(left / 1000)} s`)
      await begin(agent, () => give(chain, to))
    },
    start: () => {
      running ??= loop()
    },
    stop: async () => {
      await running
      await Promise.all(taking.values())
    },
  }
}

/** Whom a record offers the agent. */
const targetOf = ({ body }: LineageRecord): string | undefined =>
  body.kind === 'handoff' || body.kind === 'recover' ? decodeReady(body.ready).ready.to : undefined

/** What the witness keeps, for this node itself. */
const localPuller = (service: WitnessService): Puller => ({
  roundTrip: 0,
  records: async (agent) => [...((await service.records(agent)) ?? [])],
  meet: async () => [],
  blocks: async (agent, want, onblocks) => {
    for (const cid of want) {
      const bytes = await service.block(agent, cid)
      if (bytes === undefined) throw new IgorError('STORE_DAMAGED', `the witness lost block ${cid} of ${agent}`)
      await onblocks([{ cid, bytes }])
    }
  },
  close: async () => {},
})
