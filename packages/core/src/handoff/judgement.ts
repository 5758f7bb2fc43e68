/**
 * What a target runs again before it takes an agent in, while that still ticks at its source
 * (docs/design.md, section 7).
 *
 * @module
 */
import { type Chain, extendChain, type Handoff, type LineageRecord } from '@igor/lineage'
import type { CID } from 'multiformats/cid'
import { hexOf } from '../agent/blocks.ts'
import type { Context } from '../agent/context.ts'
import { createSerial, type Serial } from '../agent/serial.ts'
import type { NodePolicy } from '../api.ts'
import type { History } from '../authority/judge.ts'
import { IgorError } from '../errors.ts'
import { keys } from '../keys.ts'
import type { Puller } from '../protocols/blocks.ts'
import { verifyGently } from '../protocols/verify-gently.ts'
import type { ReadBlocks } from '../replay/blocks.ts'
import { type Judge, replay } from '../replay/replay.ts'
import type { Trust } from '../replay/trust.ts'
import type { Replay, ReplayDoubt, ReplayGuilt } from '../replay-report.ts'
import { messageOf } from '../thrown.ts'

/**
 * What is run again at a move, newest first: a source makes a state every two nominal seconds, so that this is the
 * last one and some before it.
 */
export const MAX_MOVE_FUEL = 8_000_000_000n
const MAX_MOVE_BYTES = 64 * 1024 * 1024

/**
 * How long the decision waits, in mode `full`, for what was done since the copy to be run again: the agent stands still for it.
 * What takes longer is run while it goes on here. Mode `on-handoff` does not run it: it makes the standstill three times as
 * long, on two cores 30 ms for 10.
 */
const FULL_WAIT_MS = 1000
/** Bytes of small blocks that are kept for the next look: journals, and indexes of states. */
const MAX_HELD = 8 * 1024 * 1024

export interface Judgement {
  readonly context: Context
  readonly puller: Puller
  readonly peer: string
  readonly agent: string
  readonly mode: NonNullable<NodePolicy['replay']>
  readonly trust: Trust
  /** Lends a judge with a worker of its own. */
  readonly judge: <T>(task: (judge: Judge) => Promise<T>) => Promise<T>
}

/** What is wrong with what was done since the copy. */
interface Finding {
  readonly why: string
  /** Else it was only not shown. */
  readonly isLie: boolean
}

export interface TailVerdict {
  /** Why the handoff is refused. */
  readonly lie?: string
  /** It is still being run: why the agent has to stand still, if it does. */
  readonly later?: Promise<string | undefined>
}

export interface Judging {
  /**
   * Runs again what led to the copy, from the newest state on that this node trusts.
   *
   * @throws IgorError HANDOFF_REJECTED when a host of the agent signed what does not come out again; the signal's reason
   */
  before(signal: AbortSignal): Promise<void>
  /** The agent stands still: gets what its host signed since, and begins to run that. */
  meanwhile(): void
  /** Runs the rest, up to this record. Never rejects. @param record of which the caller checks the signature */
  after(record: LineageRecord<Handoff>): Promise<TailVerdict>
  /** The judge may go, when it is done. */
  end(): void
}

/** What is no longer kept, and what a move is not to wait for, is nobody's fault. */
const IDLE_DOUBTS: ReadonlySet<ReplayDoubt['code']> = new Set(['not kept', 'caps'])

const IDLE: Judging = { before: async () => {}, meanwhile: () => {}, after: async () => ({}), end: () => {} }

/** From the store where the copy is, else from the source; what is pulled for this alone is not kept. */
const reader = ({ store }: Context, puller: Puller, agent: string, inTurn: Serial): ReadBlocks => {
  const held = new Map<string, Uint8Array>()
  let size = 0
  const kept = (cid: CID): Promise<Uint8Array | undefined> =>
    store.get(keys.block(agent, hexOf(cid.multihash.digest))).then((own) => own ?? store.get(keys.module(cid.toString())))
  const one: ReadBlocks = async (cids) => {
    const found = new Map<string, Uint8Array>()
    for (const cid of cids) {
      const bytes = held.get(cid.toString()) ?? (await kept(cid))
      if (bytes !== undefined) found.set(cid.toString(), bytes)
    }
    const want = [...new Map(cids.map((cid) => [cid.toString(), cid])).values()].filter((cid) => !found.has(cid.toString()))
    const take = async (blocks: readonly { readonly cid: CID; readonly bytes: Uint8Array }[]): Promise<void> => {
      for (const { cid, bytes } of blocks) {
        found.set(cid.toString(), bytes)
        size += bytes.length
        if (size <= MAX_HELD) held.set(cid.toString(), bytes)
      }
    }
    // What it lacks cannot be judged, and is no reason to refuse.
    if (want.length > 0) await puller.blocks(agent, want, take).catch(() => {})
    return cids.map((cid) => found.get(cid.toString()))
  }
  return (cids) => inTurn(() => one(cids))
}

