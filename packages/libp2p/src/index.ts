/**
 * The Igor `Network` over libp2p, for tabs and servers alike.
 *
 * @module
 */
export { MAX_GOSSIP } from './gossip.ts'
export { createNetwork } from './network.ts'
export type * from './options.ts'
