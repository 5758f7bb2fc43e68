/**
 * The node: the one place where the parts are put together.
 *
 * @module
 */

import type { Context, Forks } from '../agent/context.ts'
import { DEFAULT_KEEP } from '../agent/retention.ts'
import { createTimetable } from '../agent/timetable.ts'
import { openTurns } from '../agent/turns.ts'
import type { Node, NodeEvent, NodeOptions } from '../api.ts'
import type { Links } from '../authority/witness.ts'
import { IgorError } from '../errors.ts'
import { createExecutor } from '../execution/pool.ts'
import { createArrivals } from '../handoff/arrivals.ts'
import type { Inbound } from '../handoff/inbound.ts'
import { checkHouse, roomOf } from '../handoff/policy.ts'
import { HANDOFF_PROTOCOL } from '../handoff/protocol.ts'
import { openIdentity, type Residence, settleIdentity } from '../identity.ts'
import { nodeNameOf } from '../names.ts'
import type { Platform } from '../platform.ts'
import { BLOCKS_PROTOCOL, serveBlocks } from '../protocols/blocks.ts'
import { MESSAGE_PROTOCOL, ORDER_PROTOCOL, serveMessages, serveOrders } from '../protocols/order.ts'
import { MAX_SAID_AGENTS, type Said, type SaidAgent } from '../protocols/presence.ts'
import { serveWatch, WATCH_PROTOCOL } from '../protocols/watch.ts'
import { WITNESS_PROTOCOL } from '../protocols/witness.ts'
import { createTrust } from '../replay/trust.ts'
import { withJudge } from '../replay/verify.ts'
import { fenceStore } from '../store/boot-fence.ts'
import { checkVersion } from '../versions.ts'
import { witnessAccess } from '../witness/keeper.ts'
import { createLinks } from '../witness/links.ts'
import type { WitnessOffice } from '../witness/office.ts'
import { createAccess } from './access.ts'
import { createComebacks } from './comebacks.ts'
import { createEmitter } from './emitter.ts'
import type { openForks } from './forks.ts'
import { createHandle } from './handle.ts'
import type { Handles } from './handles.ts'
import { listenTo } from './listen.ts'
import { findAgent, findPeer, isDid } from './lookup.ts'
import { createMeetings } from './meetings.ts'
import { obey } from './obey.ts'
import { openOwner } from './owner.ts'
import { openPeers } from './peers.ts'
import { createHostProver } from './proof-of-host.ts'
import { requestReady, signReady } from './readies.ts'
import { openResidents } from './residents.ts'
import { listOwn, listStatuses, statusOf } from './statuses.ts'
import { createUpgrades } from './upgrades.ts'

/** Listeners hear of changes at most this often. */
const TELL_MS = 100
/** Channels of one protocol that a peer may hold open: pages watch every agent in sight. */
const MAX_WATCHES = 128
const MAX_CHANNELS = 16
/** Events kept until somebody listens. */
const MAX_EARLY = 100

export interface CoreNodeOptions extends NodeOptions {
  readonly residence?: Residence
  /** Looks for proofs of forks. Default: nobody does, as in a page, where every KiB is loaded. */
  readonly forks?: typeof openForks
  /** Another start of the same slot has taken its place: nothing that this one does counts any more. */
  readonly onreplaced?: () => void
  /** What serves the witness that `witness` asks for. */
  readonly office?: WitnessOffice
}

const nothing = async (): Promise<void> => {}
const blind: Forks = {
  convicts: () => false,
  check: () => {},
  compare: nothing,
  shown: nothing,
  greet: () => {},
  contradicts: () => false,
  list: async () => [],
  close: () => {},
}

