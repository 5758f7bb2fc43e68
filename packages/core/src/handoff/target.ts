/**
 * The target's side of a handoff, from the offer to the decision: copy while the agent ticks, then take the tail
 * (docs/design.md, section 7).
 *
 * @module
 */
import { decodeRecord, makeReady } from '@igor/lineage'
import type { BlockRefs } from '../agent/blocks.ts'
import { type Context, nowMs } from '../agent/context.ts'
import type { Serial } from '../agent/serial.ts'
import { countRefs } from '../agent/state.ts'
import { decodeRow } from '../authority/row.ts'
import { IgorError } from '../errors.ts'
import type { Placed } from '../execution/executor.ts'
import { keys } from '../keys.ts'
import { type Channel, MAX_FRAME } from '../platform.ts'
import { pullFrom } from '../protocols/blocks.ts'
import { verifyGently } from '../protocols/verify-gently.ts'
import { deadline, type Fields, hear, say, violation } from '../protocols/wire.ts'
import { asError, messageOf } from '../thrown.ts'
import { checkVersion } from '../versions.ts'
import { admit, checkedOrders } from './admission.ts'
import { type Copy, dropCopy, placeCopy, pullManifest, pullState } from './copy.ts'
import { decisionOn, type Ground, prepareGround } from './decide.ts'
import type { Inbound } from './inbound.ts'
import { createJudging } from './judgement.ts'
import { checkGuest, checkSource } from './policy.ts'
import { clockDifference, isHandoff, MAX_RECORD, reject } from './protocol.ts'
import { applyTail, hearTail, type Tail } from './tail.ts'
import { decide } from './verdict.ts'

/** Of all of it: pre-copy of 64 MiB over a slow line fits. */
const MOVE_MS = 10 * 60_000
/**
 * How long a ready stands. A witness waits so long for a target that has died since, and the agent stands still until
 * then: no longer than the source may take from `prepared` to its commit. Where copying took most of it there is a new one.
 */
const READY_MS = 60_000
const FRESH_MS = READY_MS / 2
/** The source may tick on this long between pre-copy and commit. */
const COMMIT_MS = 60_000

