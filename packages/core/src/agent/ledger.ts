/**
 * The persistent side of one agent at one store: its chain, its authority row, its state's blocks.
 * Every change is one atomic, fenced commit; what is in memory follows only when it is durable.
 *
 * @module
 */
import {
  type Block,
  type Body,
  type Chain,
  type Checkpoint,
  decodeRecord,
  extendChain,
  type Handoff,
  type JournalEntry,
  type LineageRecord,
  type Progress,
  pruneRecords,
  type Retire,
  signRecord,
  termsOrdered,
} from '@igor/lineage'
import { COST_TABLE_VERSION, INSTRUMENT_VERSION } from '@igor/sandbox'
import type { CID } from 'multiformats/cid'
import {
  type ActiveOwner,
  depart,
  doubt,
  encodeRow,
  extend,
  giveUp,
  handOff,
  type Row,
  type Slot,
  takeBack,
} from '../authority/row.ts'
import { ConflictError, IgorError } from '../errors.ts'
import { keys } from '../keys.ts'
import type { Expectation, Store } from '../platform.ts'
import type { Delta } from '../worker/protocol.ts'
import { advanceAll } from './advance.ts'
import { type BlockRefs, hexOf } from './blocks.ts'
import { type Meter, meterOf, payableFuel } from './budget.ts'
import { type Context, nowMs } from './context.ts'
import type { HostPart } from './host-part.ts'
import { emptyJournal, fuelOf, type Journal, openJournal } from './journal.ts'
import { useOfModule } from './modules.ts'
import { createRetention, DEFAULT_KEEP, owedStates, pastBytes, type Retention, windowOf } from './retention.ts'
import { type Current, countRefs, nameOf, nextState, type Rows } from './state.ts'

/** Whether a record applied this very order. */
export const appliesOrder = ({ body }: LineageRecord, order: Uint8Array): boolean =>
  'orders' in body && body.orders.some((one) => one.length === order.length && one.every((byte, i) => byte === order[i]))

export const slotOf = (record: LineageRecord): Slot => ({ epoch: record.body.epoch, seq: record.body.seq, id: record.id })

/**
 * What must go, so that the store holds one branch of an agent's history. Decisions on handoffs stay, as
 * they are asked for again.
 */
export const otherBranch = async (
  store: Store,
  agent: string,
  branch: readonly LineageRecord[],
): Promise<{ readonly put: (readonly [string, Uint8Array])[]; readonly remove: string[] }> => {
  const stays = new Set(branch.map(({ body }) => keys.record(agent, body.epoch, body.seq)))
  const remove = (await store.list(keys.records(agent))).filter((key) => !stays.has(key))
  const put: (readonly [string, Uint8Array])[] = []
  for (const key of remove) {
    const bytes = await store.get(key)
    const body = bytes === undefined ? undefined : decodeRecord(bytes).body
    if (bytes !== undefined && (body?.kind === 'accept' || body?.kind === 'refuse'))
      put.push([keys.refusal(agent, body.epoch, body.seq), bytes])
  }
  return { put, remove }
}

export interface Ledger {
  readonly agent: string
  readonly chain: Chain
  readonly row: Row
  /** n of the last order applied. */
  readonly lastOrder: number
  /** The last state. Undefined where the agent does not live. */
  readonly current: Current | undefined
  /** The host's part now, every committed entry included; its kv is that of the last state. */
  readonly present: HostPart | undefined
  /** The last tick that is durable. */
  readonly tick: number
  readonly meter: Meter
  /** What the budget pays for now; undefined: it costs nothing. */
  readonly payable: bigint | undefined
  /** What was journaled since the last state: it is what a restart has to run again. */
  readonly since: { readonly bytes: number; readonly fuel: bigint }
  /** There are entries that no record names yet. */
  readonly open: boolean
  /** Entries since the last state, oldest first. */
  entries(): readonly JournalEntry[]
  /** Anchors and the last checkpoints, oldest first. */
  readonly records: readonly LineageRecord[]
  readonly refs: BlockRefs
  readBlock(digest: Uint8Array): Promise<Uint8Array | undefined>
  /** Commits entries: without `durable` they may be lost in a crash, but never before earlier ones. */
  commit(entries: readonly JournalEntry[], durable: boolean): Promise<void>
  /** Signs and commits a checkpoint without a state: it names what was journaled since the last record. */
  seal(): Promise<LineageRecord<Checkpoint>>
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
  supersede(theirs: { readonly chain: Chain; readonly records: readonly LineageRecord[] }): Promise<void>
  retire(because: string, orders: readonly Uint8Array[]): Promise<void>
  halt(why: string): Promise<void>
  /** A record here came back from the witness with its cosignature, which stays with it. */
  cosigned(record: LineageRecord): Promise<void>
}

