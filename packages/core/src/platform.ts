/**
 * What the runtime needs of its platform: six small interfaces. Every implementation passes the
 * acceptance suite of the same name in `@igor/core/testing`.
 *
 * @module
 */

/** Wall time, monotonic time and waiting. */
export interface Clock {
  /** Unix time in nanoseconds. May jump. */
  now(): bigint
  /** Milliseconds since an arbitrary start; never goes back. */
  elapsed(): number
  /**
   * Resolves after `ms` milliseconds (at full rate in a hidden tab too).
   * Rejects with the signal's reason when aborted, leaving no timer behind.
   */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

/** A key that can sign; the private part never leaves the implementation. */
export interface Signer {
  /** Raw Ed25519 public key, 32 bytes. */
  readonly publicKey: Uint8Array
  sign(message: Uint8Array): Promise<Uint8Array>
}

export interface Crypto {
  /** Cryptographically secure random bytes. */
  random(length: number): Uint8Array
  /** SHA-256 of each input, in order. */
  sha256(inputs: readonly Uint8Array[]): Promise<Uint8Array[]>
  /**
   * Ed25519, where the platform is faster than the one implementation that verdicts come from. A yes counts where the
   * key has been seen to be sound; a no is looked at again.
   */
  verify?(message: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): Promise<boolean>
  /** Ed25519 signer of a 32-byte seed (RFC 8032). */
  signer(seed: Uint8Array): Promise<Signer>
}

/** A condition of a commit: the key holds exactly this value, or is absent (`undefined`). */
export type Expectation = readonly [key: string, value: Uint8Array | undefined]

export interface Batch {
  /** Put after `remove`, in order: the last one of a key wins. */
  readonly put?: readonly (readonly [key: string, value: Uint8Array])[]
  readonly remove?: readonly string[]
  /** All must hold, or nothing is written and `ConflictError` names the keys that did not. */
  readonly expect?: readonly Expectation[]
  /** False: may be lost in a crash, but never torn, and never before an earlier batch. Default true; always true with a vital key. */
  readonly durable?: boolean
}

/**
 * Ordered key-value store. Keys are printable ASCII, at most 256 characters; values at most 4 MiB;
 * a batch at most 128 MiB. Keys under `vital/` are *vital*: kept twice, each copy with a
 * checksum, the higher intact one wins; their values are at most 64 KiB.
 *
 * @see ConflictError, StoreFullError, StoreDamagedError, StoreClosedError
 */
export interface Store {
  /** @throws StoreDamagedError when the value is there but not intact. */
  get(key: string): Promise<Uint8Array | undefined>
  /** Keys with this prefix, in order. */
  list(prefix: string): Promise<string[]>
  /** Atomic; when it resolves, a durable batch survives a crash. */
  commit(batch: Batch): Promise<void>
  usage(): Promise<StoreUsage>
  /** True if data that had been made durable was found damaged at opening (design section 6). */
  readonly damaged: boolean
  close(): Promise<void>
}

export interface StoreUsage {
  /** Bytes in use. */
  readonly used: number
  /** Bytes that may be used in all, where the platform tells. */
  readonly quota?: number
  /** True when the platform promised not to evict. */
  readonly persistent: boolean
}

/** The few file operations that the log-structured store stands on. Names are flat, in one folder. */
export interface Files {
  list(): Promise<string[]>
  size(name: string): Promise<number>
  read(name: string, offset: number, length: number): Promise<Uint8Array>
  /**
   * Appends; creates the file if need be. Returns the offset at which the bytes stand.
   *
   * @throws StoreFullError when the disk is full; a part may have been written
   */
  append(name: string, bytes: Uint8Array): Promise<number>
  /** Cuts the file to `length` bytes. */
  truncate(name: string, length: number): Promise<void>
  rename(from: string, to: string): Promise<void>
  remove(name: string): Promise<void>
  /** Makes a file's content durable. */
  sync(name: string): Promise<void>
  /** Makes creations, renames and removals durable. */
  syncDir(): Promise<void>
  usage(): Promise<StoreUsage>
  close(): Promise<void>
}

/** A worker that speaks the protocol of `@igor/core/worker`. */
export interface Thread {
  post(message: unknown, transfer?: readonly ArrayBuffer[]): void
  onmessage: ((message: unknown) => void) | undefined
  /** The thread ended by itself, or could not start. Not called after `terminate`. */
  onexit: ((reason: string) => void) | undefined
  /** Ends it at once, even in an endless loop. */
  terminate(): void
}

export interface Threads {
  /** How many threads this machine runs at once. */
  readonly parallelism: number
  /** Live WebAssembly memories that its engine takes in all threads together. Default: what any browser does. */
  readonly maxLive?: number
  spawn(): Thread
}

/** How a peer is connected. */
export type LinkKind = 'webrtc' | 'websocket' | 'tcp' | 'relayed'

export interface Link {
  readonly peer: string
  /** The best connection to this peer. */
  readonly kind: LinkKind
  /** False when only a relayed connection exists. */
  readonly direct: boolean
  /** Round trip in milliseconds, once measured. */
  readonly rtt?: number
}

/**
 * A bidirectional stream of messages of at most `MAX_FRAME` bytes, with credits: `send` waits while
 * the receiver is behind.
 */
export interface Channel {
  readonly peer: string
  /** False over a relayed connection: small messages only, blocks never. */
  readonly direct: boolean
  send(message: Uint8Array, signal?: AbortSignal): Promise<void>
  /** The next message; `undefined` when the other side has closed. Throws ChannelError on a reset. */
  receive(signal?: AbortSignal): Promise<Uint8Array | undefined>
  /** Says that no more will be sent; what was sent arrives. */
  close(): Promise<void>
  abort(reason: Error): void
}

export interface OpenOptions {
  /** Wait for a connection that is not relayed. */
  readonly direct?: boolean
  readonly signal?: AbortSignal
}

export interface HandleOptions {
  /** Channels of this protocol that one peer may hold open at a time; more are aborted. */
  readonly maxPerPeer: number
}

export interface Network {
  /** This node's peer id. */
  readonly id: string
  /** Addresses under which others can reach this node now. */
  multiaddrs(): string[]
  /** Serves a protocol; the returned function stops serving. The channel is aborted if the handler throws. */
  handle(protocol: string, handler: (channel: Channel) => Promise<void>, options: HandleOptions): () => void
  /**
   * @param target a peer id that is connected or known, or a multiaddr that ends in /p2p/<peer id>
   * @throws PeerUnreachableError within a bounded time
   */
  open(target: string, protocol: string, options?: OpenOptions): Promise<Channel>
  publish(topic: string, message: Uint8Array): Promise<void>
  subscribe(topic: string, handler: (message: Uint8Array, from: string) => void): () => void
  links(): Link[]
  /** Called when `links()` or `multiaddrs()` may have changed. */
  onchange(listener: () => void): () => void
  /** @returns the peer id @throws PeerUnreachableError */
  connect(multiaddr: string, signal?: AbortSignal): Promise<string>
  close(): Promise<void>
}

/** What a node is put together from. */
export interface Platform {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly store: Store
  readonly threads: Threads
  /** Made with the node's key, which is in the store. */
  readonly network: (nodeSeed: Uint8Array) => Promise<Network>
}

/** Bytes of one channel message. Larger things are sent as several. */
export const MAX_FRAME = 1024 * 1024
