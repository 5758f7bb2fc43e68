/**
 * The agents that live or lived at this node: loading, spawning, moving out, arriving, settling what
 * a crash left undecided.
 *
 * @module
 */
import { type Chain, decodeReady, type Genesis, keyOfPeerId, type LineageRecord, plainText } from '@igor/lineage'
import { hangMs, startFuel } from '../agent/attempt.ts'
import { payableAt } from '../agent/budget.ts'
import type { Context } from '../agent/context.ts'
import { bear, isOwnedBy, loadLedger, modulesInUse } from '../agent/found.ts'
import { emptyHostPart, type HostPart } from '../agent/host-part.ts'
import { createHosted, type Hosted, type HostedOptions } from '../agent/hosted.ts'
import type { Ledger } from '../agent/ledger.ts'
import { moduleRows, sweepModules } from '../agent/modules.ts'
import type { AgentEvent, HandedOver, LastWords, Move, MovePhase, NodePolicy, SpawnOptions } from '../api.ts'
import { judge } from '../authority/judge.ts'
import { IgorError } from '../errors.ts'
import type { Executor, Placed } from '../execution/executor.ts'
import { verifyGently } from '../handoff/arrival.ts'
import type { House } from '../handoff/policy.ts'
import { checkGuest, checkMigration, roomOf } from '../handoff/policy.ts'
import { askUntilDecided, moveOut, type Outgoing } from '../handoff/source.ts'
import { keys } from '../keys.ts'
import { granted, type Manifest, parseManifest } from '../manifest.ts'
import { agentNameOf } from '../names.ts'
import { ALONE, type Commitment, holdLease } from '../witness/holder.ts'
import { createEmitter, type Emitter } from './emitter.ts'
import type { Owner } from './owner.ts'

/** A witness that does not answer must not keep a node from stopping. */
const FAREWELL_MS = 1000
/** An agent that has not begun to tick so long after it came may rest for hours. */
const BEGIN_MS = 50
/** Of an agent's init bytes: one block. */
const MAX_INIT = 1024 * 1024
const MAX_NAME = 64
/** One that waits for its witness does not hold up the others; each may have 64 MiB on its way. */
const HAND_OVER_AT_ONCE = 4
/** What int64 microcents can hold. */
export const MAX_BUDGET = 2n ** 63n - 1n

export interface Residents {
  hosted(agent: string): Hosted | undefined
  ledger(agent: string): Ledger | undefined
  ledgers(): readonly Ledger[]
  /** Agents whose history the store lost, and why they stand still. */
  lost(): ReadonlyMap<string, string>
  /** Of an agent that lives here or did since this node began. */
  manifest(agent: string): Manifest | undefined
  lastMove(agent: string): Move | undefined
  progress(agent: string): { readonly phase: MovePhase } | undefined
  outgoing(agent: string): Outgoing | undefined
  /** Agents that live here, for policy. */
  readonly count: number
  events(agent: string): Emitter<AgentEvent>
  spawn(options: SpawnOptions, owner: Owner): Promise<Ledger>
  move(agent: string, target: string, orders: readonly Uint8Array[], signal?: AbortSignal): Promise<Move>
  /** Moves all that live here, a few at a time. */
  handOver(target: string, signal?: AbortSignal): Promise<HandedOver>
  /** Writes a handoff for a file: the agent leaves here, and the file takes it to whoever gave the ready. */
  packUp(agent: string, ready: Uint8Array, orders: readonly Uint8Array[]): Promise<void>
  /** Resolves when its first tick is under way, or soon if it does not tick now. */
  arrived(arrival: Arrived): Promise<void>
  /** Somebody shows a verified history of an agent known here. @throws IgorError when theirs conflicts */
  reconcile(ledger: Ledger, theirs: { chain: Ledger['chain']; records: readonly LineageRecord[] }): Promise<void>
  releases(): readonly LastWords[]
  /** Has everything committed that was done, and tells the witnesses that this node goes. Takes a second at most. */
  farewell(): Promise<void>
  /** Resolves when the last record that was written here of an agent is committed. @throws IgorError NOT_AUTHORITATIVE */
  committed(agent: string): Promise<void>
  /** Removes modules that no agent in this store names. */
  sweep(): Promise<void>
  stop(): Promise<void>
}

