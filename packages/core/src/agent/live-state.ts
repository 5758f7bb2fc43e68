/**
 * What an agent is now: its last state and what was journaled since; and the rows that make the next state or
 * segment. Nothing is written here: what was written is told by `keep`.
 *
 * @module
 */
import type { Block, JournalEntry } from '@igor/lineage'
import type { Version } from '@igor/sandbox'
import type { CID } from 'multiformats/cid'
import { IgorError } from '../errors.ts'
import { keys } from '../keys.ts'
import type { Crypto } from '../platform.ts'
import type { Delta } from '../worker/protocol.ts'
import { advanceAll } from './advance.ts'
import type { BlockRefs } from './blocks.ts'
import type { HostPart } from './host-part.ts'
import { fuelOf, type Journal, type Place, sizeOf, type Tail } from './journal.ts'
import { useOfModule } from './modules.ts'
import { pastBytes, type Retention } from './retention.ts'
import { type Current, nameOf, nextState, type Rows } from './state.ts'

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
export interface NextLive {
  readonly next: Current
  readonly rows: Rows
  /** Of the segment that leads to it. */
  readonly journal: CID | null
  /** Since the last record. */
  readonly fuel: bigint
  /** When it was written; `owed` as of `Retention.replaced` … */
  keep(owed: number): void
  /** … or will not be. */
  undo(): void
}

export interface SealedSegment {
  readonly rows: Rows
  readonly journal: CID | null
  readonly tick: number
  /** When the record that names it was written. */
  keep(): void
}

export interface LiveState {
  /** The last state. Undefined where the agent does not live. */
  readonly current: Current | undefined
  /** The host's part now, every committed entry included; its kv is that of the last state. */
  readonly present: HostPart | undefined
  /** The last tick that is durable. */
  readonly tick: number
  /** What was journaled since the last state: it is what a restart has to run again. */
  readonly since: { readonly bytes: number; readonly fuel: bigint }
  /** By which the ticks since the last state ran, and those before the next one have to. */
  readonly version: Version
  /** Entries since the last state, oldest first. */
  entries(): readonly JournalEntry[]
  /** @throws IgorError NOT_AUTHORITATIVE where the agent does not live */
  held(): Current
  /** @param durable what `keep` tells of was written durably */
  append(entries: readonly JournalEntry[], durable: boolean): { readonly tail: Tail; keep(): void }
  /** The journal since the last record, as a segment without a state. @param slot of the record that will name it */
  seal(slot: Place): SealedSegment
  /** @param slot of the record that will name it */
  prepare(change: Change, slot: Place): Promise<NextLive>
  /** It lives elsewhere now. @param tick the last one of its history */
  leave(slot: Place, tick: number): void
}

export interface LiveStateParts {
  readonly agent: string
  readonly crypto: Crypto
  readonly refs: BlockRefs
  readonly retention: Retention
  readonly journal: Journal
  readonly current: Current | undefined
  /** Segments that records without a state named since `current`. */
  readonly sealed: readonly JournalEntry[]
  /** By which those ran, as far as the records say. */
  readonly ranBy: Version | undefined
  /** That of this node: what follows a state runs by it. */
  readonly own: Version
  /** Of its history, should it not live here. */
  readonly tick: number
}

export const createLiveState = (parts: LiveStateParts): LiveState => {
  const { agent, crypto, refs, retention, journal, own } = parts
  let { current } = parts
  let sealed = [...parts.sealed]
  let sealedBytes = sizeOf(sealed)
  let sealedFuel = fuelOf(sealed)
  let present = current === undefined ? undefined : advanceAll(current.host, [...sealed, ...journal.entries()])
  let tick = present?.tick ?? parts.tick
  let version = own
  if (sealed.length > 0 || journal.bytes > 0) version = journal.version ?? parts.ranBy ?? own
  else journal.runBy(own)

  const held = (): Current => {
    if (current === undefined) throw new IgorError('NOT_AUTHORITATIVE', `${agent} does not live here`)
    return current
  }
  const entries = (): JournalEntry[] => [...sealed, ...journal.entries()]
  const blockRows = (block: Block | null): readonly (readonly [string, Uint8Array])[] =>
    block === null ? [] : [[keys.block(agent, nameOf(block.cid)), block.bytes]]

  return {
    get current() {
      return current
    },
    get present() {
      return present
    },
    get tick() {
      return tick
    },
    get since() {
      return { bytes: sealedBytes + journal.bytes, fuel: sealedFuel + journal.fuel }
    },
    get version() {
      return version
    },
    entries,
    held,

    append: (added, durable) => {
      const next = advanceAll(present ?? held().host, added)
      return {
        tail: journal.append(added),
        keep: () => {
          present = next
          if (durable) tick = next.tick
        },
      }
    },

    seal: (slot) => {
      const { host } = held()
      const open = journal.entries()
      const { bytes } = journal
      const segment = journal.seal([], slot, version)
      const at = present?.tick ?? host.tick
      return {
        rows: { put: [...blockRows(segment.block), ...segment.put], remove: segment.remove },
        journal: segment.block?.cid ?? null,
        tick: at,
        keep: () => {
          if (segment.block !== null) {
            // Let go with the state that it leads on from.
            refs.add(nameOf(segment.block.cid))
            retention.also(nameOf(segment.block.cid))
          }
          segment.keep()
          sealed = [...sealed, ...open]
          sealedBytes += bytes
          sealedFuel += fuelOf(open)
          tick = at
        },
      }
    },

    prepare: async (change, slot) => {
      const before = held()
      const { delta, upgrade } = change
      if (delta === undefined && [...entries(), ...change.entries].some(({ kind }) => kind !== 'message'))
        throw new IgorError('HOST_FAULT', `${agent} ticked since its last state: what changed is missing`)
      const host = { ...change.host, kv: delta?.kv ?? before.host.kv }
      const { next, put, added, dropped } = await nextState(crypto, agent, refs, before, host, delta, upgrade !== undefined)
      const fuel = fuelOf(change.entries)
      const segment = journal.seal(change.entries, slot, own)
      const names = segment.block === null ? [] : [nameOf(segment.block.cid)]
      for (const name of [...added, ...names]) refs.add(name)
      const moduleRows = upgrade === undefined ? [] : [...upgrade.rows, useOfModule(crypto)]
      return {
        next,
        rows: {
          put: [...put, ...blockRows(segment.block), ...segment.put, ...moduleRows],
          remove: [...segment.remove, ...refs.takeGarbage().map((name) => keys.block(agent, name))],
        },
        journal: segment.block?.cid ?? null,
        fuel: journal.fuel + fuel,
        keep: (owed) => {
          segment.keep()
          version = own
          sealed = []
          sealedBytes = 0
          sealedFuel = 0n
          current = next
          present = next.host
          tick = next.host.tick
          retention.replaced([...dropped, ...names], pastBytes(before.block, dropped.length), owed)
        },
        undo: () => {
          for (const name of [...added, ...names]) refs.release(name)
        },
      }
    },

    leave: (slot, last) => {
      current = undefined
      present = undefined
      tick = last
      sealed = []
      sealedFuel = 0n
      version = own
      journal.restart(slot, own)
    },
  }
}
