/**
 * Whether an offer is taken up: in the order of what the checks cost, and all of them before anything is pulled.
 *
 * @module
 */
import { decodeRecord, keyOfDid, keyOfPeerId, LINEAGE_DOMAIN, MAX_ORDERS, readOrder, verifySigned } from '@igor/lineage'
import { type Context, nowMs } from '../agent/context.ts'
import { IgorError } from '../errors.ts'
import { type Fields, violation } from '../protocols/wire.ts'
import { checkVersion } from '../versions.ts'
import type { Inbound } from './inbound.ts'
import { MAX_MOVE_FUEL } from './judgement.ts'
import { checkHouse, type House } from './policy.ts'
import { ID_BYTES, OFFERED_ORDERS } from './protocol.ts'

/** An offer carries one record and sizes. */
const MAX_OFFER = 4096
const MAX_MEMORY = 64 * 1024 * 1024
/** A time further ahead than this would stay the agent's, as its clock never goes back. */
const MAX_AHEAD_MS = 5 * 60_000

export interface Offer {
  /** Its id. */
  readonly handoff: Uint8Array
  /** Their signatures are not checked. */
  readonly orders: readonly Uint8Array[]
}

/** @throws IgorError HANDOFF_REJECTED | QUOTA | PROTOCOL_VIOLATION */
export const admit = (inbound: Inbound, peer: string, agent: string, fields: Fields): Offer => {
  const { context } = inbound
  context.forks.check(peer)
  checkHouse(inbound.house(), peer)
  const handoff = fields.bytes('id', ID_BYTES, true)
  const orders = fields.has('orders') ? fields.list('orders', MAX_ORDERS, readOffered) : []
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
  return { handoff, orders }
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
  if ('instrument' in head.body) checkVersion(head.body, 'it')
  if (head.body.agent !== agent) throw violation(peer, 'the head that it offers belongs to another agent')
  const byOwner = head.body.kind === 'genesis'
  if (head.body.kind === 'genesis' && head.body.authority !== peer)
    throw violation(peer, 'it is not the host that the genesis names')
  if (!verifySigned(LINEAGE_DOMAIN, head.signed, byOwner ? keyOfDid(agent) : keyOfPeerId(peer))) {
    throw violation(peer, `the head of ${agent} is not signed by it`)
  }
}

/** How far a time (Unix ms) lies ahead of this clock, when that is too far. */
export const aheadBy = ({ clock }: Context, time: number): string | undefined => {
  const ahead = time - nowMs(clock)
  return ahead > MAX_AHEAD_MS ? `${Math.round(ahead / 1000)} s` : undefined
}

const readOffered = (item: unknown, fail: (what: string) => never): Uint8Array =>
  item instanceof Uint8Array && item.length <= OFFERED_ORDERS ? item : fail('orders')

/** Those that are what they seem; of the others the record will tell. */
export const checkedOrders = (orders: readonly Uint8Array[]): Uint8Array[] =>
  orders.filter((bytes) => {
    try {
      readOrder(bytes)
      return true
    } catch {
      return false
    }
  })
