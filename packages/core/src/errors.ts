/**
 * Every failure that a caller can meet, with a `code` that does not change between versions.
 *
 * @module
 */

export type ErrorCode =
  // bad input
  | 'BAD_MODULE'
  | 'BAD_MANIFEST'
  | 'BAD_INIT'
  | 'BAD_MESSAGE'
  | 'BAD_ORDER'
  | 'BAD_FILE'
  | 'BAD_ADDRESS'
  | 'BAD_REQUEST'
  | 'CAPABILITY_NOT_GRANTED'
  // agents and authority
  | 'UNKNOWN_AGENT'
  | 'NOT_OWNER'
  | 'NOT_AUTHORITATIVE'
  | 'FORBIDDEN_TRANSITION'
  | 'AGENT_HALTED'
  | 'REPLAY_DIFFERS'
  | 'VERSION_UNKNOWN'
  | 'AGENT_EXISTS'
  | 'LEASE_HELD'
  | 'WITNESS_UNREACHABLE'
  | 'AMBIGUOUS_NAME'
  // moving
  | 'HANDOFF_REJECTED'
  | 'HANDOFF_REFUSED'
  | 'HANDOFF_PENDING'
  | 'HANDOFF_FAILED'
  // peers
  | 'UNKNOWN_PEER'
  | 'PEER_UNREACHABLE'
  | 'CHANNEL_FAILED'
  | 'PROTOCOL_VIOLATION'
  | 'QUOTA'
  // the store and the machine
  | 'STORE_CONFLICT'
  | 'STORE_FULL'
  | 'STORE_DAMAGED'
  | 'STORE_CLOSED'
  | 'STORE_VERSION'
  | 'STORE_BUSY'
  | 'HOST_FAULT'
  | 'NODE_STOPPED'
  | 'NODE_REPLACED'

/** Base of all errors of the runtime: branch on `code`, show `message`. */
export class IgorError extends Error {
  readonly code: ErrorCode
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'IgorError'
    this.code = code
  }
}

/** A conditional commit met other values than it expected; nothing was written. */
export class ConflictError extends IgorError {
  readonly keys: readonly string[]
  constructor(keys: readonly string[]) {
    super('STORE_CONFLICT', `nothing was written: ${keys.join(', ')} changed meanwhile`)
    this.name = 'ConflictError'
    this.keys = keys
  }
}

/** The disk or the quota is full; nothing of the batch was written. */
export class StoreFullError extends IgorError {
  constructor(message: string, options?: ErrorOptions) {
    super('STORE_FULL', message, options)
    this.name = 'StoreFullError'
  }
}

/** A stored value is not what was written. */
export class StoreDamagedError extends IgorError {
  /** An intact value that was found, but later ones may have been lost. Of use where it names itself by its hash. */
  readonly older?: Uint8Array
  constructor(message: string, options: ErrorOptions & { older?: Uint8Array } = {}) {
    super('STORE_DAMAGED', message, options)
    this.name = 'StoreDamagedError'
    if (options.older !== undefined) this.older = options.older
  }
}

export class StoreClosedError extends IgorError {
  constructor() {
    super('STORE_CLOSED', 'the store is closed')
    this.name = 'StoreClosedError'
  }
}

/** No connection to a peer within the time allowed. */
export class PeerUnreachableError extends IgorError {
  readonly peer: string
  constructor(peer: string, message: string, options?: ErrorOptions) {
    super('PEER_UNREACHABLE', message, options)
    this.name = 'PeerUnreachableError'
    this.peer = peer
  }
}

/** A channel was reset, or its peer broke the rules of the protocol. */
export class ChannelError extends IgorError {
  readonly peer: string
  constructor(peer: string, message: string, options?: ErrorOptions) {
    super('CHANNEL_FAILED', message, options)
    this.name = 'ChannelError'
    this.peer = peer
  }
}
