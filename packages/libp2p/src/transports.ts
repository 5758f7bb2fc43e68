/** What a Node.js process speaks; `transports.browser.ts` is its twin for tabs. */
import { circuitRelayServer } from '@libp2p/circuit-relay-v2'
import { tcp } from '@libp2p/tcp'
import { webSockets } from '@libp2p/websockets'
import type { NetworkOptions, NetworkWarning } from './options.ts'
import { circuitTransport, type PlatformTransports, rtcConfiguration } from './platform.ts'

const DEFAULT_HOST = '127.0.0.1'
const DEFAULT_CONNECTIONS = 300
/** libp2p's own default of 15 is used up by a class of pupils. */
const DEFAULT_RESERVATIONS = 1024
/** Tabs renew after two thirds; those that were closed make room after this. */
const RESERVATION_TTL_MS = 30 * 60_000
const DEFAULT_RELAYED_BYTES = 4 * 1024 * 1024
const DEFAULT_RELAYED_MS = 30 * 60_000

export async function platformTransports(
  { listen, limits, reserve, iceServers }: NetworkOptions,
  warn: (warning: NetworkWarning) => void,
): Promise<PlatformTransports> {
  const configuration = rtcConfiguration(iceServers)
  const circuit = circuitTransport()
  const transports: PlatformTransports['transports'] = [tcp(), webSockets(), circuit.transport]
  const addresses: string[] = []
  const host = listen?.host ?? DEFAULT_HOST
  const ip = `/${host.includes(':') ? 'ip6' : 'ip4'}/${host}`
  if (listen?.tcp !== undefined) addresses.push(`${ip}/tcp/${listen.tcp}`)
  if (listen?.ws !== undefined) addresses.push(`${ip}/tcp/${listen.ws}/ws`)
  if (listen?.webrtc !== undefined) {
    try {
      // Its native part is missing on some machines, and then the import fails.
      const { webRTCDirect } = await import('@libp2p/webrtc')
      transports.push(webRTCDirect({ rtcConfiguration: configuration }))
      addresses.push(`${ip}/udp/${listen.webrtc}/webrtc-direct`)
    } catch (error) {
      warn({
        code: 'WEBRTC_MISSING',
        message: `WebRTC is not available here (${(error as Error).message}): tabs reach this node over WebSocket only`,
      })
    }
  }
  const listens = addresses.length > 0
  const reserves = reserve ?? !listens
  if (reserves) addresses.push('/p2p-circuit')
  return {
    transports,
    listen: addresses,
    maxConnections: limits?.maxConnections ?? DEFAULT_CONNECTIONS,
    async makePeerConnection() {
      const { RTCPeerConnection } = await import('node-datachannel/polyfill')
      return new RTCPeerConnection(configuration as never) as unknown as globalThis.RTCPeerConnection
    },
    reservations: reserves ? circuit.reservations : undefined,
    ...(listens && {
      relay: circuitRelayServer({
        maxInboundHopStreams: DEFAULT_RESERVATIONS,
        maxOutboundStopStreams: DEFAULT_RESERVATIONS,
        reservations: {
          maxReservations: limits?.maxReservations ?? DEFAULT_RESERVATIONS,
          reservationTtl: RESERVATION_TTL_MS,
          // A limit is what marks a connection as relayed; without one it would look direct.
          applyDefaultLimit: true,
          defaultDataLimit: BigInt(limits?.relayedBytes ?? DEFAULT_RELAYED_BYTES),
          defaultDurationLimit: limits?.relayedMs ?? DEFAULT_RELAYED_MS,
        },
      }),
    }),
  }
}
