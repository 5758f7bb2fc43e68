/**
 * Keeps one connection to each peer, a direct one if there is any, and gossip on it.
 *
 * Two that dial each other at the same moment end up with two connections, and two that met through
 * a relay with a relayed one beside the direct one. libp2p keeps them all; and its gossipsub opens its stream once per peer, not again when the connection below it goes while
 * another stays.
 *
 * @module
 */
import type { Connection, Libp2p, PeerId } from '@libp2p/interface'
import type { Host } from './host.ts'
import { byPreference, isDirect } from './links.ts'

/** Both ends may just have begun to use the one that is to go. */
const GRACE_MS = 3_000
const EVERY_MS = 10_000
/** Streams that libp2p opens by itself: they are no reason to keep a connection. */
const HOUSEKEEPING = ['/ipfs/', '/meshsub/', '/libp2p/']

export interface Tidy {
  close(): void
}

export function keepTidy(libp2p: Libp2p, host: Host, gossipProtocols: readonly string[]): Tidy {
  const self = libp2p.peerId.toString()
  const timers = new Set<ReturnType<typeof setTimeout>>()

  function connections(peer: PeerId): Connection[] {
    return libp2p
      .getConnections(peer)
      .filter(({ status }) => status === 'open')
      .sort(byPreference(self))
  }

  function direct(peer: PeerId): Connection[] {
    return connections(peer).filter(isDirect)
  }

  function closeDuplicates(peer: PeerId): void {
    // One side decides, so that the two do not close one each.
    if (self > peer.toString()) return
    const [best, ...rest] = connections(peer)
    if (best === undefined || !isDirect(best)) return
    for (const connection of rest) {
      const busy = connection.streams.some(({ protocol }) => !HOUSEKEEPING.some((prefix) => protocol.startsWith(prefix)))
      if (!busy) connection.close().catch((error: Error) => connection.abort(error))
    }
  }

  async function mendGossip(peer: PeerId): Promise<void> {
    const [connection] = direct(peer)
    if (connection === undefined) return
    const { protocols } = await libp2p.peerStore.get(peer)
    const protocol = gossipProtocols.find((each) => protocols.includes(each))
    if (protocol === undefined || connection.status !== 'open') return
    // Gossipsub does nothing when it has its stream.
    for (const topology of host.registrar.getTopologies(protocol)) topology.onConnect?.(peer, connection)
  }

  function later(ms: number, action: () => void): void {
    const timer = setTimeout(() => {
      timers.delete(timer)
      action()
    }, ms)
    timers.add(timer)
  }

  function onopen({ detail }: CustomEvent<Connection>): void {
    if (connections(detail.remotePeer).length > 1) later(GRACE_MS, () => closeDuplicates(detail.remotePeer))
  }

  function onclose({ detail }: CustomEvent<Connection>): void {
    // After gossipsub has heard of it.
    if (direct(detail.remotePeer).length > 0) later(0, () => void mendGossip(detail.remotePeer).catch(() => {}))
  }

  const interval = setInterval(() => {
    for (const peer of libp2p.getPeers()) {
      closeDuplicates(peer)
      void mendGossip(peer).catch(() => {})
    }
  }, EVERY_MS)
  libp2p.addEventListener('connection:open', onopen)
  libp2p.addEventListener('connection:close', onclose)

  return {
    close() {
      clearInterval(interval)
      for (const timer of timers) clearTimeout(timer)
      libp2p.removeEventListener('connection:open', onopen)
      libp2p.removeEventListener('connection:close', onclose)
    },
  }
}
