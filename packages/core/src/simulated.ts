/**
 * What a simulator of nodes needs beside the public API: a disk that crashes, threads that are none, and the
 * places in store and wire where it looks at what a node does.
 *
 * @module
 */
export { decodeRow, type Row } from './authority/row.ts'
export { inThreads } from './execution/in-thread.ts'
export { HANDOFF_PROTOCOL } from './handoff/protocol.ts'
export { keys } from './keys.ts'
export { BLOCKS_PROTOCOL } from './protocols/blocks.ts'
export { MESSAGE_PROTOCOL, ORDER_PROTOCOL } from './protocols/order.ts'
export { decodeSaid, encodeSaid, PRESENCE_TOPIC } from './protocols/presence.ts'
export { WATCH_PROTOCOL } from './protocols/watch.ts'
export { WITNESS_PROTOCOL } from './protocols/witness.ts'
export { type CrashOptions, type Disk, makeDisk } from './testing/memory-files.ts'
export { decodeHeadRow, type HeadRow } from './witness/entry.ts'
export { witnessKeys } from './witness/keys.ts'
