/**
 * The target's side of a handoff: admission in the design's order, each step capped before the next;
 * copy; decide (docs/design.md, section 7).
 *
 * @module
 */
import {
  type Chain,
  decodeRecord,
  extendChain,
  type Handoff,
  keyOfDid,
  keyOfPeerId,
  LINEAGE_DOMAIN,
  type LineageRecord,
  MAX_ORDERS,
  makeReady,
  readOrder,
  readReady,
  verifySigned,
} from '@igor/lineage'
import { type BlockRefs, hexOf } from '../agent/blocks.ts'
import { type Context, nowMs } from '../agent/context.ts'
import type { Ledger } from '../agent/ledger.ts'
import { hasModule } from '../agent/modules.ts'
import { createKeyedSerial, type Serial } from '../agent/serial.ts'
import { countRefs } from '../agent/state.ts'
import { decodeRow } from '../authority/row.ts'
import { IgorError } from '../errors.ts'
import type { Executor, Placed } from '../execution/executor.ts'
import { keys } from '../keys.ts'
import type { Manifest } from '../manifest.ts'
import type { Channel } from '../platform.ts'
import { MAX_FRAME } from '../platform.ts'
import { pullFrom } from '../protocols/blocks.ts'
import { deadline, type Fields, hear, say, sayError, violation } from '../protocols/wire.ts'
import type { Judge } from '../replay/replay.ts'
import { type Copy, dropCopy, placeCopy, pullManifest, pullState, verifyGently } from './arrival.ts'
import { accept, decisionOn, type Ground, offeredHere, prepareGround, type RefusalCode, refuse } from './decide.ts'
import { judgeCopy, MAX_MOVE_FUEL } from './judgement.ts'
import { checkGuest, checkHouse, checkSource, type House } from './policy.ts'
import { ID_BYTES, OFFERED_ORDERS } from './source.ts'
import { applyTail, hearTail, type Tail } from './tail.ts'
import { takeIn } from './takeover.ts'

/** An offer carries one record and sizes. */
const MAX_OFFER = 4096
/** Moves that one peer may have under way here. */
const MAX_PER_PEER = 4
/** Moves under way here: each may hold a worker's copy of an agent. */
const MAX_ARRIVALS = 16
/** How long a ready stands: pre-copy of 64 MiB over a slow line fits. */
const READY_MS = 10 * 60_000
/** The source may tick on this long between pre-copy and commit. */
const COMMIT_MS = 60_000
const MAX_MEMORY = 64 * 1024 * 1024
/** A time further ahead than this would stay the agent's, as its clock never goes back. */
const MAX_AHEAD_MS = 5 * 60_000
/** Pulling a history of the greatest length, and checking it, takes less. */
const HISTORY_MS = 60_000

export interface Inbound {
  readonly context: Context
  readonly executor: Executor
  /** Policy and room now, the arrivals included. */
  house(): House
  /** What is known here of an agent; a pending handoff of it may end by what the peer shows. */
  ledger(agent: string): Ledger | undefined
  /** A peer shows a verified history of an agent that is known here. Throws when it conflicts. */
  reconcile(ledger: Ledger, theirs: { chain: Copy['chain']; records: readonly LineageRecord[] }): Promise<void>
  /** A ready for a file that this peer makes; throws when it would not be taken. */
  readyForFile(peer: string): Promise<Uint8Array>
  /** Lends a judge with a worker of its own. */
  judge<T>(task: (judge: Judge) => Promise<T>): Promise<T>
  /** Resolves when what an agent here wrote last is committed. @throws IgorError NOT_AUTHORITATIVE when it is refused for good */
  committed(agent: string): Promise<void>
  /** Removes modules that no agent here names. */
  sweep(): Promise<void>
  /**
   * The accept is durable: the agent lives here. `since` is `elapsed` at the end of its last tick, as well as both
   * clocks tell. Resolves when its first tick is under way, or soon if it does not tick now.
   */
  arrived(arrival: {
    ledger: Ledger
    manifest: Manifest
    init: Uint8Array
    /** In a worker already, with its present state. */
    placed?: Placed
    from: string
    /** Undefined: unknown, as whoever held it is gone. */
    since?: number
  }): Promise<void>
}