export interface Arrived {
  readonly ledger: Ledger
  readonly manifest: Manifest
  readonly init: Uint8Array
  readonly placed?: Placed
  readonly from: string
  /** `elapsed` at the end of its last tick elsewhere; undefined: unknown. */
  readonly since?: number
}

export interface ResidentsOptions {
  readonly context: Context
  readonly executor: Executor
  readonly policy: NodePolicy
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
  const outgoing = new Map<string, Outgoing>()
  const lost = new Map<string, string>()
  let births = 0
  const manifests = new Map<string, Manifest>()
  const moves = new Map<string, Move>()
  const phases = new Map<string, MovePhase>()
  const emitters = new Map<string, Emitter<AgentEvent>>()
  const asking = new Map<string, Promise<void>>()
  const commitments = new Map<Ledger, Commitment>()
  const beginnings = new Map<string, Promise<void>>()
  const ended = new AbortController()

  const events = (agent: string): Emitter<AgentEvent> => {
    const emitter = emitters.get(agent) ?? createEmitter<AgentEvent>()
    emitters.set(agent, emitter)
    return emitter
  }

  /** Keeps the lease of an agent with a witness, and brings what it wrote to be cosigned, also when it has left. */
  const hold = (ledger: Ledger, manifest: Manifest | undefined): Commitment => {
    const known = commitments.get(ledger)
    if (known !== undefined) return known
    if (ledger.chain.witness === null) return ALONE
    const { agent } = ledger
    const hints = manifest?.witness?.startsWith('/') === true ? [manifest.witness] : []
    const commitment = holdLease({
      context,
      ledger,
      link: (witness, signal) => context.links.to(witness, hints, signal),
      onchange: () => {
        hosted.get(agent)?.wake()
        onchange()
      },
      onrenewal: () => hosted.get(agent)?.bind(),
      ondeposed: (records) => heed(ledger, records),
    })
    commitments.set(ledger, commitment)
    return commitment
  }

  /** The witness's history is the one that counts. */
  const heed = async (ledger: Ledger, records: readonly LineageRecord[]): Promise<void> => {
    if (records.length === 0) return
    await reconcile(ledger, { chain: await verifyGently(context, records), records })
  }

  const askWitness = async (ledger: Ledger): Promise<void> => {
    const { agent, chain } = ledger
    if (chain.witness === null) return
    const manifest = manifests.get(agent)
    const hints = manifest?.witness?.startsWith('/') === true ? [manifest.witness] : []
    const link = await context.links.to(chain.witness, hints, ended.signal)
    await heed(ledger, await link.records(agent, undefined, ended.signal))
  }

  /**
   * This node is the authority, and its store is older than the history: the witness gives it back, with all that
   * it holds, when nobody has renewed the lease; or tells who has it.
   */
  const askBack = async (ledger: Ledger): Promise<void> => {
    const { agent } = ledger
    for (let wait = 500; !ended.signal.aborted && ledgers.get(agent) === ledger; wait = Math.min(2 * wait, 15_000)) {
      const { witness, authority } = ledger.chain
      if (witness === null || authority.by !== context.peer) return
      try {
        const link = await context.links.to(witness, [], ended.signal)
        await link.takeover(agent, {}, ended.signal)
        return
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error)
        context.report({ level: 'info', code: 'NOT_AUTHORITATIVE', agent, message: `${agent} is asked back: ${message}` })
      }
      await clock.sleep(wait, ended.signal).catch(() => {})
    }
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
        commitment: hold(ledger, manifest),
        ...more,
        onevent: (event) => events(agent).emit(event),
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

  const originOf = async (ledger: Ledger): Promise<{ manifest: Manifest; init: Uint8Array }> => {
    const genesis: Genesis = ledger.chain.genesis.body
    const manifest = await ledger.readBlock(genesis.manifest.multihash.digest)
    const init = genesis.init === null ? new Uint8Array() : await ledger.readBlock(genesis.init.multihash.digest)
    if (manifest === undefined || init === undefined)
      throw new IgorError('STORE_DAMAGED', `the manifest or init of ${ledger.agent} is missing`)
    return { manifest: parseManifest(manifest), init }
  }

