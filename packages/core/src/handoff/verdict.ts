/**
 * The target's decision on a commit: what is wrong with it, if anything, in the order of what the checks cost.
 *
 * @module
 */
import { extendChain, type LineageRecord } from '@igor/lineage'
import { type Context, nowMs } from '../agent/context.ts'
import { hasModule } from '../agent/modules.ts'
import { IgorError } from '../errors.ts'
import type { Placed } from '../execution/executor.ts'
import { keys } from '../keys.ts'
import { violation } from '../protocols/wire.ts'
import { aheadBy } from './admission.ts'
import type { Copy } from './copy.ts'
import { accept, decisionOn, type Ground, type RefusalCode, refuse } from './decide.ts'
import type { Inbound } from './inbound.ts'
import { isHandoff } from './protocol.ts'
import type { Tail } from './tail.ts'

/** What a commit names, and what was copied for it. */
export interface Committed {
  readonly copy: Copy
  readonly ground: Ground
  /** Or why it cannot be taken. */
  readonly tail: Tail | Error
  readonly record: LineageRecord
  /** The ready that this node gave for it. */
  readonly ready: Uint8Array
  /** Orders whose signatures were checked. */
  readonly orders: readonly Uint8Array[]
  readonly placed: Placed
  readonly since: number
}

export interface Decided {
  readonly decision: LineageRecord
  /** When it was accepted: its first tick is under way. */
  readonly begun?: Promise<void>
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((byte, i) => byte === b[i])

/** Accepts, or refuses with a reason: once a handoff record is valid and names this node, it gets a decision. */
export const decide = async (inbound: Inbound, peer: string, given: Committed): Promise<Decided> => {
  const { context } = inbound
  const { copy, record, tail, since, placed, ground } = given
  if (!isHandoff(record) || !sameBytes(record.body.ready, given.ready))
    throw violation(peer, 'it commits something else than was offered')
  // Under way while the signature is checked.
  const looked = Promise.all([decisionOn(context, record), hasModule(context.store, copy.chain.module)])
  looked.catch(() => {})
  const chain = extendChain(copy.chain, record, { gap: true, known: [given.ready, ...given.orders] })
  const [decided, runnable] = await looked
  if (decided !== undefined) return { decision: decided }
  const no = async (code: RefusalCode, reason: string) => ({
    decision: await ordered(context, chain.witness, await refuse(context, record, code, reason)),
  })
  if (chain.authority.status === 'offered' && nowMs(context.clock) > chain.authority.ready.expiry)
    return no('expired', 'it came after the ready had expired')
  if (tail instanceof Error) return no('invalid', tail.message)
  const { current, rows, refs } = tail
  if (record.body.state?.equals(current.cid) !== true)
    return no('invalid', 'the state that came is not the one that the record names')
  if (record.body.tick !== current.host.tick) return no('invalid', 'record and state disagree about the tick')
  const ahead = aheadBy(context, record.body.time) ?? aheadBy(context, Number(current.host.time / 1_000_000n))
  if (ahead !== undefined) return no('invalid', `its clock is ${ahead} ahead of this node's`)
  // Another tab of this browser may have swept it away: no agent here names it yet.
  if (!runnable) return no('failed', 'its module is no longer here')
  const arrival = { chain, records: [...copy.records, record], current, rows, refs, ground }
  const { ledger, record: decision } = await accept(context, arrival)
  return { decision, begun: inbound.arrived({ ledger, manifest: copy.manifest, init: copy.init, placed, from: peer, since }) }
}

/** A refusal of a witnessed agent counts when its witness has cosigned it, and is kept so. */
export const ordered = async (context: Context, witness: string | null, refusal: LineageRecord): Promise<LineageRecord> => {
  if (witness === null || refusal.cosignatures.length > 0) return refusal
  const { agent, epoch, seq } = refusal.body
  const link = await context.links.to(witness, [], context.signal)
  const answer = await link.commit({ agent, records: [refusal], blocks: [], read: async () => undefined }, context.signal)
  if (answer.kind !== 'cosigned')
    throw new IgorError('HANDOFF_PENDING', `the witness of ${agent} does not know the handoff that is refused`)
  await context.store.commit({ put: [[keys.refusal(agent, epoch, seq), answer.record.bytes]] })
  return answer.record
}
