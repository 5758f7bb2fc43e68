/**
 * The agents that live or lived at this node: which they are, how they come in from the store, by birth and by
 * arrival, and how they end.
 *
 * @module
 */
import type { Genesis } from '@igor/lineage'
import type { Context } from '../agent/context.ts'
import { createHosted, type Hosted, type HostedOptions } from '../agent/hosted.ts'
import type { Ledger } from '../agent/ledger.ts'
import { isOwnedBy, loadLedger } from '../agent/load.ts'
import { sweepModules } from '../agent/modules.ts'
import { modulesInUse } from '../agent/modules-in-use.ts'
import type { AgentEvent, Move, SpawnOptions } from '../api.ts'
import type { History } from '../authority/judge.ts'
import { IgorError, StoreFullError } from '../errors.ts'
import type { Executor } from '../execution/executor.ts'
import type { Arrived } from '../handoff/inbound.ts'
import { checkGuest, type House, roomOf } from '../handoff/policy.ts'
import { keys } from '../keys.ts'
import { type Manifest, parseManifest } from '../manifest.ts'
import { verifyGently } from '../protocols/verify-gently.ts'
import { messageOf } from '../thrown.ts'
import { checkSpawn, chooseWitness, giveBirth } from './births.ts'
import { createDepartures, type Departures } from './departures.ts'
import { createEmitter, type Emitter } from './emitter.ts'
import { createLeases, type Leases } from './leases.ts'
import type { Owner } from './owner.ts'
import { consequenceOf, followFrom } from './reconcile.ts'

/** An agent that has not begun to tick so long after it came may rest for hours. */
const BEGIN_MS = 50
/** Peers have said what they serve so long after a node has begun. */
const SIGHT_MS = 4000
/** A full disk is looked at again so often. */
const ROOM_RETRY_MS = 1000

export interface Residents
  extends Pick<Departures, 'outgoing' | 'progress' | 'move' | 'handOver' | 'packUp'>,
    Pick<Leases, 'releases' | 'farewell'> {
  hosted(agent: string): Hosted | undefined
  ledger(agent: string): Ledger | undefined
  ledgers(): readonly Ledger[]
  /** Agents whose history the store lost, and why they stand still. */
  lost(): ReadonlyMap<string, string>
  /** Of an agent that lives here or did since this node began. */
  manifest(agent: string): Manifest | undefined
  lastMove(agent: string): Move | undefined
  /** Agents that live here, for policy. */
  readonly count: number
  events(agent: string): Emitter<AgentEvent>
  spawn(options: SpawnOptions, owner: Owner): Promise<Ledger>
  /** Resolves when its first tick is under way, or soon if it does not tick now. */
  arrived(arrival: Arrived): Promise<void>
  /** Somebody shows a verified history of an agent known here. @throws IgorError when theirs conflicts */
  reconcile(ledger: Ledger, theirs: History): Promise<void>
  /** Resolves when the last record that was written here of an agent is committed. @throws IgorError NOT_AUTHORITATIVE */
  committed(agent: string): Promise<void>
  /** Its owner's word is that it must not go on as it is. */
  halt(agent: string, why: string): Promise<void>
  /** Removes modules that no agent in this store names. */
  sweep(): Promise<void>
  stop(): Promise<void>
}

export interface ResidentsOptions {
  readonly context: Context
  readonly executor: Executor
  /** The store was found elsewhere than it was made. */
  readonly displaced: boolean
  readonly house: () => House
  readonly onchange: () => void
  readonly onticked: () => void
}

