/**
 * The holder's side of an agent with a witness: keeps the lease, brings records to be cosigned, and learns when
 * somebody else has the agent (docs/design.md, sections 3 and 6).
 *
 * @module
 */
import type { LineageRecord, StateBlock } from '@igor/lineage'
import { ALONE, type Commitment } from '../agent/commitment.ts'
import { type Context, nowMs } from '../agent/context.ts'
import { endLease, granted, type Leasing, leftOf, look, MARGIN_MS, noLease, type Reading, renewalIn } from '../authority/lease.ts'
import type { BlockReader, Grant, WitnessLink } from '../authority/witness.ts'
import { IgorError } from '../errors.ts'
import { messageOf } from '../thrown.ts'
import { changeOver } from './change.ts'
import type { HeldLedger } from './held.ts'
import { makeRelease } from './release.ts'
import { freshBlocks, storedBlocks, submit, uncosigned } from './submit.ts'

/** First wait after a failure; doubled up to the longest. */
const RETRY_MS = 250
const MAX_RETRY_MS = 4000
const stuck = (message: string): string =>
  `its change of witness waits: ${message}. It goes on when they are back; if one is gone for good, its owner says so`
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

interface Waiting {
  readonly epoch: number
  readonly seq: number
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

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

const holdLease = (options: HolderOptions): Commitment => {
  const { context, ledger, onchange } = options
  const { clock } = context
  const { agent } = ledger
  const ended = new AbortController()
  const { signal } = ended
  const read: BlockReader = storedBlocks(context, agent)
  const waiting: Waiting[] = []
  const reading = (): Reading => ({ elapsed: clock.elapsed(), wall: nowMs(clock) })
  let leasing: Leasing = noLease(reading())
  let release: Uint8Array | undefined
  let why: string | undefined = 'it waits for its witness'
  let shown: StateBlock | undefined
  let failures = 0
  let trouble = ''
  let hurried = false
  let leasedEpoch = 0
  let leasedBy = ''
  let deposing: Promise<void> | undefined
  let nudge = new AbortController()

  const isActive = (): boolean => ledger.row.state === 'active-owner'
  /** The last record that this node wrote is still to be cosigned: a handoff or a retire too. */
  const owes = (): boolean => isBehind() && ledger.row.slot.id.equals(ledger.chain.head.id)
  const isCosigned = ({ epoch, seq }: { epoch: number; seq: number }): boolean => {
    const { cosigned, witness, changing } = ledger.chain
    if (witness === null && changing === null) return true
    const body = cosigned?.body
    return body !== undefined && (body.epoch > epoch || (body.epoch === epoch && body.seq >= seq))
  }
  const isBehind = (): boolean => !isCosigned(ledger.chain.head.body)

  /** One that was granted before the agent was away is none any more. */
  const left = (): number => {
    const { epoch, witness, changing } = ledger.chain
    // Between two witnesses it stands still: whoever is asked next may know of no lease.
    const stands = changing !== null || leasedEpoch !== epoch || leasedBy !== witness || !isActive()
    return stands ? 0 : leftOf(leasing, reading())
  }
  const due = (): number => (left() === 0 ? 0 : renewalIn(leasing, reading()))

  const settle = (): void => {
    for (const one of waiting.splice(0)) {
      if (isCosigned(one)) one.resolve()
      else waiting.push(one)
    }
  }
  const turnAway = (error: unknown): void => {
    for (const one of waiting.splice(0)) one.reject(error)
  }

  const grant = async (lease: Grant, asked: Reading): Promise<void> => {
    const before = left() > 0
    leasedEpoch = ledger.chain.epoch
    leasedBy = ledger.chain.witness ?? ''
    leasing = granted(leasing, { ...lease, asked }, reading())
    const { chain } = ledger
    const head = chain.cosigned?.id
    if (head !== undefined)
      release = await makeRelease({ agent, epoch: chain.epoch, head, lease: lease.id, by: context.peer }, context.sign)
    why = undefined
    failures = 0
    if (!before) onchange()
  }

  const lose = (reason: string): void => {
    leasing = endLease(leasing, reading())
    release = undefined
    why = reason
    onchange()
  }

  /** The witness's word is the history: whoever it names has the agent. */
  const depose = async (link: WitnessLink, reason: string): Promise<void> => {
    lose(reason)
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
      if (lease !== undefined) await grant(lease, asked)
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
        return grant(answer.lease, asked)
      case 'history':
        return bring(link)
      case 'frozen':
        lose(answer.why)
        return ledger.halt(`its witness has frozen it: ${answer.why}`)
      case 'later':
        // Its answer to a record of ours was lost, or the store here is older than the history.
        if (ledger.records.some(({ id }) => id.equals(answer.head.id))) return bring(link)
        return depose(link, 'its witness knows later records than this node has')
      case 'deposed':
        return depose(link, `it lives at ${answer.by} now`)
    }
  }

  /** The old witness is not to give the agent away because the new one takes long to copy it. */
  const keepLease = async (witness: string, over: AbortSignal): Promise<void> => {
    while (!over.aborted) {
      const asked = reading()
      try {
        const link = await options.link(witness, over)
        const { cosigned } = ledger.chain
        if (cosigned === null) return
        const { epoch, seq } = cosigned.body
        const answer = await link.renew(agent, { epoch, seq, id: cosigned.id }, over)
        if (answer.kind === 'lease') leasing = granted(leasing, { ...answer.lease, asked }, reading())
      } catch {
        // That it is away is seen where its cosignature is asked for.
      }
      await clock.sleep(Math.max(RETRY_MS, renewalIn(leasing, reading())), over).catch(() => {})
    }
  }