export interface Arrivals {
  readonly count: number
  handle(channel: Channel): Promise<void>
}

/** How many moves are on their way in, by peer. */
export const createArrivals = (inbound: Inbound): Arrivals => {
  const { context } = inbound
  const byPeer = new Map<string, number>()
  const agents = new Set<string>()
  const serialOf = createKeyedSerial()

  const admitPeer = (peer: string): (() => void) => {
    const open = byPeer.get(peer) ?? 0
    if (open >= MAX_PER_PEER) throw new IgorError('QUOTA', `${open} moves from that peer are under way already`)
    byPeer.set(peer, open + 1)
    return () => {
      const left = (byPeer.get(peer) ?? 1) - 1
      if (left === 0) byPeer.delete(peer)
      else byPeer.set(peer, left)
    }
  }

  const offer = async (channel: Channel, fields: Fields, come: (agent: string) => Promise<void>): Promise<void> => {
    let leave = (): void => {}
    let agent: string | undefined
    try {
      leave = admitPeer(channel.peer)
      agent = fields.text('agent', 128)
      if (agents.size >= MAX_ARRIVALS) throw new IgorError('QUOTA', `${agents.size} moves to this node are under way already`)
      if (agents.has(agent)) throw new IgorError('HANDOFF_PENDING', `${agent} is on its way to this node already`)
      agents.add(agent)
    } catch (error) {
      leave()
      return reject(channel, error)
    }
    try {
      await come(agent)
    } finally {
      agents.delete(agent)
      leave()
    }
    // A module that came for nothing would stay for ever, and anyone can offer one after the other.
    if (agents.size === 0 && inbound.ledger(agent)?.row.state !== 'active-owner') await inbound.sweep()
  }

  return {
    get count() {
      return agents.size
    },
    handle: async (channel) => {
      const first = await hear(channel, { clock: context.clock, signal: context.signal, max: 32 * 1024 })
      if (first === undefined) return
      if (first.type === 'offer') await offer(channel, first, (agent) => arrive(inbound, serialOf(agent), channel, agent, first))
      else if (first.type === 'takeover') await offer(channel, first, (agent) => takeOver(inbound, channel, agent))
      else if (first.type === 'status') await status(inbound, serialOf, channel, first)
      else if (first.type === 'ready?') await readyForFile(inbound, channel)
      else throw violation(channel.peer, `${first.type} instead of offer or status`)
    },
  }
}

const reject = async (channel: Channel, error: unknown): Promise<void> => {
  const known = error instanceof IgorError || (error instanceof Error && error.name === 'LineageError')
  const reason = known ? error.message : 'the other node failed'
  const code = error instanceof IgorError ? error.code : 'HOST_FAULT'
  await say(channel, { type: 'reject', code, reason: reason.slice(0, 1024) })
}

