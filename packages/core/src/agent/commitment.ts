/**
 * What an agent's loop asks of whoever has its records cosigned.
 *
 * @module
 */

/** When what an agent did may be acted on, and until when it may go on. */
export interface Commitment {
  /** What is durable here is committed only when a cosigned record binds it. */
  readonly witnessed: boolean
  /** Milliseconds that it may tick on for now; 0: it stands still. */
  left(): number
  /** Why it stands still; undefined: it does not. */
  readonly why: string | undefined
  /**
   * Resolves when the record that is the head now is committed.
   * @throws IgorError NOT_AUTHORITATIVE when it was refused for good, or NODE_STOPPED
   */
  committed(): Promise<void>
  /** Has the head cosigned soon, though nobody waits for it. */
  hurry(): void
  /** Signed beforehand: says that the holder goes. */
  readonly release: Uint8Array | undefined
  stop(): Promise<void>
}

/** Of an agent without a witness: what is durable is committed. */
export const ALONE: Commitment = {
  witnessed: false,
  left: () => Number.POSITIVE_INFINITY,
  why: undefined,
  committed: async () => {},
  hurry: () => {},
  release: undefined,
  stop: async () => {},
}