export const openResidents = async (options: ResidentsOptions): Promise<Residents> => {
  const { context, executor, onchange } = options
  const { clock, store } = context
  const hosted = new Map<string, Hosted>()
  const ledgers = new Map<string, Ledger>()
  const lost = new Map<string, string>()
  let births = 0
  const manifests = new Map<string, Manifest>()
  const moves = new Map<string, Move>()
  const emitters = new Map<string, Emitter<AgentEvent>>()
  const beginnings = new Map<string, Promise<void>>()
  const ended = new AbortController()
  const began = clock.elapsed()

  const events = (agent: string): Emitter<AgentEvent> => {
    const emitter = emitters.get(agent) ?? createEmitter<AgentEvent>()
    emitters.set(agent, emitter)
    return emitter
  }
  const tell = (agent: string, event: AgentEvent): void => {
    if (event.type === 'moved') moves.set(agent, event.move)
    events(agent).emit(event)
  }

  const host = (
    ledger: Ledger,
    manifest: Manifest,
    init: Uint8Array,
    more: Pick<HostedOptions, 'placed' | 'onbegin' | 'onfirst' | 'born'> = {},
  ): void => {
    const { agent } = ledger
    lost.delete(agent)
    ledgers.set(agent, ledger)
    manifests.set(agent, manifest)
    hosted.set(
      agent,
      createHosted({
        context,
        ledger,
        executor,
        manifest,
        init,
        commitment: leases.hold(ledger, manifest),
        ...more,
        onevent: (event) => tell(agent, event),
        onchange,
        onticked: options.onticked,
      }),
    )
    onchange()
  }

  /** Ends what runs on this ledger; another one of the same agent may have come meanwhile. */
  const unhost = async (ledger: Ledger): Promise<void> => {
    const one = hosted.get(ledger.agent)
    if (one?.ledger === ledger) {
      hosted.delete(ledger.agent)
      await one.stop()
    }
    onchange()
  }

  const reconcile: Residents['reconcile'] = async (ledger, theirs) => {
    const { agent } = ledger
    // At a boundary: no commit of a tick comes between the verdict and what follows from it.
    const boundary = hosted.get(agent)?.atBoundary ?? ((task) => task())
    try {
      await boundary(async () => {
        await context.forks.compare(ledger, theirs)
        const { chain, records, row } = ledger
        const consequence = consequenceOf({ chain, records, row }, theirs, context.peer)
        await followFrom(consequence, ledger, theirs, { settle: departures.settle, askBack: leases.askBack })
      })
    } finally {
      if (ledger.row.state === 'retired' || ledger.row.state === 'recovery-required') await unhost(ledger)
    }
  }

  const leases = createLeases({
    context,
    hosted,
    ledgers,
    heed: async (ledger, records) => {
      if (records.length > 0) await reconcile(ledger, { chain: await verifyGently(context, records), records })
    },
    onchange,
    signal: ended.signal,
  })

  const departures = createDepartures({
    context,
    hosted,
    ledgers,
    goOn: async (ledger) => {
      const one = hosted.get(ledger.agent)
      if (one !== undefined) return one.wake()
      const { manifest, init } = await originOf(ledger)
      host(ledger, manifest, init)
    },
    unhost,
    askWitness: (ledger) => leases.ask(ledger, manifests.get(ledger.agent)),
    onevent: tell,
    onchange,
    signal: ended.signal,
  })

  const isAskedBack = ({ row, chain: { authority, witness } }: Ledger): boolean =>
    row.state === 'retired' && authority.status === 'held' && authority.by === context.peer && witness !== null

  const load = async (agent: string): Promise<void> => {
    const loaded = await loadLedger(context, agent)
    const ledger = loaded?.ledger
    if (ledger === undefined) {
      if (loaded?.row.state === 'recovery-required') lose(agent, loaded.row.why)
      return
    }
    ledgers.set(agent, ledger)
    const lived = ledger.row.state === 'active-owner' || ledger.row.state === 'handoff-pending'
    if (options.displaced && lived && ledger.chain.witness !== null) {
      // Another copy of this store may be running it: the witness knows, and holds all that was committed.
      await ledger.depart([])
    } else if (options.displaced && lived) {
      await ledger.halt('the store was found at another place than where it was made: another copy of it may be running')
    }
    if (ledger.row.state === 'recovery-required') {
      context.report({ level: 'error', code: 'AGENT_HALTED', agent, message: `${agent} is halted: ${ledger.row.why}` })
      // Who may watch it may see why.
      await originOf(ledger)
        .then(({ manifest }) => manifests.set(agent, manifest))
        .catch(() => {})
    } else if (ledger.row.state === 'active-owner') {
      const { manifest, init } = await originOf(ledger)
      host(ledger, manifest, init)
    } else {
      // What it wrote last may still have to be cosigned.
      if (ledger.row.slot.id.equals(ledger.chain.head.id)) leases.hold(ledger, undefined)
      if (ledger.row.state === 'handoff-pending') departures.ask(ledger)
      // It gave its copy up to be given a later one, and has not been yet.
      else if (isAskedBack(ledger)) void leases.askBack(ledger)
    }
  }

  /** What stands in the store of an agent cannot be shown as a ledger: it stands still. */
  const lose = (agent: string, why: string): void => {
    lost.set(agent, why)
    context.report({ level: 'error', code: 'STORE_DAMAGED', agent, message: `${agent} is halted: ${why}` })
  }

  const mine = async (): Promise<string[]> => {
    const agents: string[] = []
    for (const key of await store.list(keys.authorities)) {
      const agent = key.slice(keys.authorities.length)
      if ((await isOwnedBy(store, agent, context.fence)) !== false) agents.push(agent)
    }
    return agents
  }
  /** What an agent's load needs stays in the store until there is room for it. */
  const crowded = new Set<string>()
  const loadAll = async (agents: Iterable<string>): Promise<void> => {
    for (const agent of agents) {
      crowded.delete(agent)
      lost.delete(agent)
      await load(agent).catch((error) => {
        if (!(error instanceof StoreFullError)) return lose(agent, messageOf(error))
        crowded.add(agent)
        lost.set(agent, `this node has no room to bring it back: ${error.message}. It goes on as soon as there is room`)
      })
    }
    if (crowded.size === 0) await context.turns.begin()
  }

  const sweep = async (): Promise<void> => {
    if (!store.damaged && crowded.size === 0) await sweepModules(store, context.crypto, modulesInUse)
  }

  /** Tries again what a full disk stood in the way of. */
  const settleIn = async (): Promise<void> => {
    while (crowded.size > 0 && !ended.signal.aborted) {
      await clock.sleep(ROOM_RETRY_MS, ended.signal).catch(() => {})
      if (ended.signal.aborted) return
      await loadAll([...crowded])
      onchange()
    }
    await sweep()
  }

  await loadAll(await mine())
  for (const agent of crowded) context.report({ level: 'error', code: 'STORE_FULL', agent, message: lost.get(agent) ?? '' })
  const settled = settleIn().catch((error) => {
    context.report({ level: 'error', code: 'STORE_FULL', message: messageOf(error) })
  })
  if (crowded.size === 0) await settled

  return {
    hosted: (agent) => hosted.get(agent),
    ledger: (agent) => ledgers.get(agent),
    ledgers: () => [...ledgers.values()],
    lost: () => lost,
    manifest: (agent) => manifests.get(agent),
    lastMove: (agent) => moves.get(agent),
    get count() {
      return hosted.size + births
    },
    events,

    spawn: async (given, owner) => {
      const manifest = parseManifest(given.manifest)
      checkSpawn(given)
      const witness = await chooseWitness(context, given, manifest, began + SIGHT_MS - clock.elapsed())
      // Moving is not asked for here: an agent may start where it could not go.
      checkGuest(options.house(), { ...manifest, migration: { enabled: true, maxPricePerSecond: null, allow: null } })
      if (store.damaged)
        throw new IgorError('STORE_DAMAGED', 'the data of this node was damaged: start agents on a node with a new data folder')
      if (roomOf(options.house()) === 0)
        throw new IgorError('QUOTA', 'this node has no room for another agent: retire or move one, or raise its limit')
      births++
      try {
        return await giveBirth(context, executor, {
          given,
          manifest,
          witness,
          owner,
          onborn: (ledger, init, first) => host(ledger, manifest, init, first),
        })
      } finally {
        births--
      }
    },

    outgoing: departures.outgoing,
    progress: departures.progress,
    move: departures.move,
    handOver: departures.handOver,
    packUp: departures.packUp,

    arrived: ({ ledger, manifest, init, placed, from, since }) => {
      const { agent } = ledger
      const tick = ledger.chain.tick
      const before = hosted.get(agent)
      ledgers.set(agent, ledger)
      hosted.delete(agent)
      const begun = Promise.withResolvers<void>()
      const begin = (): void =>
        host(ledger, manifest, init, {
          ...(placed === undefined ? {} : { placed }),
          onbegin: begun.resolve,
          onfirst: (at) => {
            const downtimeMs = since === undefined ? 0 : Math.max(0, at - since)
            tell(agent, { type: 'moved', move: { agent, from, to: context.peer, tick, downtimeMs } })
          },
        })
      // What is left of an earlier stay ends first; there is nothing to wait for when there was none.
      if (before === undefined) begin()
      else {
        const starting = before.stop().then(begin)
        beginnings.set(agent, starting)
        void starting.finally(() => beginnings.delete(agent))
      }
      const waited = new AbortController()
      const limit = clock.sleep(BEGIN_MS, AbortSignal.any([ended.signal, waited.signal])).catch(() => {})
      return Promise.race([begun.promise, limit]).finally(() => waited.abort())
    },

    reconcile,

    halt: async (agent, why) => {
      await beginnings.get(agent)
      const ledger = ledgers.get(agent)
      const boundary = hosted.get(agent)?.atBoundary ?? ((task) => task())
      await boundary(async () => ledger?.halt(why))
      if (ledger !== undefined) await unhost(ledger)
    },

    releases: leases.releases,
    farewell: leases.farewell,

    committed: async (agent) => {
      await beginnings.get(agent)
      const ledger = ledgers.get(agent)
      if (ledger !== undefined) await leases.committed(ledger)
    },

    sweep,
    stop: async () => {
      ended.abort()
      await settled
      await Promise.all([...hosted.values()].map((one) => one.stop()))
      await leases.stop()
      await departures.stop()
      for (const emitter of emitters.values()) emitter.clear()
    },
  }
}

const originOf = async (ledger: Ledger): Promise<{ manifest: Manifest; init: Uint8Array }> => {
  const genesis: Genesis = ledger.chain.genesis.body
  const manifest = await ledger.readBlock(genesis.manifest.multihash.digest)
  const init = genesis.init === null ? new Uint8Array() : await ledger.readBlock(genesis.init.multihash.digest)
  if (manifest === undefined || init === undefined)
    throw new IgorError('STORE_DAMAGED', `the manifest or init of ${ledger.agent} is missing`)
  return { manifest: parseManifest(manifest), init }
}