  /** Applies the target's decision on a handoff of this node. */
  const settle =
    (ledger: Ledger) =>
    async (decision: LineageRecord): Promise<void> => {
      const { agent } = ledger
      if (ledger.row.state !== 'handoff-pending') return
      if (decision.body.kind === 'refuse') {
        await ledger.takeBack(decision)
        const one = hosted.get(agent)
        if (one === undefined) {
          const { manifest, init } = await originOf(ledger)
          host(ledger, manifest, init)
        } else one.wake()
      } else {
        await ledger.depart([decision])
        await unhost(ledger)
      }
      phases.delete(agent)
      onchange()
    }

  const ask = (ledger: Ledger): void => {
    const { agent } = ledger
    if (asking.has(agent)) return
    const asked = askUntilDecided(context, ledger, settle(ledger), () => askWitness(ledger), ended.signal)
      .catch((error) => context.report({ level: 'error', code: 'HANDOFF_PENDING', agent, message: String(error) }))
      .finally(() => asking.delete(agent))
    asking.set(agent, asked)
  }

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
      void askBack(ledger)
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
      if (ledger.row.slot.id.equals(ledger.chain.head.id)) hold(ledger, undefined)
      if (ledger.row.state === 'handoff-pending') ask(ledger)
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
  for (const agent of await mine()) {
    await load(agent).catch((error) => lose(agent, error instanceof Error ? error.message : String(error)))
  }

  const sweep = async (): Promise<void> => {
    if (!store.damaged) await sweepModules(store, context.crypto, modulesInUse)
  }
  await sweep()

  /** What another history means for the one here, and what follows. @throws IgorError when theirs conflicts */
  const compare = async (ledger: Ledger, theirs: { chain: Chain; records: readonly LineageRecord[] }): Promise<void> => {
    const { agent, chain } = ledger
    await context.forks.compare(ledger, theirs)
    const verdict = judge({ chain, records: ledger.records }, theirs)
    const here = ledger.row.state === 'active-owner' || ledger.row.state === 'handoff-pending'
    if (verdict === 'behind') {
      if (here) throw new IgorError('HANDOFF_REJECTED', `that history of ${agent} is older than the one here`)
      return
    }
    if (verdict === 'rival') {
      if (here) await ledger.halt(`another branch of its history exists: record ${theirs.chain.head.id} against ${chain.head.id}`)
      throw new IgorError(
        'AGENT_HALTED',
        `that history of ${agent} contradicts the one known here: only its owner can recover it`,
      )
    }
    if (verdict === 'superseded') {
      await ledger.supersede(theirs)
      if (theirs.chain.witness !== null) void askBack(ledger)
      return
    }
    if (!here) return
    if (theirs.chain.head.id.equals(chain.head.id)) return
    const later = theirs.records.filter(({ body }) => body.seq > chain.head.body.seq)
    const [answer] = later
    const own = theirs.chain.authority.by === context.peer
    // Only an accept ends this node's authority: what was refused, or not answered yet, is nobody else's.
    if (!own && later.some(({ body }) => body.kind === 'accept')) return ledger.depart(later)
    if (answer?.body.kind === 'refuse' && later.length === 1) return settle(ledger)(answer)
    if (!own) return
    if (theirs.chain.witness !== null) {
      await ledger.supersede(theirs)
      void askBack(ledger)
      return
    }
    // Signed by this node, and this store does not know of it: the store was restored from an older copy.
    await ledger.halt('later records of this node are known elsewhere: its store was restored from an older copy')
    throw new IgorError('AGENT_HALTED', `${agent} is halted: this node's store is older than its history`)
  }

  const reconcile: Residents['reconcile'] = async (ledger, theirs) => {
    const { agent } = ledger
    // At a boundary: no commit of a tick comes between the verdict and what follows from it.
    const boundary = hosted.get(agent)?.atBoundary ?? ((task) => task())
    try {
      await boundary(() => compare(ledger, theirs))
    } finally {
      if (ledger.row.state === 'retired' || ledger.row.state === 'recovery-required') await unhost(ledger)
    }
  }

  const sayFarewell = async ({ ledger, commitment, atBoundary }: Hosted): Promise<void> => {
    await atBoundary(async () => {
      if (ledger.open && ledger.row.state === 'active-owner') await ledger.seal()
    })
    await commitment.committed()
    const { witness } = ledger.chain
    if (witness === null || commitment.release === undefined) return
    const link = await context.links.to(witness, [], ended.signal)
    await link.release(commitment.release)
  }

