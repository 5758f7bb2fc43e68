/**
 * The persistent side of one agent at one store: its chain, its authority row, its state's blocks.
 * Every change is one atomic, fenced commit; what is in memory follows only when it is durable.
 *
 * @module
 */
import {
  applyDigests,
  type Body,
  type Chain,
  type Checkpoint,
  cborCid,
  decodeRecord,
  encodeStateBytes,
  extendChain,
  type Genesis,
  type Handoff,
  type LineageRecord,
  type Progress,
  pruneRecords,
  type Retire,
  type StateBlock,
  signRecord,
  stateCid,
} from '@igor/lineage'
import { INSTRUMENT_VERSION } from '@igor/sandbox'
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
import type { Crypto, Expectation, Store } from '../platform.ts'
import type { Delta } from '../worker/protocol.ts'
import { type BlockRefs, chunkDigests, createBlockRefs, digestAt, hexOf } from './blocks.ts'
import { type Context, nowMs } from './context.ts'
import { encodeHostPart, type HostPart } from './host-part.ts'

/** Plain checkpoints kept behind the head: a window for peers that are a little behind. */
const KEEP_RECORDS = 16

export interface Current {
  readonly block: StateBlock
  readonly cid: CID
  readonly host: HostPart
}

const nameOf = (cid: CID): string => hexOf(cid.multihash.digest)

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
  /** Undefined where the agent does not live. */
  readonly current: Current | undefined
  /** Anchors and the last checkpoints, oldest first. */
  readonly records: readonly LineageRecord[]
  readonly refs: BlockRefs
  readBlock(digest: Uint8Array): Promise<Uint8Array | undefined>
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
}

export interface Change {
  readonly delta?: Delta
  readonly host: HostPart
  readonly orders: readonly Uint8Array[]
}

/** A state that is not written yet. Until it is, nothing else may be prepared. */
export interface Prepared {
  readonly next: Current
  readonly rows: Rows
  /** When it will not be written. */
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
}

/** Uses of the blocks of a state and of what an agent was born with. */
export const countRefs = (genesis: Pick<Genesis, 'manifest' | 'init'>, state: Current | undefined): BlockRefs => {
  const refs = createBlockRefs()
  refs.add(nameOf(genesis.manifest))
  if (genesis.init !== null) refs.add(nameOf(genesis.init))
  if (state === undefined) return refs
  refs.add(nameOf(state.cid))
  refs.add(nameOf(state.block.host))
  for (const digest of chunkDigests(state.block)) refs.add(digest)
  return refs
}

/** Encodes a state; hashed by the platform, as it may have half a megabyte. */
export const encodeCurrent = async (crypto: Crypto, block: StateBlock): Promise<{ cid: CID; bytes: Uint8Array }> => {
  const bytes = encodeStateBytes(block)
  const [digest] = await crypto.sha256([bytes])
  if (digest === undefined) throw new IgorError('HOST_FAULT', 'the platform did not hash')
  return { cid: stateCid(digest), bytes }
}

/** Extra rows of a commit. */
interface Rows {
  readonly put?: readonly (readonly [string, Uint8Array])[]
  readonly remove?: readonly string[]
}

