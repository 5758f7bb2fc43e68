import { circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import type { Libp2pOptions } from 'libp2p'
import type { Reservations } from './host.ts'
import type { IceServer } from './options.ts'
import type { MakePeerConnection } from './webrtc/upgrade.ts'

type Transports = NonNullable<Libp2pOptions['transports']>

/** What differs between tabs and servers. */
export interface PlatformTransports {
  readonly transports: Transports
  readonly listen: string[]
  readonly maxConnections: number
  readonly makePeerConnection: MakePeerConnection
  /** Lets go of what the platform holds, after libp2p has stopped. */
  readonly release?: () => void
  /** Where the reservations at relays are, once libp2p has started; undefined when none are wanted. */
  readonly reservations: (() => Reservations) | undefined
  /** Makes this node a relay. */
  readonly relay?: (components: never) => unknown
}

export function rtcConfiguration(iceServers: readonly IceServer[] = []): RTCConfiguration {
  // Always given: the default of libp2p asks public STUN servers.
  return { iceServers: iceServers.map((server) => ({ ...server, urls: [server.urls].flat() })) }
}

/** A circuit relay transport whose reservations can be looked at: libp2p does not renew all that are lost. */
export function circuitTransport(): { transport: Transports[number]; reservations: () => Reservations } {
  const make = circuitRelayTransport()
  let made: { reservationStore?: Reservations } | undefined
  return {
    transport: (components) => {
      const transport = make(components as never)
      made = transport as unknown as { reservationStore?: Reservations }
      return transport
    },
    reservations() {
      if (made?.reservationStore === undefined) throw new Error('this version of libp2p keeps its reservations elsewhere')
      return made.reservationStore
    },
  }
}