export interface Change {
  /** Everything that changed since the last state; absent: no tick ran since. */
  readonly delta?: Delta
  /** After `entries` and orders. */
  readonly host: HostPart
  readonly orders: readonly Uint8Array[]
  /** That are not committed yet. */
  readonly entries: readonly JournalEntry[]
  /** What it runs from here on; the delta is the whole memory then. */
  readonly upgrade?: { readonly module: CID; readonly rows: readonly (readonly [string, Uint8Array])[] }
}

/** A state that is not written yet. Until it is, nothing else may be prepared. */
export interface Prepared {
  readonly next: Current
  readonly rows: Rows
  readonly progress: Progress
  /** When it was written … */
  keep(): void
  /** … or will not be. */
  undo(): void
}

/** What a ledger is made of, when it was loaded or just begun. */
export interface LedgerParts {
  readonly chain: Chain
  readonly row: Row
  readonly records: readonly LineageRecord[]
  readonly current: Current | undefined
  /** Uses of the blocks of `current` and of the origin, where they were counted before. */
  readonly refs?: BlockRefs
  /** States behind the present one whose blocks are here. */
  readonly retention?: Retention
  /** Segments that records without a state named since `current`. */
  readonly sealed?: readonly JournalEntry[]
  readonly journal?: Journal
}

