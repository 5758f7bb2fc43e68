import type { Libp2pOptions } from 'libp2p'

/** What differs between tabs and servers. */
export interface PlatformTransports {
  readonly transports: NonNullable<Libp2pOptions['transports']>
  readonly listen: string[]
  readonly maxConnections: number
  /** Makes this node a relay. */
  readonly relay?: (components: never) => unknown
}
