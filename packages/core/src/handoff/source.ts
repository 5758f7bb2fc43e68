/**
 * The source's side of a handoff: offer, serve while ticking, stop at a boundary, commit (docs/design.md, section 7).
 *
 * @module
 */
import { changedChunks, decodeOrder, decodeState, type Handoff, type LineageRecord, readReady } from '@igor/lineage'
import type { Context } from '../agent/context.ts'
import type { Hosted } from '../agent/hosted.ts'
import type { Ledger } from '../agent/ledger.ts'
import type { Move, MovePhase } from '../api.ts'
import { IgorError } from '../errors.ts'
import type { Channel } from '../platform.ts'
import { type Fields, hearAnswer, inTime, say, violation } from '../protocols/wire.ts'
import { isProgress } from '../replay/spans.ts'
import { asError } from '../thrown.ts'
import { checkMigration } from './policy.ts'
import { clockUs, HANDOFF_PROTOCOL, ID_BYTES, OFFERED_ORDERS, readDecision } from './protocol.ts'
import { type Base, sendTail } from './tail.ts'

/** A target that copies 64 MiB over a slow line needs minutes; one that is silent this long is gone. */
const COPY_MS = 5 * 60_000
/** The most that a number in a message says. */
const MAX_TOLD = BigInt(Number.MAX_SAFE_INTEGER)
/** After the commit the target has only the tail to verify. */
const DONE_MS = 20_000
/** Chunks that may still differ when the agent stops: 1 MiB crosses any direct line in well under a second. */
const MAX_TAIL_CHUNKS = 256
/** Copying again while it ticks stops paying when an agent rewrites its memory each tick. */
const MAX_ROUNDS = 4

/** An agent on its way out: who may pull its blocks, and how far they are. */
export interface Outgoing {
  readonly agent: string
  readonly peer: string
  onserved(bytes: number): void
}

export interface MoveOut {
  readonly hosted: Hosted
  /** Peer id or multiaddr. */
  readonly target: string
  /** The orders that asked for it, signed. */
  readonly orders: readonly Uint8Array[]
  readonly outgoing: Map<string, Outgoing>
  readonly onprogress: (phase: MovePhase, done: number, total: number) => void
  /** The handoff record is durable: the agent does not tick here any more. */
  readonly onstopped: () => void
  /** The target's decision, verified by the ledger when it is applied. */
  readonly settle: (decision: LineageRecord) => Promise<void>
  readonly signal?: AbortSignal
}

/**
 * Moves an agent. Until its handoff record is written a failure changes nothing; after that the
 * agent stands still here until the target's decision is known.
 *
 * @throws IgorError HANDOFF_REJECTED | HANDOFF_REFUSED | HANDOFF_FAILED | HANDOFF_PENDING | PEER_UNREACHABLE
 */
export const moveOut = async (context: Context, options: MoveOut): Promise<Move> => {
  const { hosted, outgoing } = options
  const { agent } = hosted.ledger
  if (outgoing.has(agent)) throw new IgorError('HANDOFF_PENDING', `${agent} is moving already: wait until it has arrived`)
  if (!hosted.manifest.migration.enabled) checkMigration('', 0n, hosted.manifest)
  // Its place is taken at once: another move of it would pull this one's permission away.
  outgoing.set(agent, { agent, peer: '', onserved: () => {} })
  try {
    return await leave(context, options)
  } finally {
    outgoing.delete(agent)
  }
}

const leave = async (context: Context, options: MoveOut): Promise<Move> => {
  const { hosted, outgoing, onprogress, signal } = options
  const { ledger } = hosted
  const { agent } = ledger
  onprogress('offer', 0, 1)
  const channel = await context.network.open(options.target, HANDOFF_PROTOCOL, { direct: true, ...(signal ? { signal } : {}) })
  const { peer } = channel
  const total = ledger.current?.block.memory.bytes ?? 0
  let served = 0
  // At a boundary, so that no commit under way drops what is about to be offered.
  const unpin = await hosted.atState(async () => ledger.refs.pin())
  const relax = hosted.keepStates()
  outgoing.set(agent, {
    agent,
    peer,
    onserved: (bytes) => {
      served += bytes
      onprogress('copy', Math.min(served, total), total)
    },
  })
  try {
    context.forks.check(peer)
    if (peer === context.peer) throw new IgorError('BAD_REQUEST', `${agent} lives at ${peer} already`)
    const offered = await offer(context, channel, hosted, options.orders, signal)
    const { base, ready } = await precopy(context, channel, hosted, offered, signal)
    onprogress('stop', 0, 1)
    const stopped = await hosted.depart(async ({ change, since }) => {
      const prepared = change === undefined ? undefined : await ledger.prepare(change)
      // A later order may have been applied while the agent was copied: this one is then named no more.
      const orders = options.orders.filter((bytes) => decodeOrder(bytes).order.n > ledger.lastOrder)
      const present = prepared?.next ?? ledger.current
      if (present === undefined) throw new IgorError('NOT_AUTHORITATIVE', `${agent} does not live here now`)
      // On its way while the record is written. Should that fail, the target drops it with the channel.
      const sent = sendTail(context, channel, ledger, { base, present, change })
      sent.catch(() => {})
      const record = await ledger.handoff(ready, orders, prepared)
      return { record, since, sent }
    })
    options.onstopped()
    onprogress('commit', 0, 1)
    const decision = await commit(context, channel, hosted, stopped).catch((cause) => {
      throw new IgorError('HANDOFF_PENDING', `${peer} has not answered since ${agent} left for it: this node keeps asking`, {
        cause,
      })
    })
    const downtimeMs = context.clock.elapsed() - stopped.since
    await options.settle(decision)
    if (decision.body.kind === 'refuse') {
      throw new IgorError('HANDOFF_REFUSED', `${peer} refused ${agent}: ${decision.body.reason}. It goes on here.`)
    }
    onprogress('commit', 1, 1)
    return { agent, from: context.peer, to: peer, tick: stopped.record.body.tick, downtimeMs }
  } catch (error) {
    channel.abort(asError(error))
    throw error
  } finally {
    relax()
    unpin()
    await channel.close().catch(() => {})
  }
}

