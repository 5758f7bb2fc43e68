/**
 * What core and a worker thread say to each other. One `run` carries a batch: many agents, many
 * ticks. Everything is structured-cloneable; large buffers are transferred.
 *
 * @module
 */
import type { Version } from '@igor/sandbox'
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

/** Chunks that differ from an image that was placed before; one that became zero has no bytes. */
export interface ImagePatch extends Omit<Image, 'chunks'> {
  readonly chunks: readonly (readonly [index: number, bytes: Uint8Array | null])[]
}

/** What a module was instrumented for: the same bytes may be loaded for several of these. */
export interface ModuleKey {
  /** CID. */
  readonly module: string
  readonly maxMemoryBytes: number
  /** Capabilities, sorted. */
  readonly granted: readonly string[]
  /** Absent: the current one. */
  readonly version?: Version
}

export type Request =
  /** Asked first, once: how many live instances this thread may hold. Answers `ready`. */
  | { readonly type: 'setup'; readonly id: number; readonly live: number }
  /** Instruments and compiles; answers `loaded` or `refused`. The module stays known until `unload`. No part of it runs. */
  | ({ readonly type: 'load'; readonly id: number; readonly bytes: Uint8Array } & ModuleKey)
  /** Makes an agent, from an image or by spawning (start export, `_initialize` or `_start`, `agent_init`: tick 0). */
  | ({
      readonly type: 'place'
      readonly id: number
      readonly place: Place
      readonly init: Uint8Array
      readonly image?: Image
      readonly attempt?: Attempt
    } & ModuleKey)
  /** Jobs in order; answered by one or several `ran`. */
  | { readonly type: 'run'; readonly id: number; readonly jobs: readonly Job[] }
  /** Applied to an image that never ran here; answers `patched` or `refused`. */
  | { readonly type: 'patch'; readonly id: number; readonly place: Place; readonly image: ImagePatch }
  /** Runs what the journal says again, without any of its output; answers `replayed`. */
  | {
      readonly type: 'replay'
      readonly id: number
      readonly place: Place
      /** Inbox where it begins, oldest first. */
      readonly inbox: readonly Uint8Array[]
      readonly steps: readonly ReplayStep[]
    }
  /** Goes on with another module, loaded before: what `agent_checkpoint` says goes to `agent_resume`. Answers `upgraded`. */
  | ({
      readonly type: 'upgrade'
      readonly id: number
      readonly place: Place
      readonly init: Uint8Array
      readonly attempt: Attempt
    } & ModuleKey)
  /** Not answered, nor is `unload`. */
  | { readonly type: 'drop'; readonly place: Place }
  | ({ readonly type: 'unload' } & ModuleKey)

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
  /** Fuel that each tick may use. */
  readonly limit: bigint
  /** Microcents per nominal second. */
  readonly price: bigint
  /** Microcents that are left. */
  readonly balance: bigint
  /** As the journal's header has them. */
  readonly receipts: readonly Uint8Array[]
}

export interface Job extends Attempt {
  readonly place: Place
  /** Runs on while `agent_tick` asks for more, up to this many ticks (none: only the state is wanted) … */
  readonly maxTicks: number
  /** … or this many ms … */
  readonly maxMs: number
  /** … or as long as this much fuel pays for another tick's limit. */
  readonly allowance: bigint
  /** Whether the result has what changed since the state before. */
  readonly state: boolean
}

/** Ticks as they were journaled. */
export interface ReplayStep extends Attempt {
  /** What came into the inbox before it; what was there is not repeated. */
  readonly messages: readonly Uint8Array[]
  readonly ticks: number
  /** That they used, together: who uses more is not run on. */
  readonly fuel: bigint
  /** The tick after them failed. */
  readonly failed: boolean
}

/** How a step went here. */
export interface Replayed {
  readonly ticks: number
  readonly fuel: bigint
  readonly taken: number
  readonly failed: boolean
}

export type Reply =
  | { readonly type: 'ready'; readonly id: number }
  | { readonly type: 'loaded'; readonly id: number; readonly instrument: number }
  | { readonly type: 'refused'; readonly id: number; readonly code: string; readonly message: string }
  /** `delta` is everything, measured against an empty memory, when it was spawned. */
  | { readonly type: 'placed'; readonly id: number; readonly result?: JobResult }
  /**
   * The next results, in the order of the jobs; more follow until `done`. Long batches report on the way (an
   * empty list is a sign of life), so that a hang costs neighbours little and is noticed soon.
   */
  | { readonly type: 'ran'; readonly id: number; readonly results: readonly JobResult[]; readonly done: boolean }
  | { readonly type: 'patched'; readonly id: number }
  /** Up to and with the first step that went otherwise than it says. */
  | { readonly type: 'replayed'; readonly id: number; readonly results: readonly Replayed[] }
  /** Where it failed the old module stays, as it was. Else the result's delta is everything, measured against an empty memory. */
  | { readonly type: 'upgraded'; readonly id: number; readonly failed: string }
  | { readonly type: 'upgraded'; readonly id: number; readonly failed: null; readonly result: JobResult }
  /** The request could not be served (a fault of this host, not of the agent). */
  | { readonly type: 'failed'; readonly id: number; readonly message: string }

export interface JobResult {
  readonly place: Place
  /** Ticks that completed; a trap's own tick is not among them and left no trace in the state. A spawn says 0. */
  readonly ticks: number
  /** The last completed tick asked for another one soon. */
  readonly more: boolean
  /** How many of the messages were taken. */
  readonly taken: number
  /** That the completed ticks used, together. */
  readonly fuel: bigint
  /** Length of the memory at the boundary after them. */
  readonly memoryBytes: number
  /** Why the tick after the completed ones failed: the agent's fault. For people: engines word it differently. */
  readonly trap?: string
  /** What that tick logged before it failed, at most 20 lines, to tell its author; no part of the log. */
  readonly lastWords?: readonly string[]
  /** Why this host could not go on (no memory for an instance): nobody's failure, try again or elsewhere. */
  readonly fault?: string
  /** Milliseconds that the longest tick took. */
  readonly longestMs: number
  /** When the first tick began and the last one ended, ms, by the thread's clock (see `Tools.now`). */
  readonly startedAt: number
  readonly endedAt: number
  readonly logs: readonly { readonly tick: number; readonly text: string }[]
  readonly view?: View & { readonly tick: number }
  /** What changed since the state before, at the boundary after the last completed tick; when it was asked for. */
  readonly delta?: Delta
}

export interface Delta {
  readonly memoryBytes: number
  /** Changed chunks; a chunk that became zero has no bytes and no digest. */
  readonly chunks: readonly (readonly [index: number, bytes: Uint8Array | null, digest: Uint8Array | null])[]
  readonly globals: readonly Uint8Array[]
  /** Whole kv, if it changed. */
  readonly kv?: readonly (readonly [key: Uint8Array, value: Uint8Array])[]
}
