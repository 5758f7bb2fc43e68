/**
 * The holder's side of an agent with a witness: keeps the lease, brings records to be cosigned, and learns when
 * somebody else has the agent (docs/design.md, sections 3 and 6).
 *
 * @module
 */
import type { LineageRecord, StateBlock } from '@igor/lineage'
import type { Commitment } from '../agent/commitment.ts'
import type { Context } from '../agent/context.ts'
import type { BlockReader, WitnessLink } from '../authority/witness.ts'
import { IgorError } from '../errors.ts'
import { messageOf } from '../thrown.ts'
import { changeHeld } from './change-held.ts'
import { createWaiting, type HeldLedger, isActive, isBehind, isCosigned, owes } from './held.ts'
import { freshBlocks, storedBlocks, submit, uncosigned } from './submit.ts'
import { createTenure } from './tenure.ts'

/** First wait after a failure; doubled up to the longest. */
const RETRY_MS = 250
const MAX_RETRY_MS = 4000
const UNHEARD = 'its witness was not heard before its lease ended. It goes on when the witness is back'

export interface HolderOptions {
  readonly context: Context
  readonly ledger: HeldLedger
  readonly link: (witness: string, signal: AbortSignal) => Promise<WitnessLink>
  /** A lease came or went: the agent may tick, or must not. */
  readonly onchange: () => void
  /** The lease is about to be renewed: a good time to bind what was journaled, so that little is lost when this node is. */
  readonly onrenewal: () => void
  /** Others' records are the history now. Ends what runs here if they are. */
  readonly ondeposed: (records: readonly LineageRecord[]) => Promise<void>
}

