/**
 * Putting a head: what it needs is collected, then all of it is durable with the head, and only then is there a
 * cosignature.
 *
 * @module
 */
import { type Chain, cosign, type LineageRecord, type Sign, type StateBlock, withCosignatures, withCosigned } from '@igor/lineage'
import type { CID } from 'multiformats/cid'
import { hexOf } from '../agent/blocks.ts'
import { type CommitRequest, MAX_WANT, refuse } from '../authority/witness.ts'
import { IgorError } from '../errors.ts'
import type { Clock, Crypto, Store } from '../platform.ts'
import { checkBlockSize, digestOf, type Entry, encodeHeadRow, type HeadRow, needsOf } from './entry.ts'
import { keep } from './head.ts'
import type { Heads } from './heads.ts'
import { witnessKeys } from './keys.ts'

/** Of one agent: its memory at its largest, module, journal, and one state more while it changes. */
const MAX_AGENT_BLOCKS = 40_000

/** What becomes of a head. */
export interface Next {
  readonly chain: Chain
  readonly records: readonly LineageRecord[]
  /** The holder itself was heard, or extended it. */
  readonly confirms: boolean
  /** Who gets the lease. */
  readonly holder: string | undefined
}

export interface SettleOptions {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly store: Store
  /** Peer id of the witness's key. */
  readonly id: string
  readonly sign: Sign
  readonly incarnation: Uint8Array
  readonly heads: Heads
}

export type Settle = (
  peer: string,
  entry: Entry | undefined,
  next: Next,
  request: Pick<CommitRequest, 'agent' | 'blocks' | 'fetch'>,
) => Promise<LineageRecord>

export const createSettle = ({ clock, crypto, store, id, sign, incarnation, heads }: SettleOptions): Settle => {
  /** Collects what the head needs, then makes all of it durable with the head, and gives the cosignature. */
  const settle = async (
    peer: string,
    entry: Entry | undefined,
    { chain, records, confirms, holder }: Next,
    request: Pick<CommitRequest, 'agent' | 'blocks' | 'fetch'>,
  ): Promise<LineageRecord> => {
    const { agent } = request
    const pushed = new Map<string, Uint8Array>()
    const digests = await crypto.sha256(request.blocks)
    for (const [i, bytes] of request.blocks.entries()) {
      checkBlockSize(peer, bytes)
      pushed.set(hexOf(digests[i] ?? new Uint8Array()), bytes)
    }
    const held = entry?.held ?? new Set<string>()
    const available = {
      has: (digest: string) => pushed.has(digest) || held.has(digest),
      get: async (digest: string) => pushed.get(digest) ?? (await store.get(witnessKeys.block(agent, digest))),
    }
    // One that is given up, or handed over to another witness, needs nothing here any more.
    const gone = chain.authority.status === 'retired' || (chain.changing !== null && chain.changing.to !== id)
    const before = entry?.head.chain.state?.id
    const sameState = before !== undefined && chain.state?.id.equals(before) === true
    let all: ReadonlySet<string> = new Set()
    let state: StateBlock | undefined
    while (!gone) {
      const needs = await needsOf({ chain, records }, available, entry?.state, sameState)
      all = needs.all
      state = needs.state
      if (all.size > MAX_AGENT_BLOCKS) throw new IgorError('QUOTA', `${agent} needs more blocks than a witness keeps`)
      if (needs.missing.length === 0) break
      await bring(peer, agent, needs.missing.slice(0, MAX_WANT), held, request)
    }
    const last = records.at(-1)
    if (last === undefined) throw refuse('no record was shown')
    const mine = await cosign(last, id, incarnation, sign)
    const others = last.cosignatures.filter(({ by }) => by !== id)
    const record = withCosignatures(last, [...others, mine])
    const kept = keep([...records.slice(0, -1), record])
    const stays = new Set(kept.map(({ body }) => witnessKeys.record(agent, body.epoch, body.seq)))
    const lease = holder === undefined ? (entry?.row.lease ?? null) : heads.nextLease(entry?.row, holder)
    const row: HeadRow = {
      epoch: chain.head.body.epoch,
      seq: chain.head.body.seq,
      id: chain.head.id,
      incarnation: confirms ? incarnation : (entry?.row.incarnation ?? incarnation),
      frozen: null,
      lease: gone ? null : lease,
    }
    const rowBytes = encodeHeadRow(row)
    const known = entry === undefined ? [] : entry.head.records
    const garbage = [...held].filter((digest) => !all.has(digest))
    await store.commit({
      put: [
        ...[...pushed]
          .filter(([digest]) => all.has(digest) && !held.has(digest))
          .map(([digest, bytes]) => [witnessKeys.block(agent, digest), bytes] as const),
        ...kept
          .filter((one) => !known.includes(one))
          .map((one) => [witnessKeys.record(agent, one.body.epoch, one.body.seq), one.bytes] as const),
        [witnessKeys.head(agent), rowBytes],
      ],
      remove: [
        ...garbage.map((digest) => witnessKeys.block(agent, digest)),
        ...known.map(({ body }) => witnessKeys.record(agent, body.epoch, body.seq)).filter((key) => !stays.has(key)),
      ],
      expect: [[witnessKeys.head(agent), entry?.rowBytes]],
    })
    const nowHeld = new Set([...held, ...pushed.keys()].filter((digest) => all.has(digest)))
    heads.set(agent, {
      head: { chain: withCosigned(chain, record), records: kept, frozen: null },
      row,
      rowBytes,
      held: nowHeld,
      state,
      seen: clock.elapsed(),
    })
    return record
  }

  /** Gets missing blocks and keeps them, though not yet for sure: the commit of the head makes them durable. */
  const bring = async (
    peer: string,
    agent: string,
    want: readonly CID[],
    held: Set<string>,
    request: Pick<CommitRequest, 'fetch'>,
  ): Promise<void> => {
    const blocks = await request.fetch(want)
    const digests = await crypto.sha256(blocks)
    const wanted = new Set(want.map(digestOf))
    const put: (readonly [string, Uint8Array])[] = []
    for (const [i, bytes] of blocks.entries()) {
      checkBlockSize(peer, bytes)
      const digest = hexOf(digests[i] ?? new Uint8Array())
      if (!wanted.delete(digest)) throw new IgorError('PROTOCOL_VIOLATION', `peer ${peer} sent a block that was not asked for`)
      put.push([witnessKeys.block(agent, digest), bytes])
    }
    if (wanted.size > 0) throw refuse(`${wanted.size} of the blocks that it needs are missing`)
    await store.commit({ put, durable: false })
    for (const digest of digests) held.add(hexOf(digest))
  }

  return settle
}