export const arrive = async (
  inbound: Inbound,
  serial: Serial,
  channel: Channel,
  agent: string,
  fields: Fields,
): Promise<void> => {
  const { context, executor } = inbound
  const peer = channel.peer
  let placed: Placed | undefined
  let decided = false
  let copied = false
  // Whoever drips holds a place that others need.
  const limit = deadline(context.clock, MOVE_MS, `the move of ${agent}`, context.signal)
  try {
    const difference = clockDifference(context)
    difference.hear(fields)
    const { handoff, orders: offered } = admit(inbound, peer, agent, fields)
    limit.signal.addEventListener('abort', () => channel.abort(asError(limit.signal.reason)))
    const puller = await pullFrom(context, peer, true, limit.signal)
    const mode = inbound.house().policy.replay ?? 'on-handoff'
    const { judge, trust } = inbound
    const judging = createJudging({ context, puller, peer, agent, mode, trust, judge })
    try {
      const origin = async () => {
        const records = await puller.records(agent, { brief: true })
        const chain = await verifyGently(context, records)
        if (chain.agent !== agent) throw violation(peer, 'it shows the history of another agent')
        return { chain, records }
      }
      const first = await origin()
      const mine = inbound.ledger(agent)
      if (mine !== undefined) await inbound.reconcile(mine, first)
      // What it shows may be the proof.
      context.forks.check(peer)
      checkSource(first.chain, peer)
      if (first.chain.state !== null) checkVersion(first.chain.state.body, 'it')
      copied = true
      const manifest = await pullManifest(context, puller, first.chain)
      checkGuest(inbound.house(), manifest)
      const promised = {
        agent,
        handoff,
        to: context.peer,
        incarnation: context.incarnation,
        price: context.price,
        nonce: context.crypto.random(32),
      }
      const promise = () => makeReady({ ...promised, expiry: nowMs(context.clock) + READY_MS }, context.sign)
      let ready = await promise()
      await say(channel, { type: 'ready', ready: ready.bytes })
      const prepare = async (copied: Copy): Promise<Footing> => {
        const stale = ready.ready.expiry - nowMs(context.clock) < FRESH_MS
        if (stale) ready = await promise()
        const footing = await makeFooting(context, copied)
        await say(channel, { type: 'prepared', state: copied.state.cid, ...(stale ? { ready: ready.bytes } : {}) })
        return footing
      }
      let copy = await pullState(context, puller, { ...first, manifest })
      placed = await placeCopy(context, executor, copy)
      const orders = checkedOrders(offered)
      await judging.before(limit.signal)
      let footing = await prepare(copy)
      let tail: Tail | Error | undefined
      for (;;) {
        const next = await hear(channel, { clock: context.clock, ms: COMMIT_MS, signal: context.signal, max: MAX_FRAME })
        if (next === undefined) throw new IgorError('HANDOFF_FAILED', `${peer} left before it handed ${agent} over`)
        if (next.type === 'refresh' && tail === undefined) {
          copy = await pullState(context, puller, { ...(await origin()), manifest }, copy)
          executor.drop(placed)
          placed = await placeCopy(context, executor, copy)
          footing = await prepare(copy)
          continue
        }
        if (next.type === 'tail' && tail === undefined) {
          difference.hear(next)
          const frames = await hearTail(context, channel, next)
          const { refs } = footing
          judging.meanwhile()
          // Why it cannot be taken is the answer to the commit.
          tail = await applyTail(context, frames, { executor, placed, copy, refs }).catch(asError)
          continue
        }
        if (next.type !== 'commit' || tail === undefined) throw violation(peer, `${next.type} instead of tail and commit`)
        difference.hear(next)
        const since = next.count('sinceUs') / 1000 + difference.ms(puller.roundTrip)
        const record = decodeRecord(next.bytes('record', MAX_RECORD))
        const judged = isHandoff(record) && !(tail instanceof Error) ? await judging.after(record) : {}
        const found = judged.lie === undefined ? tail : new Error(judged.lie)
        const given = { copy, ground: footing.ground, tail: found, record, ready: ready.bytes, orders, placed, since }
        const { decision, begun } = await serial(() => decide(inbound, peer, given))
        decided = true
        if (decision.body.kind === 'accept' && judged.later !== undefined) haltIf(inbound, agent, judged.later)
        copied = decision.body.kind !== 'accept'
        if (decision.body.kind === 'accept') placed = undefined
        // With a witness its cosignature makes the decision one.
        if (decision.body.kind === 'accept') await inbound.committed(agent)
        // The source counts the standstill until it hears of this: no sooner than it ends.
        await begun
        const { bytes } = (await decisionOn(context, record)) ?? decision
        await say(channel, { type: 'done', record: bytes })
        break
      }
    } finally {
      judging.end()
      await puller.close().catch(() => {})
    }
  } catch (error) {
    if (!decided) await reject(channel, error).catch(() => {})
    context.report({
      level: 'info',
      code: 'HANDOFF_FAILED',
      agent,
      peer,
      message: messageOf(error),
    })
  } finally {
    limit.clear()
    if (placed !== undefined) executor.drop(placed)
    // Blocks of an agent that lives here by now (or has come meanwhile) are not this copy's to drop.
    if (copied) {
      await serial(async () => {
        const row = await context.store.get(keys.authority(agent))
        if (row === undefined || decodeRow(row).state === 'retired') await dropCopy(context, agent, row)
      }).catch(() => {})
    }
  }
}

/** It was taken in before all was run again: should that end badly, it does not go on. */
const haltIf = (inbound: Inbound, agent: string, later: Promise<string | undefined>): void => {
  const halt = async (): Promise<void> => {
    const why = await later
    if (why === undefined || inbound.ledger(agent)?.row.state !== 'active-owner') return
    await inbound.halt(agent, why)
    inbound.context.report({ level: 'error', code: 'AGENT_HALTED', agent, message: `${agent} is halted: ${why}` })
  }
  halt().catch(() => {})
}

interface Footing {
  readonly ground: Ground
  readonly refs: BlockRefs
}

/** Makes the copy durable and looks up what the accept will need, so that little is left to do in the standstill. */
const makeFooting = async (context: Context, copy: Copy): Promise<Footing> => {
  const refs = countRefs(copy.chain.genesis.body, copy.state)
  // What earlier rounds brought and this state does not need goes with its first commit.
  for (const name of copy.chunks) {
    if (refs.has(name)) continue
    refs.add(name)
    refs.release(name)
  }
  const ground = await prepareGround(context, copy.chain.agent, copy.records)
  await context.store.commit({ durable: true })
  return { ground, refs }
}
