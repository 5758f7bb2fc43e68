/**
 * When what an agent did may be acted on, whether it has a witness or none (docs/design.md, section 3).
 *
 * @module
 */
import { ALONE, type Commitment } from '../agent/commitment.ts'
import { type HolderOptions, holdLease } from './holder.ts'

/** Of an agent that may get a witness, or lose its own, while it lives here. */
export const committing = (options: HolderOptions): Commitment => {
  let holder: Commitment | undefined
  let stopped = false
  const now = (): Commitment => {
    const { witness, changing } = options.ledger.chain
    if (witness !== null || changing !== null) {
      if (!stopped) holder ??= holdLease(options)
      return holder ?? ALONE
    }
    void holder?.stop()
    holder = undefined
    return ALONE
  }
  now()
  return {
    get witnessed() {
      return now().witnessed
    },
    get why() {
      return now().why
    },
    get release() {
      return now().release
    },
    left: () => now().left(),
    committed: () => now().committed(),
    hurry: () => now().hurry(),
    stop: async () => {
      stopped = true
      await holder?.stop()
    },
  }
}
