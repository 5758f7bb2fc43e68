import type { Connection, PeerId, Topology, Upgrader } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

/** The parts of libp2p that are not on its face: what libp2p hands to services and transports. */
export interface Host {
  readonly upgrader: Upgrader
  readonly registrar: { getTopologies(protocol: string): Topology[] }
  /** Dials one address now. libp2p's own `dial` joins all dials to a peer into one queue, one address after the other. */
  readonly transportManager: { dial(address: Multiaddr, options: { signal: AbortSignal }): Promise<Connection> }
}

/** Where a circuit relay transport keeps its reservations. */
export interface Reservations {
  hasReservation(peer: PeerId): boolean
  addRelay(peer: PeerId, type: 'discovered'): Promise<unknown>
}

/** A libp2p service that does nothing but hand out what services get. */
export function hostService(components: Host): { readonly host: Host } {
  return { host: components }
}