  const live = (agent: string): Hosted => {
    const one = hosted.get(agent)
    if (one !== undefined && one.ledger.row.state === 'active-owner') return one
    const ledger = ledgers.get(agent)
    if (ledger?.row.state === 'handoff-pending') throw new IgorError('HANDOFF_PENDING', `${agent} is moving already`)
    if (ledger?.row.state === 'recovery-required')
      throw new IgorError('AGENT_HALTED', `${agent} is halted here: ${ledger.row.why}`)
    throw new IgorError('NOT_AUTHORITATIVE', `${agent} does not live here`)
  }

  const move: Residents['move'] = async (agent, target, orders, signal) => {
    const one = live(agent)
    try {
      const done = await moveOut(context, {
        hosted: one,
        target,
        orders,
        outgoing,
        settle: settle(one.ledger),
        onstopped: onchange,
        onprogress: (phase, done, total) => {
          const changed = phases.get(agent) !== phase
          phases.set(agent, phase)
          events(agent).emit({ type: 'progress', phase, done, total })
          if (changed) onchange()
        },
        ...(signal ? { signal } : {}),
      })
      moves.set(agent, done)
      events(agent).emit({ type: 'moved', move: done })
      return done
    } finally {
      phases.delete(agent)
      if (one.ledger.row.state === 'handoff-pending') ask(one.ledger)
      onchange()
    }
  }

  const handOver = async (target: string, signal?: AbortSignal): Promise<HandedOver> => {
    const done: Move[] = []
    const stayed: { agent: string; why: string }[] = []
    const waiting = [...hosted.keys()]
    const giveAway = async (): Promise<void> => {
      for (let agent = waiting.shift(); agent !== undefined; agent = waiting.shift()) {
        signal?.throwIfAborted()
        try {
          done.push(await move(agent, target, [], signal))
        } catch (error) {
          stayed.push({ agent, why: error instanceof Error ? error.message : String(error) })
        }
      }
    }
    await Promise.all(Array.from({ length: HAND_OVER_AT_ONCE }, giveAway))
    return { moves: done, stayed }
  }

  /** Peer id of the witness that a new agent will have: it must answer now, or the agent could never tick. */
  const chooseWitness = async (given: SpawnOptions, manifest: Manifest): Promise<string | null> => {
    const named = given.witness === undefined ? manifest.witness : given.witness
    if (named === null) {
      if (manifest.failover === 'never') return null
      throw new IgorError('BAD_MANIFEST', 'manifest: failover needs a witness: name one, or leave it out')
    }
    const id = named.split('/p2p/').at(-1) ?? named
    try {
      keyOfPeerId(id)
    } catch (cause) {
      throw new IgorError('BAD_MANIFEST', `manifest: witness must be a peer id, or a multiaddr that ends in one; not ${named}`, {
        cause,
      })
    }
    await context.links.to(id, named === id ? [] : [named], given.signal)
    return id
  }

  const spawn = async (given: SpawnOptions, manifest: Manifest, witness: string | null, owner: Owner): Promise<Ledger> => {
    const { cid, rows } = moduleRows(given.module)
    const module = cid.toString()
    const limits = { maxMemoryBytes: manifest.limits.maxMemoryBytes, granted: granted(manifest) }
    const { instrument } = await executor.load(module, async () => given.module, limits)
    const born = owner.newAgent()
    const init = given.init ?? new Uint8Array()
    const time = clock.now()
    const budget = given.budget ?? 0n
    const limit = startFuel(manifest, payableAt(budget, context.price))
    const terms = { tick: 0, time, limit, price: context.price, balance: budget, receipts: [] }
    const attempt = { ...terms, root: born.nonce, messages: [] }
    const { placed, result } = await executor.place({ module, ...limits, init, tickMs: hangMs(manifest), attempt })
    try {
      if (result?.delta === undefined) throw new IgorError('HOST_FAULT', 'the worker did not answer with the first state')
      const part: HostPart = { ...emptyHostPart, time, kv: result.delta.kv ?? [] }
      const ledger = await bear(context, {
        agent: born.agent,
        nonce: born.nonce,
        name: given.name ?? agentNameOf(born.agent),
        module: cid,
        moduleRows: rows,
        manifest: manifest.bytes,
        init,
        witness,
        budget,
        start: { kind: 'start', header: { ...terms, attempt: 0, epoch: 1 }, fuel: result.fuel },
        sign: born.sign,
        delta: result.delta,
        host: part,
        instrument,
      })
      host(ledger, manifest, init, { placed, born: { result, time } })
      return ledger
    } catch (error) {
      executor.drop(placed)
      throw error
    }
  }

