/** What a tab speaks; `transports.ts` is its twin for Node.js. */
import { webRTCDirect } from '@libp2p/webrtc'
import { webSockets } from '@libp2p/websockets'
import type { NetworkOptions } from './options.ts'
import { circuitTransport, type PlatformTransports, rtcConfiguration } from './platform.ts'

const DEFAULT_CONNECTIONS = 100

export async function platformTransports({ limits, reserve, iceServers, webrtc }: NetworkOptions): Promise<PlatformTransports> {
  const configuration = rtcConfiguration(iceServers)
  const circuit = circuitTransport()
  const reserves = reserve ?? true
  return {
    transports: [
      webSockets(),
      circuit.transport,
      ...(webrtc === false ? [] : [webRTCDirect({ rtcConfiguration: configuration })]),
    ],
    listen: reserves ? ['/p2p-circuit'] : [],
    maxConnections: limits?.maxConnections ?? DEFAULT_CONNECTIONS,
    makePeerConnection: async () => new RTCPeerConnection(configuration),
    reservations: reserves ? circuit.reservations : undefined,
  }
}