/** Keeps the lease and brings what is to be cosigned, until it is stopped. */
export const holdLease = (options: HolderOptions): Commitment => {
  const { context, ledger, onchange } = options
  const { clock } = context
  const { agent } = ledger
  const ended = new AbortController()
  const { signal } = ended
  const read: BlockReader = storedBlocks(context, agent)
  const waiting = createWaiting(ledger)
  const tenure = createTenure(context, ledger, onchange)
  const { left, due, reading } = tenure
  let shown: StateBlock | undefined
  let failures = 0
  let trouble = ''
  let hurried = false
  let deposing: Promise<void> | undefined
  let nudge = new AbortController()

  /** The witness's word is the history: whoever it names has the agent. */
  const depose = async (link: WitnessLink, reason: string): Promise<void> => {
    tenure.lose(reason)
    const records = await link.records(agent, undefined, signal)
    // It ends what runs here, this loop too: nothing here may wait for it.
    deposing = options
      .ondeposed(records)
      .catch((error) => {
        context.report({
          level: 'warn',
          code: 'AGENT_HALTED',
          agent,
          message: messageOf(error),
        })
      })
      .finally(() => {
        deposing = undefined
        // Where nothing came of it, it is not asked again at once.
        failures++
        nudge.abort()
      })
  }

  const bring = async (link: WitnessLink): Promise<void> => {
    const { chain, records, current } = ledger
    const unpin = ledger.refs.pin()
    const asked = reading()
    try {
      const now = current?.block
      const push = await freshBlocks(read, uncosigned({ chain, records }), shown, now)
      const { cosigned, lease } = await submit(link, { chain, records, read, push }, signal)
      for (const record of cosigned) await ledger.cosigned(record)
      shown = now
      if (lease !== undefined) await tenure.grant(lease, asked)
    } finally {
      unpin()
    }
  }

  const renew = async (link: WitnessLink): Promise<void> => {
    const { cosigned } = ledger.chain
    if (cosigned === null) return bring(link)
    const asked = reading()
    const { epoch, seq } = cosigned.body
    const answer = await link.renew(agent, { epoch, seq, id: cosigned.id }, signal)
    switch (answer.kind) {
      case 'lease':
        return tenure.grant(answer.lease, asked)
      case 'history':
        return bring(link)
      case 'frozen':
        tenure.lose(answer.why)
        return ledger.halt(`its witness has frozen it: ${answer.why}`)
      case 'later':
        // Its answer to a record of ours was lost, or the store here is older than the history.
        if (ledger.records.some(({ id }) => id.equals(answer.head.id))) return bring(link)
        return depose(link, 'its witness knows later records than this node has')
      case 'deposed':
        return depose(link, `it lives at ${answer.by} now`)
    }
  }

  /** What the witness refuses for good. */
  const heedRefusal = async (error: unknown, link: () => Promise<WitnessLink>): Promise<void> => {
    const code = error instanceof IgorError ? error.code : undefined
    const message = messageOf(error)
    if (code === 'NOT_AUTHORITATIVE') await depose(await link(), message)
    else if (code === 'AGENT_HALTED') {
      tenure.lose(message)
      await ledger.halt(message)
    } else throw error
  }

  const change = async (from: string | null): Promise<void> => {
    const unpin = ledger.refs.pin()
    try {
      await changeHeld({ ledger, read, tenure, clock, link: options.link, signal }, from, failures > 0)
      tenure.forget()
      waiting.settle()
      onchange()
    } catch (error) {
      if (from === null) throw error
      await heedRefusal(error, () => options.link(from, signal))
    } finally {
      unpin()
    }
  }

  const turn = async (): Promise<void> => {
    const { witness, changing } = ledger.chain
    if (changing !== null && (isActive(ledger) || owes(ledger))) {
      if (failures === 0) tenure.why = `its witness is being changed, from ${changing.from ?? 'none'} to ${changing.to ?? 'none'}`
      return change(changing.from)
    }
    if (witness === null || (!isActive(ledger) && !owes(ledger))) return
    const link = await options.link(witness, signal)
    try {
      if (left() > 0 && due() === 0) options.onrenewal()
      hurried = false
      if (isBehind(ledger)) await bring(link)
      else await renew(link)
      failures = 0
    } catch (error) {
      await heedRefusal(error, async () => link)
    }
  }

  const onfailure = (error: unknown): void => {
    failures++
    const message = messageOf(error)
    const waits = ledger.chain.changing === null ? 'no witness reachable' : 'its change of witness waits'
    trouble = `${waits}: ${message}. It goes on when it is back; if it is gone for good, its owner says so`
    if (left() > 0) return
    if (tenure.why !== trouble) onchange()
    tenure.why = trouble
    if (failures === 1)
      context.report({ level: 'warn', code: 'WITNESS_UNREACHABLE', agent, message: `${agent} stands still: ${message}` })
  }

  const wait = async (): Promise<void> => {
    const retry = Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** Math.min(failures - 1, 10))
    const { witness, changing } = ledger.chain
    const idle = deposing !== undefined || (!isActive(ledger) && !owes(ledger)) || (witness === null && changing === null)
    const ms = idle ? MAX_RETRY_MS : failures > 0 ? retry : Math.max(1, Math.min(due(), left()))
    if (failures === 0 && (waiting.size > 0 || hurried) && isBehind(ledger) && !idle) return
    // What is asked for meanwhile does not hurry a witness that does not answer.
    await clock.sleep(ms, failures > 0 ? signal : AbortSignal.any([signal, nudge.signal])).catch(() => {})
    if (nudge.signal.aborted) nudge = new AbortController()
    lapse()
  }

  const lapse = (): void => tenure.lapse(failures > 0 ? trouble : UNHEARD)

  /** The lease may end while the witness is waited for. */
  const lapsing = async (task: () => Promise<void>): Promise<void> => {
    const done = new AbortController()
    if (left() > 0) clock.sleep(left(), AbortSignal.any([signal, done.signal])).then(lapse, () => {})
    try {
      await task()
    } finally {
      done.abort()
    }
  }

  const loop = async (): Promise<void> => {
    while (!signal.aborted) {
      try {
        if (deposing === undefined) await lapsing(turn)
        waiting.settle()
        if (!owes(ledger) && (ledger.row.state === 'retired' || ledger.row.state === 'recovery-required'))
          waiting.turnAway(new IgorError('NOT_AUTHORITATIVE', `${agent} does not live here now (${ledger.row.state})`))
      } catch (error) {
        if (!signal.aborted) onfailure(error)
      }
      if (!signal.aborted) await wait()
    }
    waiting.turnAway(signal.reason)
  }
  const running = loop()

  return {
    witnessed: true,
    left: tenure.safe,
    get why() {
      return left() > 0 ? undefined : (tenure.why ?? (failures > 0 ? trouble : UNHEARD))
    },
    committed: () => {
      const { head } = ledger.chain
      if (isCosigned(ledger.chain, head.body)) return Promise.resolve()
      if (signal.aborted || (ledger.row.state === 'retired' && !owes(ledger)))
        return Promise.reject(new IgorError('NOT_AUTHORITATIVE', `${agent} does not live here now`))
      const committed = waiting.add(head.body)
      nudge.abort()
      return committed
    },
    hurry: () => {
      hurried = true
      nudge.abort()
    },
    get release() {
      return tenure.release
    },
    stop: async () => {
      ended.abort(new IgorError('NODE_STOPPED', `the node that hosts ${agent} is stopping`))
      await running
    },
  }
}
