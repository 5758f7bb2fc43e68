/**
 * The authority row of one agent at one store, and the only ways from one state to another
 * (docs/design.md, section 6). A transition that is not here cannot be written: each function takes
 * the states that it may start from, and nothing else builds a row.
 *
 * @module
 */
import { decode, encode } from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import { IgorError } from '../errors.ts'

/** The highest slot that this store ever wrote for the agent. */
export interface Slot {
  readonly epoch: number
  readonly seq: number
  readonly id: CID
}

interface RowBase {
  readonly slot: Slot
}
/** The only state that ticks. */
export interface ActiveOwner extends RowBase {
  readonly state: 'active-owner'
}
/** A handoff record stands in the slot: only resubmitted, until the target's decision is seen. */
export interface HandoffPending extends RowBase {
  readonly state: 'handoff-pending'
}
/** Lives elsewhere, or was given up. */
export interface Retired extends RowBase {
  readonly state: 'retired'
}
/** Authority is in doubt: only the owner resolves it. */
export interface RecoveryRequired extends RowBase {
  readonly state: 'recovery-required'
  /** What conflicts, for a person. */
  readonly why: string
}
export type Row = ActiveOwner | HandoffPending | Retired | RecoveryRequired

/** Slots only go up: an older slot would be a second history. */
const above = (row: Row | undefined, slot: Slot): Slot => {
  if (row === undefined) return slot
  const higher = slot.epoch > row.slot.epoch || (slot.epoch === row.slot.epoch && slot.seq > row.slot.seq)
  if (!higher) {
    throw new IgorError(
      'FORBIDDEN_TRANSITION',
      `slot ${slot.epoch}/${slot.seq} is not above ${row.slot.epoch}/${row.slot.seq}: refusing to write a second history`,
    )
  }
  return slot
}

/**
 * Genesis, or an accept of a handoff or recover. Along one history that is a later epoch than any before. Two
 * recovers can make one epoch on two branches: what was written in it on the one would stand against the other.
 */
export const take = (row: Retired | RecoveryRequired | undefined, accept: Slot): ActiveOwner => {
  if (row !== undefined && accept.epoch <= row.slot.epoch)
    throw new IgorError(
      'FORBIDDEN_TRANSITION',
      `this node has written in epoch ${row.slot.epoch} already, on another branch: recover it again, from that one`,
    )
  return { state: 'active-owner', slot: above(row, accept) }
}
/** An accept of the handoff that stands in the slot, by another node of the same store (tabs share one). */
export const takeOver = (row: HandoffPending, accept: Slot): ActiveOwner => ({ state: 'active-owner', slot: above(row, accept) })
export const extend = (row: ActiveOwner, record: Slot): ActiveOwner => ({ state: 'active-owner', slot: above(row, record) })
export const handOff = (row: ActiveOwner, handoff: Slot): HandoffPending => ({
  state: 'handoff-pending',
  slot: above(row, handoff),
})
/** The target's accept was seen. The slot stays: the accept is not this node's record. */
export const depart = (row: HandoffPending | ActiveOwner | RecoveryRequired): Retired => ({ state: 'retired', slot: row.slot })
/** The target refused, and this node writes an accept of its own. */
export const takeBack = (row: HandoffPending, accept: Slot): ActiveOwner => ({ state: 'active-owner', slot: above(row, accept) })
export const giveUp = (row: ActiveOwner, retire: Slot): Retired => ({ state: 'retired', slot: above(row, retire) })
export const doubt = (row: Row, why: string): RecoveryRequired => ({ state: 'recovery-required', slot: row.slot, why })

const STATES = ['active-owner', 'handoff-pending', 'retired', 'recovery-required'] as const

export const encodeRow = (row: Row): Uint8Array =>
  encode({ v: 1, state: row.state, slot: row.slot, ...(row.state === 'recovery-required' ? { why: row.why } : {}) })

/** @throws IgorError STORE_DAMAGED */
export const decodeRow = (bytes: Uint8Array): Row => {
  const damaged = (): never => {
    throw new IgorError('STORE_DAMAGED', 'an authority row cannot be read: the agent halts until its owner recovers it')
  }
  try {
    const value = decode<{ v: number; state: Row['state']; slot: { epoch: number; seq: number; id: unknown }; why?: string }>(
      bytes,
    )
    const id = CID.asCID(value.slot.id)
    if (value.v !== 1 || !STATES.includes(value.state) || id === null) return damaged()
    const slot = { epoch: value.slot.epoch, seq: value.slot.seq, id }
    return value.state === 'recovery-required'
      ? { state: value.state, slot, why: String(value.why) }
      : { state: value.state, slot }
  } catch {
    return damaged()
  }
}
