/**
 * Changing the witness of an agent that is held under one: its lease is kept meanwhile, so that the old witness does not
 * give it away because the new one takes long to copy it.
 *
 * @module
 */
import { IgorError } from '../errors.ts'
import type { Clock } from '../platform.ts'
import { type ChangeOver, changeOver } from './change.ts'
import type { HeldLedger } from './held.ts'
import type { Tenure } from './tenure.ts'

/** Between two renewals, at least. */
const PAUSE_MS = 250

export interface ChangeHeld extends ChangeOver {
  readonly ledger: HeldLedger
  readonly tenure: Tenure
  readonly clock: Clock
}

const keepLease = async ({ ledger, tenure, clock, link }: ChangeHeld, witness: string, over: AbortSignal): Promise<void> => {
  while (!over.aborted) {
    const asked = tenure.reading()
    try {
      const old = await link(witness, over)
      const { cosigned } = ledger.chain
      if (cosigned === null) return
      const { epoch, seq } = cosigned.body
      const answer = await old.renew(ledger.agent, { epoch, seq, id: cosigned.id }, over)
      if (answer.kind === 'lease') tenure.extend(answer.lease, asked)
    } catch {
      // That it is away is seen where its cosignature is asked for.
    }
    await clock.sleep(Math.max(PAUSE_MS, tenure.renewal()), over).catch(() => {})
  }
}

/** @throws IgorError NOT_AUTHORITATIVE when the witness has given the agent to somebody else */
const checkHeld = async ({ ledger, link, signal }: ChangeHeld, witness: string): Promise<void> => {
  const old = await link(witness, signal)
  const last = (await old.records(ledger.agent, undefined, signal)).at(-1)
  // The new one may have brought it to its end by itself.
  if (last?.id.equals(ledger.chain.changing?.record.id) === true) return ledger.cosigned(last)
  const isKnown = last === undefined || ledger.records.some(({ id }) => id.equals(last.id))
  if (!isKnown) throw new IgorError('NOT_AUTHORITATIVE', 'its witness knows later records than this node has')
}

/**
 * @param from the old witness, if there is one
 * @param again an attempt has failed: where the new one cannot be reached the old one may give the agent to somebody
 *   else, as its manifest says, and is asked whether it has
 * @throws IgorError as `changeOver`
 */
export const changeHeld = async (change: ChangeHeld, from: string | null, again: boolean): Promise<void> => {
  const over = new AbortController()
  const kept = from === null || again ? undefined : keepLease(change, from, AbortSignal.any([change.signal, over.signal]))
  try {
    if (from !== null && again) await checkHeld(change, from)
    await changeOver(change)
  } finally {
    over.abort()
    await kept
  }
}