export const openLedger = (context: Context, parts: LedgerParts): Ledger => {
  const { store, clock } = context
  const agent = parts.chain.agent
  let { chain, row, current } = parts
  let records = [...parts.records]
  const refs = parts.refs ?? countRefs(chain.genesis.body, current)
  const ownerKey = keys.owner(agent)

  const fence = (): Expectation[] => [
    [ownerKey, context.fence],
    [keys.authority(agent), encodeRow(row)],
  ]

  /** Records that the chain cannot do without, the latest window, and what falls out. */
  const prune = (all: LineageRecord[]): { kept: LineageRecord[]; gone: LineageRecord[] } => {
    const kept = [...pruneRecords(all, KEEP_RECORDS)]
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
    chain = nextChain
    row = nextRow
    records = kept
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

  const progressTo = (state: Current, orders: readonly Uint8Array[]): Progress => ({
    journal: null,
    state: state.cid,
    from: null,
    tick: state.host.tick,
    module: chain.genesis.body.module,
    manifest: chain.genesis.body.manifest,
    instrument: INSTRUMENT_VERSION,
    costTable: 0,
    fuel: 0n,
    cost: 0n,
    price: chain.price,
    budget: chain.budget,
    orders,
  })

  const stateAfter = async (change: Change): Promise<Prepared> => {
    const before = held()
    const hostBytes = encodeHostPart(change.host)
    const host = cborCid(hostBytes)
    const chunks = change.delta?.chunks ?? []
    const memory =
      change.delta === undefined
        ? before.block.memory
        : applyDigests(
            before.block.memory,
            change.delta.memoryBytes,
            chunks.map(([index, , digest]) => [index, digest] as const),
          )
    const block: StateBlock = { version: 1, memory, globals: change.delta?.globals ?? before.block.globals, host }
    const encoded = await encodeCurrent(context.crypto, block)
    const next: Current = { block, cid: encoded.cid, host: change.host }
    const put: (readonly [string, Uint8Array])[] = [
      [keys.block(agent, nameOf(encoded.cid)), encoded.bytes],
      [keys.block(agent, nameOf(host)), hostBytes],
    ]
    const added = [nameOf(encoded.cid), nameOf(host)]
    const dropped = [nameOf(before.cid), nameOf(before.block.host)]
    for (const [index, bytes, digest] of chunks) {
      const old = digestAt(before.block, index)
      if (old !== undefined) dropped.push(hexOf(old))
      if (bytes === null || digest === null) continue
      const name = hexOf(digest)
      added.push(name)
      if (!refs.has(name)) put.push([keys.block(agent, name), bytes])
    }
    for (const name of added) refs.add(name)
    for (const name of dropped) refs.release(name)
    const undo = (): void => {
      for (const name of dropped) refs.add(name)
      for (const name of added) refs.release(name)
    }
    return { next, rows: { put, remove: refs.takeGarbage().map((name) => keys.block(agent, name)) }, undo }
  }

  const extending = (next: (row: ActiveOwner, slot: Slot) => Row) => (was: Row, slot: Slot) => next(was as ActiveOwner, slot)

  /** Writes a record with the state that it names. */
  const settle = async <B extends Body>(
    { next, rows, undo }: Prepared,
    body: () => B,
    row: (row: ActiveOwner, slot: Slot) => Row,
  ): Promise<LineageRecord<B>> => {
    try {
      const record = await write(body(), extending(row), rows)
      current = next
      return record
    } catch (error) {
      undo()
      throw error
    }
  }

  const isMine = async (): Promise<boolean> => {
    const owner = await store.get(ownerKey)
    return owner?.length === context.fence.length && owner.every((byte, i) => byte === context.fence[i])
  }

  const dropBlocks = async (): Promise<string[]> => store.list(keys.blocks(agent))

  return {
    agent,
    get chain() {
      return chain
    },
    get row() {
      return row
    },
    get lastOrder() {
      return Math.max(chain.lastOrder, current?.host.lastOrder ?? 0)
    },
    get current() {
      return current
    },
    get records() {
      return records
    },
    refs,
    readBlock: (digest) => store.get(keys.block(agent, hexOf(digest))),

    checkpoint: async (change) => {
      active()
      const prepared = await stateAfter(change)
      const body = (): Checkpoint => ({ ...base('checkpoint'), ...progressTo(prepared.next, change.orders) })
      return settle(prepared, body, extend)
    },

    prepare: async (change) => {
      active()
      return stateAfter(change)
    },

    handoff: async (ready, orders, prepared) => {
      active()
      const { next = held() } = prepared ?? {}
      const body = (): Handoff => ({ ...base('handoff'), ...progressTo(next, orders), ready })
      return prepared === undefined ? write(body(), extending(handOff), {}) : settle(prepared, body, handOff)
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
          [keys.authority(agent), encodeRow(nextRow)],
        ],
        expect: fence(),
      })
      chain = next
      row = nextRow
      records = [...records, refuse, accept]
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
        remove: [...(await dropBlocks()), ...gone.map((one) => keys.record(agent, one.body.epoch, one.body.seq))],
        expect: fence(),
      })
      await left.catch(async (error) => {
        // Another node of this store took it: row, records and blocks are that node's now.
        if (!(error instanceof ConflictError) || (await isMine())) throw error
      })
      chain = next
      row = nextRow
      records = kept
      current = undefined
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
        remove: [...(await dropBlocks()), ...branch.remove],
        expect: fence(),
      })
      chain = theirs.chain
      row = nextRow
      records = [...theirs.records]
      current = undefined
    },

    retire: async (because, orders) => {
      active()
      const body: Retire = { ...base('retire'), because, orders }
      await write(body, extending(giveUp), {})
    },

    halt: async (why) => {
      if (row.state === 'recovery-required') return
      const next = doubt(row, why)
      await store.commit({ put: [[keys.authority(agent), encodeRow(next)]], expect: fence() })
      row = next
    },
  }
}