/** Puts a node together from its platform. It owns the store and the network, and closes them when it stops. */
export const createCoreNode = async (platform: Platform, options: CoreNodeOptions): Promise<Node> => {
  const { clock, crypto } = platform
  const { policy = {}, slot = 'main', kind } = options
  // First of all: a store of a newer version is left as it is.
  const identity = await openIdentity(platform.store, crypto, slot, options.residence)
  const store = await fenceStore(platform.store, crypto, slot, () => {
    report({ level: 'error', code: 'NODE_REPLACED', message: `another start of this node (${slot}) has taken its place` })
    options.onreplaced?.()
  })
  const owner = await openOwner(store, crypto)
  const signer = await crypto.signer(identity.seed)
  const network = await platform.network(identity.seed)
  const ended = new AbortController()
  const changes = createEmitter<void>()
  const events = createEmitter<NodeEvent>()
  // What happens while the node starts is kept for the first who listens.
  const early: NodeEvent[] = []
  const report = (event: NodeEvent): void => {
    if (events.size === 0 && early.length < MAX_EARLY) early.push(event)
    events.emit(event)
  }
  const place = {
    clock,
    crypto,
    store,
    peer: network.id,
    sign: (message: Uint8Array) => signer.sign(message),
    incarnation: identity.incarnation,
  }
  const forks = (await options.forks?.({ clock, store, network, peer: network.id, signal: ended.signal, report })) ?? blind
  const witnessOptions = options.witness === true ? {} : options.witness
  const { office } = options
  if (witnessOptions && office === undefined)
    throw new IgorError('BAD_REQUEST', 'this node was made without what serves a witness (witnessOffice)')
  const service = witnessOptions ? await office?.open(place, witnessOptions, forks.shown) : undefined
  const serving = service === undefined ? undefined : { service, access: witnessAccess(() => keeper) }
  const { version } = options
  if (version !== undefined) checkVersion(version, 'agents here')
  const context: Context = {
    ...place,
    turns: await openTurns(store, slot),
    timetable: createTimetable(clock, ended.signal),
    network,
    get links() {
      return links
    },
    fence: new TextEncoder().encode(slot),
    price: policy.price ?? 0n,
    keep: policy.keep === 'all' ? Number.POSITIVE_INFINITY : Math.max(1, policy.keep ?? DEFAULT_KEEP),
    ...(version === undefined ? {} : { version }),
    forks,
    verified: new Set(),
    signal: ended.signal,
    report,
  }
  const links: Links = createLinks({ context, own: serving, servers: (witness) => peers?.servers(witness) ?? [] })
  const name = options.name ?? nodeNameOf(network.id)
  const executor = createExecutor(platform.threads, clock, version === undefined ? {} : { version })

  let telling = false
  let stopping = false
  const tell = (): void => {
    if (telling || ended.signal.aborted) return
    telling = true
    clock.sleep(TELL_MS, ended.signal).then(
      () => {
        telling = false
        changes.emit()
      },
      () => {},
    )
  }
  /** Others are told as well. */
  const changed = (): void => {
    peers?.changed()
    tell()
  }

  const house = () => ({ peer: network.id, policy, hosted: residents.count + (arrivals?.count ?? 0), damaged: store.damaged })
  let peers: ReturnType<typeof openPeers> | undefined
  let arrivals: ReturnType<typeof createArrivals> | undefined
  if (store.damaged) {
    report({
      level: 'error',
      code: 'STORE_DAMAGED',
      message:
        'the data of this node was damaged: agents whose data is whole go on, the others are halted. Move them away, and start this node with a new data folder',
    })
  }
  const residents = await openResidents({
    context,
    executor,
    displaced: identity.displaced,
    house: () => house(),
    onchange: changed,
    onticked: tell,
  })
  if (identity.displaced) await settleIdentity(store, slot)

  const sayAgents = (): SaidAgent[] =>
    // Ten thousand are looked at for nothing where gossip carries two hundred.
    listOwn(sources, MAX_SAID_AGENTS).map((one) => ({
      agent: one.agent,
      name: one.public ? one.name : '',
      state: one.state,
      tick: one.tick,
      epoch: one.epoch,
      seq: one.seq,
      head: one.head,
      public: one.public,
      // Of one without a witness everything is committed, and there is no lease.
      ...(one.leaseMs === undefined || one.committed === undefined ? {} : { committed: one.committed, leaseMs: one.leaseMs }),
    }))
  const self = (): Omit<Said, 'peer' | 'leaving'> => ({
    name,
    kind,
    price: context.price,
    room: roomOf(house()),
    ...(service === undefined ? {} : { witness: service.id }),
    addresses: network.multiaddrs(),
    agents: sayAgents(),
  })
  const heard = openPeers(context, self, (said) => {
    if (said !== undefined) {
      forks.greet(said.peer)
      meetings.heard(said)
    }
    // Nothing that this node says of itself: answering each word with another would never end.
    tell()
  })
  peers = heard
  const sources = { peer: network.id, residents, peers: heard, owner }
  const statuses = () => listStatuses(sources)
  const meetings = createMeetings({ context, residents, owner, onchange: changed })
  const upgrades = createUpgrades(context, executor)
  const access = createAccess({ context, residents, service, upgrades })

  const trust = createTrust(network.id)
  const inbound: Inbound = {
    judge: (task) => withJudge(platform, task),
    context,
    executor,
    house,
    ledger: residents.ledger,
    reconcile: residents.reconcile,
    arrived: residents.arrived,
    committed: residents.committed,
    trust,
    halt: residents.halt,
    sweep: residents.sweep,
    readyForFile: async (peer) => {
      forks.check(peer)
      checkHouse(house(), peer)
      return signReady(context)
    },
  }
  arrivals = createArrivals(inbound)
  const keeper =
    service === undefined || office === undefined
      ? undefined
      : office.keep({
          context,
          service,
          shared: witnessOptions !== false && witnessOptions?.shared !== undefined,
          inbound,
          peers: () => heard.list(),
          isOwner: access.isOwner,
        })

  const known = (agent: string) => {
    const found = statusOf(sources, agent)
    if (found === undefined) throw new IgorError('UNKNOWN_AGENT', `no node in sight hosts ${agent}`)
    return found
  }

  /** Makes sure that a peer that was only heard of can be opened a channel to. */
  const reachable = async (peer: string): Promise<string> => {
    if (network.links().some((link) => link.peer === peer && link.direct)) return peer
    for (const address of heard.addresses(peer)) {
      const connected = await network.connect(address, ended.signal).catch(() => undefined)
      if (connected === peer) break
    }
    return peer
  }

  const apply: Handles['apply'] = (order, from?: string) =>
    obey({ context, residents, upgrades, reachable, signal: ended.signal }, order, from)
  const listen: Handles['listen'] = (agent, listener) =>
    listenTo({ residents, changes, status: (one) => statusOf(sources, one) }, agent, listener)
  const find = (nameOrId: string): string => findAgent(statuses(), nameOrId)

  const deliver = async (agent: string, id: Uint8Array, message: Uint8Array): Promise<void> => {
    const hosted = residents.hosted(agent)
    if (hosted === undefined) throw new IgorError('NOT_AUTHORITATIVE', `${agent} does not live here`)
    if (!hosted.manifest.capabilities.has('inbox'))
      throw new IgorError('BAD_MESSAGE', `${agent} has no inbox: its manifest does not ask for one`)
    await hosted.deliver(id, message)
  }

  const resolve = async (peer: string, signal?: AbortSignal): Promise<string> => {
    if (peer.endsWith(`/p2p/${network.id}`)) return network.id
    if (peer.startsWith('/')) return network.connect(peer, signal)
    return findPeer({ id: network.id, name }, heard.list(), peer)
  }

  const handles: Handles = {
    context,
    residents,
    owner,
    hosts: createHostProver(context, heard.distrust),
    status: known,
    apply,
    upgrades,
    deliver,
    resolve,
    witnessOf: (peer) => (peer === network.id ? service?.id : heard.said().find((said) => said.peer === peer)?.witness) ?? peer,
    requestReady: async (peer, signal) => requestReady(context, await resolve(peer, signal), signal),
    listen,
    onchange: (listener) => changes.on(listener),
    judge: (task) => withJudge(platform, task),
  }

  const stops = [
    network.handle(HANDOFF_PROTOCOL, (channel) => arrivals.handle(channel), { maxPerPeer: MAX_CHANNELS }),
    network.handle(BLOCKS_PROTOCOL, serveBlocks(context, access.blocks), { maxPerPeer: MAX_CHANNELS }),
    network.handle(ORDER_PROTOCOL, serveOrders(context, apply), { maxPerPeer: MAX_CHANNELS }),
    network.handle(MESSAGE_PROTOCOL, serveMessages(context, deliver), { maxPerPeer: MAX_CHANNELS }),
    network.handle(
      WATCH_PROTOCOL,
      serveWatch(context, (agent, peer, proof, listener) => {
        access.checkWatcher(agent, peer, proof)
        return listen(agent, listener)
      }),
      { maxPerPeer: MAX_WATCHES },
    ),
  ]

  if (serving !== undefined && office !== undefined)
    stops.push(
      network.handle(WITNESS_PROTOCOL, office.serve(context, serving.service, serving.access), { maxPerPeer: MAX_CHANNELS }),
    )

  const comebacks = createComebacks({ handles, executor, policy, house, service, heard, onchange: changed })

  heard.start()
  keeper?.start()

  return {
    id: network.id,
    name,
    get multiaddrs() {
      return network.multiaddrs()
    },
    witness: service?.id,
    spawn: async (given) => createHandle((await residents.spawn(given, owner)).agent, handles),
    import: async (file, given = {}) => {
      if (given.key !== undefined) await owner.add(given.key)
      return comebacks.import(file, given)
    },
    agent: (nameOrId) => createHandle(find(nameOrId), handles),
    recover: async (nameOrId, given) =>
      comebacks.recover(given?.witness != null && isDid(nameOrId) ? nameOrId : find(nameOrId), given),
    handOver: async (peer, given = {}) => {
      const to = await reachable(await resolve(peer, given.signal))
      if (to === network.id) throw new IgorError('BAD_REQUEST', 'an agent is handed over to another node')
      return residents.handOver(to, given.signal)
    },
    agents: statuses,
    peers: () => heard.list().map((peer) => (forks.convicts(peer.id) ? { ...peer, forked: true } : peer)),
    proofs: forks.list,
    connect: (multiaddr, given = {}) => network.connect(multiaddr, given.signal),
    ready: () => signReady(context),
    exportKeys: async () => owner.seeds(),
    importKey: async (seed) => {
      await owner.add(seed)
      changed()
    },
    releases: () => residents.releases(),
    farewell: () => {
      for (const { witness, bytes } of residents.releases())
        links.to(witness, []).then(
          (link) => link.release(bytes),
          () => {},
        )
    },
    release: async (words) => {
      if (service !== undefined) return service.release(words)
      throw new IgorError('BAD_REQUEST', 'this node serves no witness: bring last words to one that does')
    },
    usage: () => store.usage(),
    onchange: (listener) => changes.on(listener),
    onevent: (listener) => {
      const missed = early.splice(0)
      void Promise.resolve().then(() => {
        for (const event of missed) listener(event)
      })
      return events.on(listener)
    },
    stop: async () => {
      if (stopping) return
      stopping = true
      for (const stop of [...stops, forks.close]) stop()
      await residents.farewell()
      ended.abort(new IgorError('NODE_STOPPED', 'this node is stopping'))
      await residents.stop()
      await keeper?.stop()
      await links.close()
      await heard.close()
      await executor.close()
      await network.close()
      await store.close()
      changes.clear()
      events.clear()
    },
  }
}