export const openLedger = (context: Context, parts: LedgerParts): Ledger => {
  const { store, clock, keep = DEFAULT_KEEP } = context
  const agent = parts.chain.agent
  let { chain, row, current } = parts
  let records = [...parts.records]
  const refs = parts.refs ?? countRefs(chain.genesis.body, current)
  const retention = parts.retention ?? createRetention(keep, refs)
  let sealed = [...(parts.sealed ?? [])]
  let sealedBytes = 0
  const journal = parts.journal ?? openJournal(agent, row.slot)
  let present = current === undefined ? undefined : advanceAll(current.host, [...sealed, ...journal.entries()])
  let tick = present?.tick ?? chain.tick
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

  /** Records that the chain cannot do without, the latest window, and what falls out. */
  const prune = (all: LineageRecord[]): { kept: LineageRecord[]; gone: LineageRecord[] } => {
    // The witness takes a record only with all that lie between it and the last one that it cosigned.
    const since = all.findLastIndex(({ id }) => chain.cosigned !== null && id.equals(chain.cosigned.id))
    const owed = chain.witness === null ? 0 : all.length - Math.max(0, since)
    const kept = [...pruneRecords(all, Math.max(owed, windowOf(all, keep)))]
    const needed = new Set(kept)
    return { kept, gone: all.filter((record) => !needed.has(record)) }
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
    const nextChain = extendChain(chain, record, { trusted: true })
    const nextRow = next(row, slotOf(record))
    const { kept, gone } = prune([...records, record])
    const slot = keys.record(agent, body.epoch, body.seq)
    await store.commit({
      put: [...(rows.put ?? []), [slot, record.bytes], [keys.authority(agent), encodeRow(nextRow)]],
      remove: [...(rows.remove ?? []), ...gone.map((one) => keys.record(agent, one.body.epoch, one.body.seq))],
      // The row alone says which slots were used; a damaged store cannot say of a key that it never was.
      expect: [...fence(), ...(store.damaged ? [] : [[slot, undefined] as const])],
    })
    // One before it may have been cosigned meanwhile.
    const { cosigned } = chain
    chain = { ...nextChain, cosigned }
    row = nextRow
    records = kept.map((one) => (cosigned !== null && one.id.equals(cosigned.id) ? cosigned : one))
    return record
  }

  const active = (): ActiveOwner => {
    if (row.state !== 'active-owner') throw new IgorError('NOT_AUTHORITATIVE', `${agent} is ${row.state} here`)
    return row
  }
  const held = (): Current => {
    if (current === undefined) throw new IgorError('NOT_AUTHORITATIVE', `${agent} does not live here`)
    return current
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
    instrument: INSTRUMENT_VERSION,
    costTable: COST_TABLE_VERSION,
    ...funded(meterOf(chain, since), orders),
    price: chain.price,
    orders,
  })

  const funded = (meter: Meter, orders: readonly Uint8Array[]): Meter => ({
    ...meter,
    budget: meter.budget + termsOrdered(orders).funds,
  })

  const blockRows = (block: Block | null): readonly (readonly [string, Uint8Array])[] =>
    block === null ? [] : [[keys.block(agent, nameOf(block.cid)), block.bytes]]

  const stateAfter = async (change: Change): Promise<Prepared> => {
    const before = held()
    const { delta, entries } = change
    if (delta === undefined && [...sealed, ...journal.entries(), ...entries].some(({ kind }) => kind !== 'message'))
      throw new IgorError('HOST_FAULT', `${agent} ticked since its last state: what changed is missing`)
    const host = { ...change.host, kv: delta?.kv ?? before.host.kv }
    const { next, put, added, dropped } = await nextState(
      context.crypto,
      agent,
      refs,
      before,
      host,
      delta,
      change.upgrade !== undefined,
    )
    const fuel = fuelOf(entries)
    const segment = journal.seal(entries, nextSlot())
    const names = segment.block === null ? [] : [nameOf(segment.block.cid)]
    for (const name of [...added, ...names]) refs.add(name)
    const { upgrade } = change
    const moduleRows = upgrade === undefined ? [] : [...upgrade.rows, useOfModule(context.crypto)]
    const progress = progressTo(segment.block?.cid ?? null, next.cid, next.host.tick, change.orders, journal.fuel + fuel)
    return {
      next,
      rows: {
        put: [...put, ...blockRows(segment.block), ...segment.put, ...moduleRows],
        remove: [...segment.remove, ...refs.takeGarbage().map((name) => keys.block(agent, name))],
      },
      progress: upgrade === undefined ? progress : { ...progress, module: upgrade.module },
      keep: () => {
        segment.keep()
        sealed = []
        sealedBytes = 0
        current = next
        present = next.host
        tick = next.host.tick
        retention.replaced([...dropped, ...names], pastBytes(before.block, dropped.length), owedStates(chain, records))
      },
      undo: () => {
        for (const name of [...added, ...names]) refs.release(name)
      },
    }
  }

  const extending = (next: (row: ActiveOwner, slot: Slot) => Row) => (was: Row, slot: Slot) => next(was as ActiveOwner, slot)

  /** Writes a record with the state that it names. */
  const settle = async <B extends Body>(
    prepared: Prepared,
    body: (progress: Progress) => B,
    row: (row: ActiveOwner, slot: Slot) => Row,
  ): Promise<LineageRecord<B>> => {
    try {
      const record = await write(body(prepared.progress), extending(row), prepared.rows)
      prepared.keep()
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

  const dropState = async (): Promise<string[]> => [
    ...(await store.list(keys.blocks(agent))),
    ...(await store.list(keys.journal(agent))),
  ]
  const leave = (): void => {
    current = undefined
    present = undefined
    tick = chain.tick
    sealed = []
    journal.restart(row.slot)
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
      return Math.max(chain.lastOrder, present?.lastOrder ?? 0)
    },
    get current() {
      return current
    },
    get present() {
      return present
    },
    get tick() {
      return tick
    },
    get meter() {
      return meterOf(chain, journal.fuel)
    },
    get payable() {
      return payableFuel(chain, journal.fuel)
    },
    get since() {
      return { bytes: sealedBytes + journal.bytes, fuel: fuelOf(sealed) + journal.fuel }
    },
    get records() {
      return records
    },
    refs,
    get open() {
      return journal.bytes > 0
    },
    entries: () => [...sealed, ...journal.entries()],
    readBlock: (digest) => store.get(keys.block(agent, hexOf(digest))),

    commit: async (entries, durable) => {
      active()
      held()
      const next = advanceAll(present ?? held().host, entries)
      if (entries.length > 0) {
        const staged = journal.append(entries)
        // Whoever takes the agent over writes this row too: it names the record that made the agent its own.
        await store.commit({ put: staged.put, expect: [[keys.authority(agent), rowBytes()]], durable })
        staged.keep()
      }
      present = next
      if (durable) tick = next.tick
    },

    seal: async () => {
      active()
      const { host } = held()
      const entries = journal.entries()
      const { bytes } = journal
      const segment = journal.seal([], nextSlot())
      const at = present?.tick ?? host.tick
      const body: Checkpoint = {
        ...base('checkpoint'),
        ...progressTo(segment.block?.cid ?? null, null, at, [], journal.fuel),
      }
      const rows = { put: [...blockRows(segment.block), ...segment.put], remove: segment.remove }
      const record = await write(body, extending(extend), rows)
      if (segment.block !== null) {
        // Let go with the state that it leads on from.
        refs.add(nameOf(segment.block.cid))
        retention.also(nameOf(segment.block.cid))
      }
      segment.keep()
      sealed = [...sealed, ...entries]
      sealedBytes += bytes
      tick = at
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
      const state = prepared ?? (await stateAfter({ host: held().host, orders, entries: [] }))
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
      const next = extendChain(refused, accept, { trusted: true })
      const nextRow = takeBack(row, slotOf(accept))
      await store.commit({
        put: [
          [keys.record(agent, refuse.body.epoch, refuse.body.seq), refuse.bytes],
          [keys.record(agent, accept.body.epoch, accept.body.seq), accept.bytes],
          emptyJournal(agent, nextRow.slot),
          [keys.authority(agent), encodeRow(nextRow)],
        ],
        remove: await store.list(keys.journal(agent)),
        expect: fence(),
      })
      chain = next
      row = nextRow
      records = [...records, refuse, accept]
      journal.restart(nextRow.slot)
    },

    depart: async (theirs) => {
      if (row.state === 'retired') return
      let next = chain
      const added: LineageRecord[] = []
      for (const record of theirs) {
        if (records.some((one) => one.id.equals(record.id))) continue
        next = extendChain(next, record, { gap: true })
        added.push(record)
      }
      const nextRow = depart(row)
      const { kept, gone } = prune([...records, ...added])
      const left = store.commit({
        put: [
          ...added.map((one) => [keys.record(agent, one.body.epoch, one.body.seq), one.bytes] as const),
          [keys.authority(agent), encodeRow(nextRow)],
        ],
        remove: [...(await dropState()), ...gone.map((one) => keys.record(agent, one.body.epoch, one.body.seq))],
        expect: fence(),
      })
      await left.catch(async (error) => {
        // Another node of this store took it: row, records and blocks are that node's now.
        if (!(error instanceof ConflictError) || (await isMine())) throw error
      })
      chain = next
      row = nextRow
      records = kept
      leave()
    },

    supersede: async (theirs) => {
      if (row.state === 'retired') return
      const nextRow = depart(row)
      const branch = await otherBranch(store, agent, theirs.records)
      await store.commit({
        put: [
          ...branch.put,
          ...theirs.records.map((one) => [keys.record(agent, one.body.epoch, one.body.seq), one.bytes] as const),
          [keys.authority(agent), encodeRow(nextRow)],
        ],
        remove: [...(await dropState()), ...branch.remove],
        expect: fence(),
      })
      chain = theirs.chain
      row = nextRow
      records = [...theirs.records]
      leave()
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
      await store.commit({ put: [[keys.authority(agent), encodeRow(next)]], expect: fence() })
      row = next
    },

    cosigned: async (record) => {
      const isOlder = chain.cosigned !== null && chain.cosigned.body.seq > record.body.seq
      if (isOlder || !records.some(({ id }) => id.equals(record.id))) return
      const same = (one: LineageRecord): LineageRecord => (one.id.equals(record.id) ? record : one)
      // Lost in a crash, it is asked for again.
      await store.commit({
        put: [[keys.record(agent, record.body.epoch, record.body.seq), record.bytes]],
        expect: [[ownerKey, context.fence]],
        durable: false,
      })
      records = records.map(same)
      chain = { ...chain, cosigned: record, head: same(chain.head), anchor: same(chain.anchor) }
    },
  }
}