const arrive = async (inbound: Inbound, serial: Serial, channel: Channel, agent: string, fields: Fields): Promise<void> => {
  const { context, executor } = inbound
  const peer = channel.peer
  let placed: Placed | undefined
  let decided = false
  let copied = false
  // Whoever drips holds a place that others need; and what comes later than this is too late for its ready.
  const limit = deadline(context.clock, READY_MS, `the move of ${agent}`, context.signal)
  try {
    context.forks.check(peer)
    checkHouse(inbound.house(), peer)
    const difference = clockDifference(context)
    difference.hear(fields)
    const handoff = fields.bytes('id', ID_BYTES, true)
    const offered = fields.has('orders') ? fields.list('orders', MAX_ORDERS, readOffered) : []
    checkHead(context, peer, agent, fields.bytes('head', MAX_OFFER))
    if (fields.count('memory') > MAX_MEMORY) throw new IgorError('HANDOFF_REJECTED', 'its memory is larger than 64 MiB')
    const { price } = context
    if (fields.has('priceCap') && price > fields.big('priceCap')) {
      throw new IgorError(
        'HANDOFF_REJECTED',
        `this node asks ${price} microcents a second, the agent pays ${fields.big('priceCap')}`,
      )
    }
    checkReplay(inbound.house(), BigInt(fields.count('replayFuel')))
    limit.signal.addEventListener('abort', () => channel.abort(asError(limit.signal.reason)))
    const puller = await pullFrom(context, peer, true, limit.signal)
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
      copied = true
      const manifest = await pullManifest(context, puller, first.chain)
      checkGuest(inbound.house(), manifest)
      const ready = await makeReady(
        {
          agent,
          handoff,
          to: context.peer,
          incarnation: context.incarnation,
          price,
          nonce: context.crypto.random(32),
          expiry: nowMs(context.clock) + READY_MS,
        },
        context.sign,
      )
      await say(channel, { type: 'ready', ready: ready.bytes })
      let copy = await pullState(context, puller, { ...first, manifest })
      placed = await placeCopy(context, executor, copy)
      const orders = checkedOrders(offered)
      const judging = { context, puller, peer, copy, mode: inbound.house().policy.replay ?? 'on-handoff', judge: inbound.judge }
      await judgeCopy({ ...judging, signal: limit.signal })
      let footing = await prepare(context, channel, copy)
      let tail: Tail | Error | undefined
      for (;;) {
        const next = await hear(channel, { clock: context.clock, ms: COMMIT_MS, signal: context.signal, max: MAX_FRAME })
        if (next === undefined) throw new IgorError('HANDOFF_FAILED', `${peer} left before it handed ${agent} over`)
        if (next.type === 'refresh' && tail === undefined) {
          copy = await pullState(context, puller, { ...(await origin()), manifest }, copy)
          executor.drop(placed)
          placed = await placeCopy(context, executor, copy)
          footing = await prepare(context, channel, copy)
          continue
        }
        if (next.type === 'tail' && tail === undefined) {
          difference.hear(next)
          const frames = await hearTail(context, channel, next)
          const { refs } = footing
          // Why it cannot be taken is the answer to the commit.
          tail = await applyTail(context, frames, { executor, placed, copy, refs }).catch(asError)
          continue
        }
        if (next.type !== 'commit' || tail === undefined) throw violation(peer, `${next.type} instead of tail and commit`)
        difference.hear(next)
        const since = next.count('sinceUs') / 1000 + difference.ms(puller.roundTrip)
        const record = decodeRecord(next.bytes('record', 24 * 1024))
        const given = { copy, ground: footing.ground, tail, record, ready: ready.bytes, orders, placed, since }
        const { decision, begun } = await serial(() => decide(inbound, peer, given))
        decided = true
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
      await puller.close().catch(() => {})
    }
  } catch (error) {
    if (!decided) await reject(channel, error).catch(() => {})
    context.report({
      level: 'info',
      code: 'HANDOFF_FAILED',
      agent,
      peer,
      message: error instanceof Error ? error.message : String(error),
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

/** The witness gives an agent away whose holder is gone. */
const takeOver = async (inbound: Inbound, channel: Channel, agent: string): Promise<void> => {
  const { context } = inbound
  const { peer } = channel
  const limit = deadline(context.clock, READY_MS, `the takeover of ${agent}`, context.signal)
  limit.signal.addEventListener('abort', () => channel.abort(asError(limit.signal.reason)))
  try {
    const puller = await pullFrom(context, peer, true, limit.signal)
    try {
      await takeIn(inbound, {
        agent,
        from: peer,
        puller,
        recover: async (ready) => {
          await say(channel, { type: 'ready', ready })
          const next = await hear(channel, { clock: context.clock, ms: COMMIT_MS, signal: context.signal })
          if (next?.type !== 'commit') throw new IgorError('HANDOFF_FAILED', `${peer} did not give ${agent} away after all`)
          return decodeRecord(next.bytes('record', 24 * 1024))
        },
      })
    } finally {
      await puller.close().catch(() => {})
    }
    await say(channel, { type: 'taken' })
  } catch (error) {
    await reject(channel, error).catch(() => {})
    const message = error instanceof Error ? error.message : String(error)
    context.report({ level: 'info', code: 'HANDOFF_FAILED', agent, peer, message })
  } finally {
    limit.clear()
  }
}

/** What the last state alone would take is told before anything is pulled. */
const checkReplay = ({ policy }: House, offered: bigint): void => {
  if ((policy.replay ?? 'on-handoff') === 'on-handoff' && offered > MAX_MOVE_FUEL)
    throw new IgorError('HANDOFF_REJECTED', `to run its last ticks again takes ${offered} fuel, this node runs ${MAX_MOVE_FUEL}`)
}

/** One signature before anything is pulled: the head is this peer's own, or the agent's birth at it. */
const checkHead = (context: Context, peer: string, agent: string, bytes: Uint8Array): void => {
  const head = decodeRecord(bytes)
  const ahead = aheadBy(context, head.body.time)
  if (ahead !== undefined) throw new IgorError('HANDOFF_REJECTED', `that node's clock is ${ahead} ahead of this one's`)
  if (head.body.agent !== agent) throw violation(peer, 'the head that it offers belongs to another agent')
  const byOwner = head.body.kind === 'genesis'
  if (head.body.kind === 'genesis' && head.body.authority !== peer)
    throw violation(peer, 'it is not the host that the genesis names')
  if (!verifySigned(LINEAGE_DOMAIN, head.signed, byOwner ? keyOfDid(agent) : keyOfPeerId(peer))) {
    throw violation(peer, `the head of ${agent} is not signed by it`)
  }
}

/** Makes the copy durable and looks up what the accept will need, so that little is left to do in the standstill. */
const prepare = async (context: Context, channel: Channel, copy: Copy): Promise<{ ground: Ground; refs: BlockRefs }> => {
  const refs = countRefs(copy.chain.genesis.body, copy.state)
  // What earlier rounds brought and this state does not need goes with its first commit.
  for (const name of copy.chunks) {
    if (refs.has(name)) continue
    refs.add(name)
    refs.release(name)
  }
  const ground = await prepareGround(context, copy.chain.agent, copy.records)
  await context.store.commit({ durable: true })
  await say(channel, { type: 'prepared', state: copy.state.cid })
  return { ground, refs }
}

/** How far a time (Unix ms) lies ahead of this clock, when that is too far. */
const aheadBy = ({ clock }: Context, time: number): string | undefined => {
  const ahead = time - nowMs(clock)
  return ahead > MAX_AHEAD_MS ? `${Math.round(ahead / 1000)} s` : undefined
}

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)))

/**
 * How far this clock is ahead of the source's. Each message says when it left; the one that was under way for the
 * shortest time tells best, and it took about half a round trip.
 */
const clockDifference = ({ clock }: Context) => {
  let least = Number.POSITIVE_INFINITY
  return {
    hear: (message: Fields): void => {
      least = Math.min(least, clock.elapsed() - message.count('clockUs') / 1000)
    },
    ms: (roundTrip: number): number => least - roundTrip / 2,
  }
}

const readOffered = (item: unknown, fail: (what: string) => never): Uint8Array =>
  item instanceof Uint8Array && item.length <= OFFERED_ORDERS ? item : fail('orders')

/** Those that are what they seem; of the others the record will tell. */
const checkedOrders = (orders: readonly Uint8Array[]): Uint8Array[] =>
  orders.filter((bytes) => {
    try {
      readOrder(bytes)
      return true
    } catch {
      return false
    }
  })

interface Decision {
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

interface Decided {
  readonly decision: LineageRecord
  /** When it was accepted: its first tick is under way. */
  readonly begun?: Promise<void>
}

const isHandoff = (record: LineageRecord): record is LineageRecord<Handoff> => record.body.kind === 'handoff'
const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((byte, i) => byte === b[i])

/** Accepts, or refuses with a reason: once a handoff record is valid and names this node, it gets a decision. */
const decide = async (inbound: Inbound, peer: string, given: Decision): Promise<Decided> => {
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
const ordered = async (context: Context, witness: string | null, refusal: LineageRecord): Promise<LineageRecord> => {
  if (witness === null || refusal.cosignatures.length > 0) return refusal
  const { agent, epoch, seq } = refusal.body
  const link = await context.links.to(witness, [], context.signal)
  const answer = await link.commit({ agent, records: [refusal], blocks: [], read: async () => undefined }, context.signal)
  if (answer.kind !== 'cosigned')
    throw new IgorError('HANDOFF_PENDING', `the witness of ${agent} does not know the handoff that is refused`)
  await context.store.commit({ put: [[keys.refusal(agent, epoch, seq), answer.record.bytes]] })
  return answer.record
}

const readyForFile = async (inbound: Inbound, channel: Channel): Promise<void> => {
  try {
    await say(channel, { type: 'ready', ready: await inbound.readyForFile(channel.peer) })
  } catch (error) {
    await sayError(channel, error)
  }
}

/**
 * A refuse takes a slot for good: only whoever held the agent up to this very handoff gets one, or any
 * peer could use up the slots that the true holder's handoff needs.
 *
 * @throws IgorError PROTOCOL_VIOLATION
 */
const checkAsker = async (context: Context, peer: string, record: LineageRecord<Handoff>): Promise<Chain> => {
  const limit = deadline(context.clock, HISTORY_MS, `peer ${peer}`, context.signal)
  try {
    const puller = await pullFrom(context, peer, false, limit.signal)
    try {
      const chain = await verifyGently(context, await puller.records(record.body.agent, { brief: true }))
      if (!chain.head.id.equals(record.id) || offeredHere(context, chain) === undefined)
        throw violation(peer, 'the history that it shows does not end in the handoff that it asks about')
      return chain
    } finally {
      await puller.close().catch(() => {})
    }
  } finally {
    limit.clear()
  }
}

/** Asked about a handoff: the decision that was made, or a refusal now, or `unknown` for another incarnation. */
const status = async (inbound: Inbound, serialOf: (agent: string) => Serial, channel: Channel, fields: Fields): Promise<void> => {
  const { context } = inbound
  try {
    const record = decodeRecord(fields.bytes('record', 24 * 1024))
    if (!isHandoff(record)) throw violation(channel.peer, 'it asks about something that is no handoff')
    const { ready } = readReady(record.body.ready)
    if (ready.to !== context.peer) throw violation(channel.peer, 'it asks about a handoff to somebody else')
    if (hexOf(ready.incarnation) !== hexOf(context.incarnation)) {
      await say(channel, { type: 'unknown', incarnation: context.incarnation })
      return
    }
    const inFile = ready.agent === null
    if (!verifySigned(LINEAGE_DOMAIN, record.signed, keyOfPeerId(channel.peer)))
      throw violation(channel.peer, 'the handoff that it asks about is not its own')
    const { agent } = record.body
    const serial = serialOf(agent)
    let decision = await serial(() => decisionOn(context, record))
    // A handoff in a file is decided when the file comes, or when its time is over.
    const waits = decision === undefined && inFile && nowMs(context.clock) <= ready.expiry
    if (decision?.body.kind === 'accept') {
      // Its own holder brings it to the witness; before that has cosigned it, it is no decision.
      const witnessed = inbound.ledger(agent)?.chain.witness != null
      if (witnessed && decision.cosignatures.length === 0) decision = undefined
    } else if (!waits && (decision === undefined || decision.cosignatures.length === 0)) {
      const { witness } = await checkAsker(context, channel.peer, record)
      decision = await serial(
        async () =>
          (await decisionOn(context, record)) ??
          refuse(context, record, 'interrupted', 'the move was interrupted before it was complete'),
      )
      if (decision.body.kind === 'refuse') decision = await ordered(context, witness, decision)
    }
    await say(channel, decision === undefined ? { type: 'undecided' } : { type: 'done', record: decision.bytes })
  } catch (error) {
    await sayError(channel, error)
  }
}
