/**
 * The persistent side of one agent at one store: its chain, its authority row, its state's blocks.
 * Every change is one atomic, fenced commit; what is in memory follows only when it is durable.
 *
 * @module
 */
import {
  type Body,
  type Checkpoint,
  extendChain,
  type Handoff,
  type JournalEntry,
  type LineageRecord,
  type Progress,
  type Retire,
  signRecord,
  termsOrdered,
  withCosigned,
} from '@igor/lineage'
import { CURRENT, sameVersion } from '@igor/sandbox'
import type { CID } from 'multiformats/cid'
import type { History } from '../authority/judge.ts'
import { type ActiveOwner, doubt, encodeRow, extend, giveUp, handOff, type Row, type Slot } from '../authority/row.ts'
import { ConflictError, IgorError } from '../errors.ts'
import { keys } from '../keys.ts'
import type { Expectation } from '../platform.ts'
import { type BlockRefs, hexOf } from './blocks.ts'
import { type Meter, meterOf, payableFuel } from './budget.ts'
import { type Context, nowMs } from './context.ts'
import { otherBranch, type Position, recordKey, type Step, slotOf, stepAcross, stepAway, stepBack, stepOn } from './history.ts'
import { type Journal, openJournal, versionSince } from './journal.ts'
import { type Change, createLiveState, type LiveState, type NextLive } from './live-state.ts'
import { createRetention, DEFAULT_KEEP, owedStates, type Retention } from './retention.ts'
import { type Current, countRefs, type Rows } from './state.ts'
import type { Author } from './turns.ts'

export interface Ledger extends Position, Pick<LiveState, 'current' | 'present' | 'tick' | 'since' | 'version' | 'entries'> {
  readonly agent: string
  /** n of the last order applied. */
  readonly lastOrder: number
  readonly meter: Meter
  /** What the budget pays for now; undefined: it costs nothing. */
  readonly payable: bigint | undefined
  /** What it did since its last state ran by another version than this node's, which takes effect at the next state. */
  readonly outdated: boolean
  /** There are entries that no record names yet … */
  readonly open: boolean
  /** … and some that a crash would lose. */
  readonly pending: boolean
  readonly refs: BlockRefs
  readBlock(digest: Uint8Array): Promise<Uint8Array | undefined>
  /** Commits entries: without `durable` a crash loses them, unless later ones were. */
  commit(entries: readonly JournalEntry[], durable: boolean): Promise<void>
  /** Signs and commits a checkpoint without a state: it names what was journaled since the last record. @param orders signed */
  seal(orders?: readonly Uint8Array[]): Promise<LineageRecord<Checkpoint>>
  /** Signs and commits a checkpoint with a state. */
  checkpoint(change: Change): Promise<LineageRecord<Checkpoint>>
  /** The state after a change, in memory; `handoff` writes it. */
  prepare(change: Change): Promise<Prepared>
  /** Signs and commits a handoff of the present state, or of one that was prepared, in one commit with that. */
  handoff(ready: Uint8Array, orders: readonly Uint8Array[], prepared?: Prepared): Promise<LineageRecord<Handoff>>
  /** After the target's refuse: takes the agent back at the old price. */
  takeBack(refuse: LineageRecord): Promise<void>
  /** The target's accept was seen: drops state and blocks, keeps the history. */
  depart(records: readonly LineageRecord[]): Promise<void>
  /** The owner recovered the agent past this branch: this node's copy and its last records give way. */
  supersede(theirs: History): Promise<void>
  retire(because: string, orders: readonly Uint8Array[]): Promise<void>
  halt(why: string): Promise<void>
  /** A record here came back from the witness with its cosignature, which stays with it. */
  cosigned(record: LineageRecord): Promise<void>
}

/** A state that is not written yet, and what its record will say. */
export interface Prepared extends NextLive {
  readonly progress: Progress
}

/** What a ledger is made of, when it was loaded or just begun. */
export interface LedgerParts extends Position {
  readonly current: Current | undefined
  /** Uses of the blocks of `current` and of the origin, where they were counted before. */
  readonly refs?: BlockRefs
  /** States behind the present one whose blocks are here. */
  readonly retention?: Retention
  /** Segments that records without a state named since `current`. */
  readonly sealed?: readonly JournalEntry[]
  readonly journal?: Journal
}

/** Records that stay while somebody pulls: of an agent on its way each boundary has one. */
const MAX_PINNED_RECORDS = 4096

