/**
 * Finding a way to a peer.
 *
 * @module
 */
import { type Channel, ChannelError, IgorError, type OpenOptions, PeerUnreachableError } from '@igor/core'
import type { Connection, Libp2p, PeerId } from '@libp2p/interface'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { isRelayed, parseMultiaddr, parsePeer, peerOf, withoutWebRTC } from './addresses.ts'
import { createChannel } from './channel.ts'
import type { Host } from './host.ts'
import { isDirect, type Links } from './links.ts'
import { MAX_STREAMS } from './serve.ts'
import { limited, raced, reasonOf, staggered } from './signals.ts'
import type { Upgrades } from './webrtc/upgrade.ts'

/** Longer than a WebRTC handshake that has to be tried twice. */
const DEFAULT_OPEN_MS = 20_000
/** A dial to one address takes a few round trips. */
const ADDRESS_MS = 6_000
/** When to try the next way while one has not answered. */
const STAGGER_MS = 500
/** Addresses of one peer to try. */
const MAX_ADDRESSES = 12
const HOP_PROTOCOL = '/libp2p/circuit/relay/0.2.0/hop'

export interface Dialer {
  open(target: string, protocol: string, options?: OpenOptions): Promise<Channel>
  connect(address: string, signal?: AbortSignal): Promise<string>
  /** Dials this address and no other, unless its peer is connected already. */
  dial(address: Multiaddr, signal: AbortSignal): Promise<PeerId>
  close(): void
}

interface Target {
  readonly peer: PeerId
  readonly address?: Multiaddr
}

type Attempt = (signal: AbortSignal) => Promise<Connection>

function parseTarget(target: string): Target {
  if (!target.startsWith('/')) return { peer: parsePeer(target) }
  const address = parseMultiaddr(target)
  const peer = peerOf(address)
  if (peer === undefined) throw new IgorError('BAD_ADDRESS', `${target} does not end in /p2p/ and a peer id`)
  return { peer, address: withoutWebRTC(address) }
}

