/** What a tab speaks; `transports.ts` is its twin for Node.js. */
import { webRTCDirect } from '@libp2p/webrtc'
import { webSockets } from '@libp2p/websockets'
import type { NetworkOptions } from './options.ts'
import { circuitTransport, type PlatformTransports, rtcConfiguration } from './platform.ts'
import type { MakePeerConnection } from './webrtc/upgrade.ts'

const DEFAULT_CONNECTIONS = 100

/**
 * Peers hear of a connection that its page closes at once, but of one that goes with its page after
 * 15 s: so the page closes them when it goes.
 */
function closedWithPage(configuration: RTCConfiguration): { make: MakePeerConnection; release: () => void } {
  const connections = new Set<RTCPeerConnection>()
  function closeAll(): void {
    for (const connection of connections) connection.close()
  }
  function release(): void {
    globalThis.removeEventListener?.('pagehide', closeAll)
  }
  return {
    async make() {
      for (const each of connections) if (each.connectionState === 'closed') connections.delete(each)
      const connection = new RTCPeerConnection(configuration)
      connections.add(connection)
      // Anew each time, so that it comes after the listeners of those who still have something to say.
      release()
      globalThis.addEventListener?.('pagehide', closeAll)
      return connection
    },
    release,
  }
}

export async function platformTransports({ limits, reserve, iceServers, webrtc }: NetworkOptions): Promise<PlatformTransports> {
  const configuration = rtcConfiguration(iceServers)
  const circuit = circuitTransport()
  const { make, release } = closedWithPage(configuration)
  const reserves = reserve ?? true
  return {
    transports: [
      webSockets(),
      circuit.transport,
      ...(webrtc === false ? [] : [webRTCDirect({ rtcConfiguration: configuration })]),
    ],
    listen: reserves ? ['/p2p-circuit'] : [],
    maxConnections: limits?.maxConnections ?? DEFAULT_CONNECTIONS,
    makePeerConnection: make,
    release,
    reservations: reserves ? circuit.reservations : undefined,
  }
}