  /** @throws IgorError NOT_AUTHORITATIVE when the witness has given the agent to somebody else */
  const checkHeld = async (witness: string): Promise<void> => {
    const link = await options.link(witness, signal)
    const last = (await link.records(agent, undefined, signal)).at(-1)
    const isKnown = last === undefined || ledger.records.some(({ id }) => id.equals(last.id))
    if (!isKnown) throw new IgorError('NOT_AUTHORITATIVE', 'its witness knows later records than this node has')
  }

  /** What the witness refuses for good. */
  const heedRefusal = async (error: unknown, link: () => Promise<WitnessLink>): Promise<void> => {
    const code = error instanceof IgorError ? error.code : undefined
    const message = messageOf(error)
    if (code === 'NOT_AUTHORITATIVE') await depose(await link(), message)
    else if (code === 'AGENT_HALTED') {
      lose(message)
      await ledger.halt(message)
    } else throw error
  }

  const change = async (from: string | null): Promise<void> => {
    const unpin = ledger.refs.pin()
    const over = new AbortController()
    // Where the new one cannot be reached the old one may give the agent to somebody else, as its manifest says.
    const kept = from === null || failures > 0 ? undefined : keepLease(from, AbortSignal.any([signal, over.signal]))
    try {
      if (from !== null && failures > 0) await checkHeld(from)
      await changeOver({ ledger, read, link: options.link, signal })
      leasing = noLease(reading())
      settle()
      onchange()
    } catch (error) {
      if (from === null) throw error
      await heedRefusal(error, () => options.link(from, signal))
    } finally {
      over.abort()
      unpin()
      await kept
    }
  }

  const turn = async (): Promise<void> => {
    const { witness, changing } = ledger.chain
    if (changing !== null && (isActive() || owes())) {
      if (failures === 0) why = `its witness is being changed, from ${changing.from ?? 'none'} to ${changing.to ?? 'none'}`
      return change(changing.from)
    }
    if (witness === null || (!isActive() && !owes())) return
    const link = await options.link(witness, signal)
    try {
      if (left() > 0 && due() === 0) options.onrenewal()
      hurried = false
      if (isBehind()) await bring(link)
      else await renew(link)
      failures = 0
    } catch (error) {
      await heedRefusal(error, async () => link)
    }
  }

  const onfailure = (error: unknown): void => {
    failures++
    const message = messageOf(error)
    trouble =
      ledger.chain.changing === null
        ? `no witness reachable: ${message}. It goes on when it is back; if it is gone for good, its owner says so`
        : stuck(message)
    if (left() > 0) return
    if (why !== trouble) onchange()
    why = trouble
    if (failures === 1)
      context.report({ level: 'warn', code: 'WITNESS_UNREACHABLE', agent, message: `${agent} stands still: ${message}` })
  }

  const wait = async (): Promise<void> => {
    const retry = Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** Math.min(failures - 1, 10))
    const { witness, changing } = ledger.chain
    const idle = deposing !== undefined || (!isActive() && !owes()) || (witness === null && changing === null)
    const ms = idle ? MAX_RETRY_MS : failures > 0 ? retry : Math.max(1, Math.min(due(), left()))
    if (failures === 0 && (waiting.length > 0 || hurried) && isBehind() && !idle) return
    // What is asked for meanwhile does not hurry a witness that does not answer.
    await clock.sleep(ms, failures > 0 ? signal : AbortSignal.any([signal, nudge.signal])).catch(() => {})
    if (nudge.signal.aborted) nudge = new AbortController()
    lapse()
  }

  /** It stands still from now on, if its lease is over. */
  const lapse = (): void => {
    leasing = look(leasing, reading())
    if (!isActive() || why !== undefined || left() > 0) return
    why = failures > 0 ? trouble : UNHEARD
    onchange()
  }

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
        settle()
        if (!owes() && (ledger.row.state === 'retired' || ledger.row.state === 'recovery-required'))
          turnAway(new IgorError('NOT_AUTHORITATIVE', `${agent} does not live here now (${ledger.row.state})`))
      } catch (error) {
        if (!signal.aborted) onfailure(error)
      }
      if (!signal.aborted) await wait()
    }
    turnAway(signal.reason)
  }
  const running = loop()

  return {
    witnessed: true,
    left: () => {
      leasing = look(leasing, reading())
      return Math.max(0, left() - MARGIN_MS)
    },
    get why() {
      return left() > 0 ? undefined : (why ?? (failures > 0 ? trouble : UNHEARD))
    },
    committed: () =>
      new Promise((resolve, reject) => {
        const { epoch, seq } = ledger.chain.head.body
        if (isCosigned({ epoch, seq })) return resolve()
        if (signal.aborted || (ledger.row.state === 'retired' && !owes()))
          return reject(new IgorError('NOT_AUTHORITATIVE', `${agent} does not live here now`))
        waiting.push({ epoch, seq, resolve, reject })
        nudge.abort()
      }),
    hurry: () => {
      hurried = true
      nudge.abort()
    },
    get release() {
      return release
    },
    stop: async () => {
      ended.abort(new IgorError('NODE_STOPPED', `the node that hosts ${agent} is stopping`))
      await running
    },
  }
}