export function createDialer(
  libp2p: Libp2p,
  host: Host,
  links: Links,
  upgrades: Upgrades | undefined,
  openMs = DEFAULT_OPEN_MS,
): Dialer {
  const self = libp2p.peerId.toString()
  const stop = new AbortController()
  const underway = new Map<string, Promise<Connection>>()

  async function dial(address: Multiaddr, signal: AbortSignal): Promise<Connection> {
    return await limited(ADDRESS_MS, signal, (limit) => host.transportManager.dial(address, { signal: limit }))
  }

  /** The peer's addresses, as far as they are known: first the given one, no relayed ones through relays that we are not connected to. */
  async function addresses({ peer, address }: Target): Promise<{ direct: Multiaddr[]; relayed: Multiaddr[] }> {
    const known = address === undefined ? [] : [address]
    try {
      known.push(...(await libp2p.peerStore.get(peer)).addresses.map(({ multiaddr }) => withoutWebRTC(multiaddr)))
    } catch {
      // Never met.
    }
    for (const relay of await relays()) known.push(multiaddr(`/p2p/${relay}/p2p-circuit`))
    const seen = new Set<string>()
    const direct: Multiaddr[] = []
    const relayed: Multiaddr[] = []
    for (const candidate of known) {
      const whole = peerOf(candidate) === undefined ? candidate.encapsulate(`/p2p/${peer}`) : candidate
      // Two addresses of one relay are one way.
      const key = isRelayed(whole) ? whole.toString().replace(/^.*(?=\/p2p\/[^/]+\/p2p-circuit)/, '') : whole.toString()
      if (seen.has(key) || seen.size >= MAX_ADDRESSES) continue
      seen.add(key)
      ;(isRelayed(whole) ? relayed : direct).push(whole)
    }
    return { direct, relayed }
  }

  /** Peers that we are connected to, directly, and that say they are relays. */
  async function relays(): Promise<PeerId[]> {
    const found: PeerId[] = []
    for (const peer of libp2p.getPeers()) {
      if (links.best(peer.toString(), true) === undefined) continue
      const { protocols } = await libp2p.peerStore.get(peer).catch(() => ({ protocols: [] as string[] }))
      if (protocols.includes(HOP_PROTOCOL)) found.push(peer)
    }
    return found
  }

  async function reach(target: Target, direct: boolean, signal: AbortSignal): Promise<Connection> {
    const peer = target.peer.toString()
    const ways = await addresses(target)
    const failures: string[] = []
    const trying = (what: string, attempt: Attempt): Attempt => {
      return async (stop) => {
        try {
          return links.best(peer, direct) ?? (await attempt(stop))
        } catch (error) {
          failures.push(`${what}: ${reasonOf(error)}`)
          throw error
        }
      }
    }
    const throughRelay: Attempt = async (stop) => {
      const existing = links.best(peer, false)
      if (existing !== undefined) return existing
      if (ways.relayed.length === 0) throw new Error('no relay knows it')
      return await staggered(
        ways.relayed.map((address) => trying(address.toString(), (limit) => dial(address, limit))),
        STAGGER_MS,
        stop,
      )
    }
    const attempts = ways.direct.map((address) => trying(address.toString(), (stop) => dial(address, stop)))
    if (!direct) attempts.push(throughRelay)
    else if (upgrades !== undefined) attempts.push(trying('WebRTC', (stop) => upgrades.upgrade(target.peer, throughRelay, stop)))
    try {
      return await staggered(attempts, STAGGER_MS, signal)
    } catch (error) {
      const found = links.best(peer, direct)
      if (found !== undefined) return found
      const tried = failures.length > 0 ? failures.join('; ') : 'none of its addresses is known'
      throw new PeerUnreachableError(peer, `no ${direct ? 'direct ' : ''}connection to ${peer} (${tried})`, { cause: error })
    }
  }

  /** One search at a time for each peer; all who wait for it share the outcome. */
  async function connectionTo(target: Target, direct: boolean, signal: AbortSignal): Promise<Connection> {
    const peer = target.peer.toString()
    if (peer === self) throw new PeerUnreachableError(peer, `${peer} is this node itself`)
    const existing = links.best(peer, direct)
    if (existing !== undefined) return existing
    const key = `${peer} ${direct} ${target.address ?? ''}`
    let search = underway.get(key)
    if (search === undefined) {
      search = limited(openMs, stop.signal, (limit) => reach(target, direct, limit)).finally(() => underway.delete(key))
      search.catch(() => {})
      underway.set(key, search)
    }
    return await raced(search, signal)
  }

  /** Runs within the time allowed for all. */
  async function within<T>(peer: string, signal: AbortSignal | undefined, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    signal?.throwIfAborted()
    try {
      return await limited(openMs, signal ?? stop.signal, run)
    } catch (error) {
      signal?.throwIfAborted()
      if (error instanceof IgorError) throw error
      throw new PeerUnreachableError(peer, `${peer} cannot be reached: ${reasonOf(error)}`, { cause: error })
    }
  }

  async function openOn(connection: Connection, protocol: string, signal: AbortSignal): Promise<Channel> {
    const peer = connection.remotePeer.toString()
    try {
      const stream = await connection.newStream(protocol, {
        signal,
        runOnLimitedConnection: true,
        maxOutboundStreams: MAX_STREAMS,
      })
      return createChannel(stream, { peer, protocol, direct: isDirect(connection) })
    } catch (error) {
      signal.throwIfAborted()
      const unknown = (error as Error).name === 'UnsupportedProtocolError'
      throw new ChannelError(
        peer,
        unknown
          ? `${peer} does not serve ${protocol}: it may run another version`
          : `could not open ${protocol} with ${peer}: ${reasonOf(error)}`,
        { cause: error },
      )
    }
  }

  return {
    async open(text, protocol, { direct = false, signal } = {}) {
      const target = parseTarget(text)
      return await within(target.peer.toString(), signal, async (limit) => {
        const connection = await connectionTo(target, direct, limit)
        try {
          return await openOn(connection, protocol, limit)
        } catch (error) {
          // A connection that broke at this moment is not the end: there may be another.
          if (connection.status === 'open' || limit.aborted) throw error
          return await openOn(await connectionTo(target, direct, limit), protocol, limit)
        }
      })
    },
    async connect(text, signal) {
      const address = withoutWebRTC(parseMultiaddr(text))
      const peer = peerOf(address)
      return await within(peer?.toString() ?? text, signal, async (limit) => {
        if (peer !== undefined) return (await connectionTo({ peer, address }, false, limit)).remotePeer.toString()
        try {
          return (await dial(address, limit)).remotePeer.toString()
        } catch (error) {
          limit.throwIfAborted()
          throw new PeerUnreachableError(text, `nobody answers at ${text}: ${reasonOf(error)}`, { cause: error })
        }
      })
    },
    async dial(address, signal) {
      const peer = peerOf(address)
      const existing = peer && links.best(peer.toString(), true)
      return (existing ?? (await dial(address, signal))).remotePeer
    },
    close() {
      stop.abort(new IgorError('NODE_STOPPED', 'the network of this node is closed'))
    },
  }
}
