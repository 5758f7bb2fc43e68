/**
 * What of an agent is seen or answered once it is committed: at once where there is no witness, else when a
 * cosigned record binds it (docs/design.md, section 3).
 *
 * @module
 */
import type { Clock } from '../platform.ts'
import type { Commitment } from './commitment.ts'
import type { Ledger } from './ledger.ts'

/** With a witness, what can be seen from elsewhere is bound by a record at least this often. */
const BIND_MS = 1000

export interface Promised {
  readonly keep: () => void
  readonly fail: (error: unknown) => void
}

export interface Outbox {
  /** Waits for a record to be committed by. */
  add(...promised: readonly Promised[]): void
  /** When the head is committed. */
  promise(kept: readonly Promised[]): void
  /** All that waits, when the head is committed. */
  promiseAll(): void
  /** Gives what waits a record that it can be committed by, soon or now. @param hastens somebody waits for it */
  bind(hastens: boolean): Promise<void>
  /** The next `bind` writes one in any case, and has it cosigned soon. */
  bindNext(): void
  /** Milliseconds until it has to be bound; undefined: nothing waits. */
  dueIn(): number | undefined
  fail(error: unknown): void
}

export interface OutboxOptions {
  readonly clock: Clock
  readonly ledger: Ledger
  readonly commitment: Commitment
  readonly isActive: () => boolean
  /** Something was shown or answered. */
  readonly onkept: () => void
}

export const createOutbox = ({ clock, ledger, commitment, isActive, onkept }: OutboxOptions): Outbox => {
  const waiting: Promised[] = []
  // Who watches sees at once that it goes on here.
  let boundAt = clock.elapsed() - BIND_MS
  let bindNow = false

  const promise = (kept: readonly Promised[]): void => {
    if (!commitment.witnessed) for (const one of kept) one.keep()
    else
      commitment.committed().then(
        () => {
          for (const one of kept) one.keep()
          onkept()
        },
        (error) => {
          for (const one of kept) one.fail(error)
        },
      )
  }

  return {
    add: (...promised) => void waiting.push(...promised),
    promise,
    promiseAll: () => promise(waiting.splice(0)),
    bind: async (hastens) => {
      if (!commitment.witnessed || !isActive()) return
      const now = clock.elapsed()
      if (!hastens && !bindNow && (waiting.length === 0 || now - boundAt < BIND_MS)) return
      if (ledger.open) await ledger.seal()
      boundAt = now
      if (bindNow) commitment.hurry()
      bindNow = false
      if (waiting.length > 0) promise(waiting.splice(0))
    },
    bindNext: () => {
      bindNow = true
    },
    dueIn: () => (waiting.length === 0 ? undefined : Math.max(0, boundAt + BIND_MS - clock.elapsed())),
    fail: (error) => {
      for (const one of waiting.splice(0)) one.fail(error)
    },
  }
}