export const openLedger = (context: Context, parts: LedgerParts): Ledger => {
  const { store, turns, clock, keep = DEFAULT_KEEP, version: own = CURRENT } = context
  const { agent } = parts.chain
  let { chain, row, records } = parts
  const refs = parts.refs ?? countRefs(chain.genesis.body, parts.current)
  const retention = parts.retention ?? createRetention(keep, refs)
  const journal = parts.journal ?? openJournal(agent, row.slot)
  const { current, sealed = [] } = parts
  // Rows that do not say it were written by the version that made the state.
  const ranBy = versionSince(chain, records) ?? chain.state?.body
  const { crypto } = context
  const { tick } = chain
  const live = createLiveState({ agent, crypto, refs, retention, journal, current, sealed, ranBy, own, tick })
  const ownerKey = keys.owner(agent)

  let encoded: { readonly row: Row; readonly bytes: Uint8Array } | undefined
  const rowBytes = (): Uint8Array => {
    if (encoded?.row !== row) encoded = { row, bytes: encodeRow(row) }
    return encoded.bytes
  }

  const fence = (): Expectation[] => [
    [ownerKey, context.fence],
    [keys.authority(agent), rowBytes()],
  ]

  const author: Author = {
    agent,
    get place() {
      return journal.place
    },
    // Whoever takes the agent over writes this row too: it names the record that made the agent its own.
    expect: () => [keys.authority(agent), rowBytes()],
    fold: journal.fold,
  }

  const stand = (step: Position): void => {
    chain = step.chain
    row = step.row
    records = step.records
  }

  const base = <K extends Body['kind']>(kind: K) => ({
    kind,
    agent,
    seq: chain.head.body.seq + 1,
    prev: chain.head.id,
    anchor: chain.anchor.id,
    epoch: chain.epoch,
    time: Math.max(nowMs(clock), chain.head.body.time),
  })

  const write = async <B extends Body>(body: B, next: (row: Row, slot: Slot) => Row, rows: Rows): Promise<LineageRecord<B>> => {
    const record = await signRecord(body, context.sign)
    // Who pulls it, a target that runs it again among them, asks for all that came since it began.
    const least = refs.pinned ? MAX_PINNED_RECORDS : 1
    const step = stepOn({ chain, row, records }, record, next(row, slotOf(record)), keep, least)
    await store.commit({
      put: [...(rows.put ?? []), ...step.put],
      remove: [...(rows.remove ?? []), ...step.remove],
      // The row alone says which slots were used; a damaged store cannot say of a key that it never was.
      expect: [...fence(), ...(store.damaged ? [] : [[recordKey(record), undefined] as const])],
    })
    // One before it may have been cosigned meanwhile, and with it the witness have changed.
    const { cosigned, witness, changing } = chain
    const begins = step.chain.changing?.record.id.equals(record.id) === true
    stand({
      chain: { ...step.chain, cosigned, ...(begins ? {} : { witness, changing }) },
      row: step.row,
      records: step.records.map((one) => [cosigned, changing?.record].find((known) => known?.id.equals(one.id)) ?? one),
    })
    turns.forget(author)
    return record
  }

  const active = (): ActiveOwner => {
    if (row.state !== 'active-owner') throw new IgorError('NOT_AUTHORITATIVE', `${agent} is ${row.state} here`)
    return row
  }

  const nextSlot = () => ({ epoch: chain.epoch, seq: chain.head.body.seq + 1 })

  const progressTo = (
    journaled: CID | null,
    state: CID | null,
    at: number,
    orders: readonly Uint8Array[],
    since: bigint,
  ): Progress => ({
    journal: journaled,
    state,
    from: state === null ? (chain.state?.id ?? null) : null,
    tick: at,
    module: chain.module,
    manifest: chain.genesis.body.manifest,
    instrument: live.version.instrument,
    costTable: live.version.costTable,
    ...funded(meterOf(chain, since), orders),
    price: chain.price,
    orders,
  })

  const stateAfter = async (change: Change): Promise<Prepared> => {
    const drafted = await live.prepare(change, nextSlot())
    const { next, journal: journaled, fuel } = drafted
    const progress = progressTo(journaled, next.cid, next.host.tick, change.orders, fuel)
    return { ...drafted, progress: change.upgrade === undefined ? progress : { ...progress, module: change.upgrade.module } }
  }

  const extending = (next: (row: ActiveOwner, slot: Slot) => Row) => (was: Row, slot: Slot) => next(was as ActiveOwner, slot)

  /** Writes a record with the state that it names. */
  const settle = async <B extends Body>(
    prepared: Prepared,
    body: (progress: Progress) => B,
    next: (row: ActiveOwner, slot: Slot) => Row,
  ): Promise<LineageRecord<B>> => {
    try {
      const record = await write(body(prepared.progress), extending(next), prepared.rows)
      prepared.keep(owedStates(chain, records))
      return record
    } catch (error) {
      prepared.undo()
      throw error
    }
  }

  const isMine = async (): Promise<boolean> => {
    const owner = await store.get(ownerKey)
    return owner?.length === context.fence.length && owner.every((byte, i) => byte === context.fence[i])
  }

  /** Its state goes with the step. */
  const leaveBy = async (step: Step): Promise<void> => {
    const state = [...(await store.list(keys.blocks(agent))), ...(await store.list(keys.journal(agent)))]
    await store.commit({ put: step.put, remove: [...state, ...step.remove], expect: fence() })
  }
  const left = (step: Step): void => {
    stand(step)
    turns.forget(author)
    live.leave(row.slot, chain.tick)
  }

  return {
    agent,
    get chain() {
      return chain
    },
    get row() {
      return row
    },
    get lastOrder() {
      return Math.max(chain.lastOrder, live.present?.lastOrder ?? 0)
    },
    get current() {
      return live.current
    },
    get present() {
      return live.present
    },
    get tick() {
      return live.tick
    },
    get meter() {
      return meterOf(chain, journal.fuel)
    },
    get payable() {
      return payableFuel(chain, journal.fuel)
    },
    get since() {
      return live.since
    },
    get records() {
      return records
    },
    get version() {
      return live.version
    },
    get outdated() {
      return !sameVersion(live.version, own)
    },
    refs,
    get open() {
      return journal.bytes > 0
    },
    get pending() {
      return journal.pending
    },
    entries: live.entries,
    readBlock: (digest) => store.get(keys.block(agent, hexOf(digest))),

    commit: async (entries, durable) => {
      active()
      live.held()
      const { tail, keep: counts } = live.append(entries, durable)
      if (!durable) tail.keep(false)
      else if (tail.bytes.length > 0) await turns.write(author, tail)
      counts()
    },

    seal: async (orders = []) => {
      active()
      const sealing = live.seal(nextSlot())
      const progress = progressTo(sealing.journal, null, sealing.tick, orders, journal.fuel)
      const record = await write<Checkpoint>({ ...base('checkpoint'), ...progress }, extending(extend), sealing.rows)
      sealing.keep()
      return record
    },

    checkpoint: async (change) => {
      active()
      return settle(await stateAfter(change), (progress): Checkpoint => ({ ...base('checkpoint'), ...progress }), extend)
    },

    prepare: async (change) => {
      active()
      return stateAfter(change)
    },

    handoff: async (ready, orders, prepared) => {
      active()
      const state = prepared ?? (await stateAfter({ host: live.held().host, orders, entries: [] }))
      return settle(state, (progress): Handoff => ({ ...base('handoff'), ...progress, orders, ready }), handOff)
    },

    takeBack: async (refuse) => {
      if (row.state !== 'handoff-pending') throw new IgorError('NOT_AUTHORITATIVE', `${agent} is ${row.state} here`)
      const refused = extendChain(chain, refuse)
      const accept = await signRecord(
        {
          kind: 'accept',
          agent,
          seq: refuse.body.seq + 1,
          prev: refuse.id,
          anchor: refuse.id,
          epoch: refuse.body.epoch + 1,
          time: Math.max(nowMs(clock), chain.head.body.time),
          incarnation: context.incarnation,
          budget: refused.budget,
          price: refused.price,
        },
        context.sign,
      )
      const step = stepBack(refused, { row, records }, [refuse, accept], await store.list(keys.journal(agent)))
      await store.commit({ put: step.put, remove: step.remove, expect: fence() })
      stand(step)
      journal.restart(row.slot, own)
    },

    depart: async (theirs) => {
      if (row.state === 'retired') return
      const step = stepAway({ chain, row, records }, theirs, keep)
      await leaveBy(step).catch(async (error) => {
        // Another node of this store took it: row, records and blocks are that node's now.
        if (!(error instanceof ConflictError) || (await isMine())) throw error
      })
      left(step)
    },

    supersede: async (theirs) => {
      // Where it left long ago, another node of this store may have it.
      if (row.state === 'retired' && !(await isMine())) return
      const step = stepAcross(row, theirs, await otherBranch(store, agent, theirs.records))
      await leaveBy(step)
      left(step)
    },

    retire: async (because, orders) => {
      active()
      if (journal.bytes > 0) throw new IgorError('HOST_FAULT', `what ${agent} did is not in a record yet`)
      const body: Retire = { ...base('retire'), because, orders }
      await write(body, extending(giveUp), { remove: await store.list(keys.journal(agent)) })
    },

    halt: async (why) => {
      if (row.state === 'recovery-required') return
      const next = doubt(row, why)
      // What it did may be looked at later, when the rows of turns are gone.
      const folded = author.fold()
      await store.commit({
        put: [...(journal.bytes > 0 ? folded.put : []), [keys.authority(agent), encodeRow(next)]],
        expect: fence(),
      })
      row = next
      folded.keep()
      turns.forget(author)
    },

    cosigned: async (record) => {
      const isOlder = chain.cosigned !== null && chain.cosigned.body.seq > record.body.seq
      if (isOlder || !records.some(({ id }) => id.equals(record.id))) return
      const same = (one: LineageRecord): LineageRecord => (one.id.equals(record.id) ? record : one)
      // Lost in a crash, it is asked for again.
      await store.commit({
        put: [[recordKey(record), record.bytes]],
        expect: [[ownerKey, context.fence]],
        durable: false,
      })
      records = records.map(same)
      chain = withCosigned(chain, record)
    },
  }
}

const funded = (meter: Meter, orders: readonly Uint8Array[]): Meter => ({
  ...meter,
  budget: meter.budget + termsOrdered(orders).funds,
})
