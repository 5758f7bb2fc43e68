/**
 * Where agents run: what core's node asks of the pool of threads.
 *
 * @module
 */
import type { Version } from '@igor/sandbox'
import type { Attempt, Image, ImagePatch, JobResult, Replayed, ReplayStep } from '../worker/protocol.ts'

export interface ModuleLimits {
  readonly maxMemoryBytes: number
  /** Capabilities, in any order. */
  readonly granted: readonly string[]
  /** By which it runs and pays: that of what is to come out again. Default: the current one. */
  readonly version?: Version
}

/** An agent to be put into a worker: from its image, or (`attempt`) spawned. */
export interface PlaceSpec extends ModuleLimits {
  /** CID; `load` was called for it with the same limits. */
  readonly module: string
  readonly init: Uint8Array
  /** Wall-clock milliseconds that one tick may take. */
  readonly tickMs: number
  readonly image?: Image
  readonly attempt?: Attempt
}

/** An agent in a worker. Once it is lost or dropped it stays so. */
export interface Placed {
  readonly place: number
}

/** What ticks may see and how long they may go on. */
export interface RunSpec extends Attempt {
  /** Ticks on while `agent_tick` asks for more, up to this many … */
  readonly maxTicks: number
  /** … or this many ms … */
  readonly maxMs: number
  /** … or as long as this much fuel pays for another tick. Default: no bound. */
  readonly allowance?: bigint
  /** Whether the result has a delta. Default: not. */
  readonly state?: boolean
  /** In no company: when it hangs, there is no doubt who did it. */
  readonly alone?: boolean
}

export type RunOutcome =
  | { readonly kind: 'ran'; readonly result: JobResult }
  /**
   * Nothing happened and the placement is gone: place the agent again from its last commit.
   * `hung`: this agent's tick did not end. `worker`: the thread was lost, and `suspect` says whether this
   * agent was among those that may have caused it: run it `alone` next time, to know.
   */
  | { readonly kind: 'lost'; readonly reason: 'hung' | 'worker'; readonly suspect: boolean; readonly message: string }

export interface Executor {
  /**
   * Checks, instruments and compiles a module; nothing of it runs.
   * @param bytes called when a thread needs the module, now or later; rejects with what `bytes` rejects with
   * @returns the version of the instrumentation
   * @throws IgorError BAD_MODULE | CAPABILITY_NOT_GRANTED | HOST_FAULT
   */
  load(module: string, bytes: () => Promise<Uint8Array>, limits: ModuleLimits): Promise<{ readonly instrument: number }>
  /**
   * @returns with `result` when it was spawned; its delta is the whole state after tick 0
   * @throws IgorError BAD_MODULE when it fails or does not finish to start, BAD_FILE when the image does not
   *   fit the module, HOST_FAULT when this machine cannot
   */
  place(spec: PlaceSpec): Promise<{ readonly placed: Placed; readonly result?: JobResult }>
  /** At most one run of a placement at a time. */
  run(placed: Placed, spec: RunSpec): Promise<RunOutcome>
  /**
   * Brings an image that has not run here up to date. After an error drop the placement.
   * @throws IgorError BAD_FILE | BAD_REQUEST | HOST_FAULT
   */
  patch(placed: Placed, image: ImagePatch): Promise<void>
  /**
   * Runs what was journaled again; the agent stands after it then. After an error drop the placement.
   * @param inbox of the state it stands at, oldest first
   * @returns as many results as steps, unless one went otherwise: the last one then
   * @throws IgorError HOST_FAULT: this machine cannot
   */
  replay(placed: Placed, inbox: readonly Uint8Array[], steps: readonly ReplayStep[]): Promise<readonly Replayed[]>
  /**
   * One special tick: the agent goes on with another module, `load`ed before with the same limits.
   * @returns with `result`, whose delta is the whole state, or why the old module stays
   * @throws IgorError HOST_FAULT: drop the placement
   */
  upgrade(
    placed: Placed,
    spec: ModuleLimits & { readonly module: string; readonly init: Uint8Array; readonly attempt: Attempt },
  ): Promise<{ readonly result: JobResult } | { readonly failed: string }>
  drop(placed: Placed): void
  /** Ends every thread at once: what runs is lost, what waits rejects with NODE_STOPPED. */
  close(): Promise<void>
}