  return {
    hosted: (agent) => hosted.get(agent),
    ledger: (agent) => ledgers.get(agent),
    ledgers: () => [...ledgers.values()],
    lost: () => lost,
    manifest: (agent) => manifests.get(agent),
    lastMove: (agent) => moves.get(agent),
    progress: (agent) => {
      const phase = phases.get(agent)
      return phase === undefined ? undefined : { phase }
    },
    outgoing: (agent) => outgoing.get(agent),
    get count() {
      return hosted.size + births
    },
    events,

    spawn: async (given, owner) => {
      const manifest = parseManifest(given.manifest)
      checkSpawn(given)
      const witness = await chooseWitness(given, manifest)
      // Moving is not asked for here: an agent may start where it could not go.
      checkGuest(options.house(), { ...manifest, migration: { enabled: true, maxPricePerSecond: null, allow: null } })
      if (store.damaged)
        throw new IgorError('STORE_DAMAGED', 'the data of this node was damaged: start agents on a node with a new data folder')
      if (roomOf(options.house()) === 0)
        throw new IgorError('QUOTA', 'this node has no room for another agent: retire or move one, or raise its limit')
      births++
      try {
        return await spawn(given, manifest, witness, owner)
      } finally {
        births--
      }
    },

    move,
    handOver,

    packUp: async (agent, ready, orders) => {
      const one = live(agent)
      // A file is a way to move like any other: the agent's own policy holds.
      const { to, price } = decodeReady(ready).ready
      context.forks.check(to)
      checkMigration(to, price, one.manifest)
      await one.depart(async ({ change }) => {
        const prepared = change === undefined ? undefined : await one.ledger.prepare(change)
        await one.ledger.handoff(ready, orders, prepared)
      })
      ask(one.ledger)
      onchange()
    },

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
            const move: Move = { agent, from, to: context.peer, tick, downtimeMs }
            moves.set(agent, move)
            events(agent).emit({ type: 'moved', move })
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

    releases: () =>
      [...hosted.values()].flatMap(({ ledger, commitment }) => {
        const { witness } = ledger.chain
        const bytes = commitment.release
        return witness === null || bytes === undefined ? [] : [{ agent: ledger.agent, witness, bytes }]
      }),

    farewell: async () => {
      const leaving = [...hosted.values()].filter(({ commitment }) => commitment.witnessed && commitment.left() > 0)
      if (leaving.length === 0) return
      const limit = new AbortController()
      const said = Promise.all(leaving.map(sayFarewell)).catch(() => {})
      await Promise.race([said, clock.sleep(FAREWELL_MS, limit.signal).catch(() => {})])
      limit.abort()
    },

    committed: async (agent) => {
      await beginnings.get(agent)
      const ledger = ledgers.get(agent)
      if (ledger !== undefined) await commitments.get(ledger)?.committed()
    },

    sweep,
    stop: async () => {
      ended.abort()
      await Promise.all([...hosted.values()].map((one) => one.stop()))
      await Promise.all([...commitments.values()].map((one) => one.stop()))
      await Promise.all(asking.values())
      for (const emitter of emitters.values()) emitter.clear()
    },
  }
}

const checkSpawn = (given: SpawnOptions): void => {
  if ((given.init?.length ?? 0) > MAX_INIT)
    throw new IgorError('BAD_INIT', `init has at most ${MAX_INIT} bytes; this one has ${given.init?.length}`)
  if (given.budget !== undefined && (given.budget < 0n || given.budget > MAX_BUDGET)) {
    throw new IgorError('BAD_REQUEST', `a budget is 0 to ${MAX_BUDGET} microcents`)
  }
  const name = given.name?.trim()
  if (
    given.name !== undefined &&
    (name === undefined || name.length === 0 || name !== given.name || plainText(name, MAX_NAME) !== name)
  ) {
    throw new IgorError('BAD_REQUEST', `a name has 1 to ${MAX_NAME} characters, no space around it and no control characters`)
  }
}