export const createJudging = (given: Judgement): Judging => {
  const { context, puller, peer, agent, mode, trust } = given
  if (mode === 'off') return IDLE
  const caps = mode === 'full' ? {} : { maxFuel: MAX_MOVE_FUEL, maxBytes: MAX_MOVE_BYTES }
  const lent = Promise.withResolvers<Judge>()
  const ended = Promise.withResolvers<void>()
  const lending = given.judge(async (judge) => {
    lent.resolve(judge)
    await ended.promise
  })
  lending.catch(lent.reject)
  lent.promise.catch(() => {})
  // The puller answers one question after the other.
  const inTurn = createSerial()
  const read = reader(context, puller, agent, inTurn)
  /** Up to this record all was run again, or could not be. */
  let agreed: number | undefined
  let copied: Chain['state'] = null
  let known: History | undefined
  let shown: Promise<History> | undefined
  let following: Promise<Finding | undefined> = Promise.resolve(undefined)
  let last: Promise<unknown> = following

  const warn = (message: string): void => context.report({ level: 'warn', code: 'REPLAY_FAILED', agent, peer, message })

  const accuse = (guilt: ReplayGuilt): string => {
    const message = `${guilt.signer} signed a false ${guilt.claim} at tick ${guilt.tick}, record ${guilt.record}: ${guilt.message}`
    context.report({ level: 'error', code: 'REPLAY_DIFFERS', agent, peer, message })
    return `its history does not come out again: ${message}`
  }

  const run = async (history: History, since: number, signal = context.signal): Promise<Replay> => {
    const found = await replay(history, read, await lent.promise, { ...caps, since, signal })
    const open = found.doubts.filter(({ code }) => !IDLE_DOUBTS.has(code))
    if (found.guilt === undefined && open.length === 0) trust.add(history.chain)
    for (const { fromTick, toTick, message } of open) warn(`ticks ${fromTick} to ${toTick} could not be run again: ${message}`)
    return found
  }

  /** Of what it did while it was on its way here its host has everything, whatever it lets go otherwise. */
  const runTail = async (history: History, since: number): Promise<Finding | undefined> => {
    const { guilt, doubts } = await run(history, since)
    if (guilt !== undefined) return { why: accuse(guilt), isLie: true }
    const hidden = doubts.find(({ code }) => code === 'not kept' || code === 'missing')
    if (hidden === undefined) return undefined
    const { fromTick, toTick, message } = hidden
    return { why: `what it did since it was copied, ticks ${fromTick} to ${toTick}, is not shown: ${message}`, isLie: false }
  }

  const pull = async (): Promise<History> => {
    const records = await inTurn(() => puller.records(agent))
    const at = known === undefined ? -1 : records.findIndex(({ id }) => id.equals(known?.chain.head.id))
    // What was verified before the copy is not again in the standstill, which is as long as that takes.
    const chain =
      known === undefined || at < 0
        ? await verifyGently(context, records)
        : records.slice(at + 1).reduce((grown, record) => extendChain(grown, record), known.chain)
    known = { chain, records }
    return known
  }

  /** What cannot be run here is told, and is no lie. */
  const leniently = async <T>(task: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await task()
    } catch (error) {
      if (!context.signal.aborted) warn(`what it did before could not be run again: ${messageOf(error)}`)
      return undefined
    }
  }

  /** The history with the record that commits at its end, and the state before it that others judge. */
  const upTo = async (record: LineageRecord<Handoff>): Promise<{ history: History; since: number }> => {
    const first = await shown
    const isWhole = record.body.prev !== null && first?.chain.head.id.equals(record.body.prev) === true
    const { chain, records } = isWhole && first !== undefined ? first : await pull()
    const since = isWhole ? stateOf(chain) : (agreed ?? -1)
    if (records.some(({ id }) => id.equals(record.id))) return { history: { chain, records }, since: agreed ?? -1 }
    const history = { chain: extendChain(chain, record, { trusted: true }), records: [...records, record] }
    return { history, since }
  }

  return {
    before: async (signal) => {
      const found = await leniently(async () => {
        const history = await pull()
        const since = mode === 'full' ? -1 : trust.newest(history.chain, history.records)
        copied = history.chain.state
        agreed = stateOf(history.chain)
        return run(history, since, signal)
      })
      signal.throwIfAborted()
      if (found?.guilt !== undefined) throw new IgorError('HANDOFF_REJECTED', accuse(found.guilt))
    },
    meanwhile: () => {
      if (mode !== 'full') return
      shown = pull()
      shown.catch(() => {})
      following = leniently(async () => runTail(await (shown as Promise<History>), agreed ?? -1))
      last = following
    },
    after: async (record) => {
      if (mode !== 'full') return {}
      const { state, fuel, cost } = record.body
      const isSame = copied !== null && state?.equals(copied.body.state) === true
      // It did nothing since, and says so.
      if (isSame && copied?.body.fuel === fuel && copied.body.cost === cost) return {}
      // At once, though the rest still runs: what has to be read is with the source until this is accepted.
      const rest = leniently(async () => {
        const { history, since } = await upTo(record)
        return runTail(history, since)
      })
      const running = Promise.all([following, rest]).then((found) => found.find((one) => one?.isLie) ?? found.find((one) => one))
      last = running
      const waited = new AbortController()
      const late = context.clock.sleep(FULL_WAIT_MS, waited.signal).then(
        () => true,
        () => false,
      )
      const found = await Promise.race([running.then((finding) => ({ finding })), late])
      waited.abort()
      // Taken in by then it is halted for nothing less than a lie: what was not shown may be this node's own lack.
      if (typeof found === 'boolean') return { later: running.then((finding) => (finding?.isLie ? finding.why : undefined)) }
      return found.finding === undefined ? {} : { lie: found.finding.why }
    },
    end: () => void last.finally(ended.resolve),
  }
}

const stateOf = ({ state }: Chain): number => state?.body.seq ?? -1
