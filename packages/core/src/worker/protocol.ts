/**
 * What core and a worker thread say to each other. One `run` carries a batch: many agents, many
 * ticks. Everything is structured-cloneable; large buffers are transferred.
 *
 * @module
 */
import type { View } from '../api.ts'

/** The worker's copy of an agent is named by a number that core chose (never reused). */
export type Place = number

/** The linear memory at a tick boundary, whole. */
export interface Image {
  /** Non-zero 4 KiB chunks: index and bytes. */
  readonly chunks: readonly (readonly [index: number, bytes: Uint8Array])[]
  readonly memoryBytes: number
  readonly globals: readonly Uint8Array[]
  readonly kv: readonly (readonly [key: Uint8Array, value: Uint8Array])[]
}

export type Request =
  /** Instruments and compiles; answers `loaded` or `refused`. The module stays known under `module`. */
  | {
      readonly type: 'load'
      readonly id: number
      readonly module: string
      readonly bytes: Uint8Array
      readonly maxMemoryBytes: number
      readonly granted: readonly string[]
    }
  /** Makes an agent. Without an image: spawns (start export and agent_init run: tick 0). */
  | {
      readonly type: 'place'
      readonly id: number
      readonly place: Place
      readonly module: string
      readonly maxMemoryBytes: number
      readonly granted: readonly string[]
      readonly init: Uint8Array
      readonly image?: Image
      readonly attempt?: Attempt
    }
  | { readonly type: 'run'; readonly id: number; readonly jobs: readonly Job[] }
  /** Chunks that changed while it was copied here: applied to an image that never ran. */
  | { readonly type: 'patch'; readonly id: number; readonly place: Place; readonly image: Image }
  | { readonly type: 'drop'; readonly place: Place }

/** What the ticks of a job may observe. Nothing else reaches the agent. */
export interface Attempt {
  /** Tick number of the first tick. */
  readonly tick: number
  /** Unix ns; fixed during the job. */
  readonly time: bigint
  /** Seed root R of the epoch, 32 bytes; the seed of tick t is SHA-256(utf8('igor/seed/1') ++ R ++ u64le(t)), derived in the worker. */
  readonly root: Uint8Array
  /** Inbox, oldest first. */
  readonly messages: readonly Uint8Array[]
}

export interface Job extends Attempt {
  readonly place: Place
  /** Runs on while `agent_tick` asks for more, up to this many ticks … */
  readonly maxTicks: number
  /** … or this many ms. */
  readonly maxMs: number
}

export type Reply =
  | { readonly type: 'loaded'; readonly id: number; readonly instrument: number }
  | { readonly type: 'refused'; readonly id: number; readonly code: string; readonly message: string }
  /** `delta` is everything, measured against an empty memory, when it was spawned. */
  | { readonly type: 'placed'; readonly id: number; readonly result?: JobResult }
  | { readonly type: 'ran'; readonly id: number; readonly results: readonly JobResult[] }
  | { readonly type: 'patched'; readonly id: number }
  /** The request could not be served (a fault of this host, not of the agent). */
  | { readonly type: 'failed'; readonly id: number; readonly message: string }

export interface JobResult {
  readonly place: Place
  /** Ticks that completed; a trap's own tick is not among them and left no trace in the state. */
  readonly ticks: number
  /** The last completed tick asked for another one soon. */
  readonly more: boolean
  /** How many of the messages were taken. */
  readonly taken: number
  readonly trap?: string
  readonly logs: readonly { readonly tick: number; readonly text: string }[]
  readonly view?: View & { readonly tick: number }
  /** What changed since the last result, at the boundary after the last completed tick. */
  readonly delta: Delta
}

export interface Delta {
  readonly memoryBytes: number
  /** Changed chunks; a chunk that became zero has no bytes and no digest. */
  readonly chunks: readonly (readonly [index: number, bytes: Uint8Array | null, digest: Uint8Array | null])[]
  readonly globals: readonly Uint8Array[]
  /** Whole kv, if it changed. */
  readonly kv?: readonly (readonly [key: Uint8Array, value: Uint8Array])[]
}