/** What running the way to its last state again takes: the target may want to know before it copies anything. */
const replayFuel = ({ chain, records }: Ledger): number => {
  const states = records.filter((record) => isProgress(record) && record.body.state !== null)
  const before = states.at(-2)
  const fuel = (chain.state?.body.fuel ?? 0n) - (before !== undefined && isProgress(before) ? before.body.fuel : 0n)
  return Number(fuel < MAX_TOLD ? fuel : MAX_TOLD)
}

const offer = async (
  context: Context,
  channel: Channel,
  { ledger, manifest }: Hosted,
  orders: readonly Uint8Array[],
  signal: AbortSignal | undefined,
): Promise<Uint8Array> => {
  const short = orders.reduce((sum, { length }) => sum + length, 0) <= OFFERED_ORDERS
  await say(
    channel,
    {
      type: 'offer',
      clockUs: clockUs(context),
      id: context.crypto.random(ID_BYTES),
      agent: ledger.agent,
      head: ledger.chain.head.bytes,
      memory: ledger.current?.block.memory.bytes ?? 0,
      replayFuel: replayFuel(ledger),
      // To be checked while the agent still ticks.
      ...(short ? { orders } : {}),
      ...(manifest.migration.maxPricePerSecond === null ? {} : { priceCap: manifest.migration.maxPricePerSecond }),
    },
    signal,
  )
  const answer = await hearAnswer(channel, { clock: context.clock, ...(signal ? { signal } : {}) })
  if (answer.type === 'reject')
    throw new IgorError(
      answer.has('code') && answer.text('code', 64) === 'VERSION_UNKNOWN' ? 'VERSION_UNKNOWN' : 'HANDOFF_REJECTED',
      `${channel.peer} does not take ${ledger.agent}: ${answer.text('reason', 1024)}`,
    )
  if (answer.type !== 'ready') throw violation(channel.peer, `${answer.type} instead of ready`)
  return readyIn(channel, answer, { ledger, manifest })
}

const readyIn = ({ peer }: Channel, fields: Fields, { ledger, manifest }: Pick<Hosted, 'ledger' | 'manifest'>): Uint8Array => {
  const bytes = fields.bytes('ready', 1024)
  const { ready } = readReady(bytes)
  if (ready.to !== peer) throw violation(peer, 'its ready is signed by somebody else')
  if (ready.agent !== ledger.agent) throw violation(peer, 'its ready is for another agent')
  checkMigration(ready.to, ready.price, manifest)
  return bytes
}

/** The state that the target has when little enough is left, and the last ready that it gave. */
const precopy = async (
  context: Context,
  channel: Channel,
  hosted: Hosted,
  offered: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<{ readonly base: Base; readonly ready: Uint8Array }> => {
  const { ledger } = hosted
  let ready = offered
  for (let round = 1; ; round++) {
    const prepared = await hearAnswer(channel, { clock: context.clock, ms: COPY_MS, ...(signal ? { signal } : {}) })
    if (prepared.type === 'reject')
      throw new IgorError('HANDOFF_REJECTED', `${channel.peer} does not take ${ledger.agent}: ${prepared.text('reason', 1024)}`)
    if (prepared.type !== 'prepared') throw violation(channel.peer, `${prepared.type} instead of prepared`)
    if (prepared.has('ready')) ready = readyIn(channel, prepared, hosted)
    const cid = prepared.cid('state')
    const bytes = await ledger.readBlock(cid.multihash.digest)
    // What it offered is dropped when somebody else has the agent.
    if (ledger.row.state !== 'active-owner')
      throw new IgorError('NOT_AUTHORITATIVE', `${ledger.agent} went on elsewhere before it could move`)
    if (bytes === undefined) throw violation(channel.peer, 'it prepared a state that was not offered')
    const block = decodeState(bytes)
    const now = ledger.current?.block
    if (now === undefined || round >= MAX_ROUNDS || changedChunks(block, now).length <= MAX_TAIL_CHUNKS)
      return { base: { cid, block }, ready }
    await say(channel, { type: 'refresh' }, signal)
  }
}

interface Stopped {
  readonly record: LineageRecord<Handoff>
  /** `elapsed` when it began to stand still. */
  readonly since: number
  readonly sent: Promise<void>
}

const commit = async (
  context: Context,
  channel: Channel,
  { ledger, commitment }: Hosted,
  { record, since, sent }: Stopped,
): Promise<LineageRecord> => {
  // A witness ends this node's lease with its cosignature; without that the record moves nothing.
  const told = Promise.all([sent, commitment.committed()])
  // A target that stops reading must not keep this node from asking what it decides.
  await inTime(context.clock, DONE_MS, `peer ${channel.peer}`, told, context.signal)
  const sinceUs = Math.round(since * 1000)
  const { bytes } = commitment.witnessed ? ledger.chain.head : record
  await say(channel, { type: 'commit', record: bytes, clockUs: clockUs(context), sinceUs })
  return readDecision(channel, record, await hearAnswer(channel, { clock: context.clock, ms: DONE_MS }))
}
