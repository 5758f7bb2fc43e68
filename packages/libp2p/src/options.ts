/** How a node takes part in the network. */
export interface NetworkOptions {
  /** 32 bytes: the Ed25519 seed (RFC 8032) of this node's key, from which its peer id follows. */
  readonly seed: Uint8Array
  /** Where to listen; servers only. A port of 0 takes a free one; a port left out is not listened on. */
  readonly listen?: ListenOptions
  /** Multiaddrs to tell others instead of those that the listeners know. */
  readonly announce?: readonly string[]
  /** Multiaddrs of relays, each ending in /p2p/<peer id>: connected to for as long as the node lives. */
  readonly bootstrap?: readonly string[]
  /** STUN and TURN servers. Default none: nobody outside is asked. */
  readonly iceServers?: readonly IceServer[]
  /** False: no WebRTC, which shows peers this machine's addresses; tabs are then met through relays only. Default true. */
  readonly webrtc?: boolean
  /** Ask the relays for an address under which others can reach this node. Default: when it cannot listen. */
  readonly reserve?: boolean
  readonly limits?: NetworkLimits
  /** Told what an operator should know. */
  readonly onwarning?: (warning: NetworkWarning) => void
}

export interface ListenOptions {
  /** IPv4 or IPv6 address; default 127.0.0.1. */
  readonly host?: string
  readonly tcp?: number
  readonly ws?: number
  /** UDP port for WebRTC-direct. */
  readonly webrtc?: number
}

export interface IceServer {
  readonly urls: string | readonly string[]
  readonly username?: string
  readonly credential?: string
}

export interface NetworkLimits {
  /** Connections in all. Default 300 on servers, 100 in tabs. */
  readonly maxConnections?: number
  /** Tabs that this server is a relay to at a time. Default 1024. */
  readonly maxReservations?: number
  /** Bytes over one relayed connection. Default 4 MiB. */
  readonly relayedBytes?: number
  /** How long one relayed connection lasts, in milliseconds. Default 30 min. */
  readonly relayedMs?: number
  /** How long `open` and `connect` may take, in milliseconds. Default 20 s. */
  readonly openMs?: number
}

export interface NetworkWarning {
  /** Stable, e.g. `WEBRTC_MISSING`. */
  readonly code: 'WEBRTC_MISSING' | 'RELAY_LOST' | 'RELAY_REFUSED' | 'HANDLER_FAILED'
  readonly message: string
}
