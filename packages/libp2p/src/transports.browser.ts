/** What a tab speaks; `transports.ts` is its twin for Node.js. */
import { circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { webRTCDirect } from '@libp2p/webrtc'
import { webSockets } from '@libp2p/websockets'
import type { NetworkOptions } from './options.ts'
import type { PlatformTransports } from './platform.ts'

const DEFAULT_CONNECTIONS = 100

export async function platformTransports({ limits, reserve, iceServers }: NetworkOptions): Promise<PlatformTransports> {
  return {
    transports: [
      webSockets(),
      webRTCDirect({ rtcConfiguration: { iceServers: [...(iceServers ?? [])] as never } }),
      circuitRelayTransport(),
    ],
    listen: (reserve ?? true) ? ['/p2p-circuit'] : [],
    maxConnections: limits?.maxConnections ?? DEFAULT_CONNECTIONS,
  }
}
