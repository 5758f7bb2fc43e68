/**
 * What a record may say, beyond its place in the chain: progress, money, orders, promises.
 *
 * @module
 */
import type { CID } from 'multiformats/cid'
import { equalBytes } from './bytes.ts'
import { LineageError, type LineageErrorCode } from './errors.ts'
import { decodeOrder, readOrder } from './order.ts'
import { decodeReady, readReady } from './ready.ts'
import type { Accept, Chain, Checkpoint, Handoff, Ready, Recover, Retire } from './types.ts'

export type Fail = (code: LineageErrorCode, message: string, cause?: unknown) => LineageError

/** A price is microcents per nominal second; a nominal second is 10^9 fuel. */
export const FUEL_PER_SECOND = 1_000_000_000n

/** Cost of fuel at a price, rounded up once over the whole epoch; microcents. */
export function costOf(fuel: bigint, price: bigint): bigint {
  return (fuel * price + FUEL_PER_SECOND - 1n) / FUEL_PER_SECOND
}

/** Who holds the agent now, and in which store. */
export function holder(chain: Chain, fail: Fail): { readonly by: string; readonly incarnation: Uint8Array } {
  const { authority } = chain
  if (authority.status !== 'held') throw fail('NOT_ALLOWED', `nobody holds the agent: authority is ${authority.status}`)
  return { by: authority.by, incarnation: authority.incarnation }
}

export function progressRules(chain: Chain, body: Checkpoint | Handoff, fail: Fail): void {
  if (body.tick < chain.tick) throw fail('BAD_TICK', `its tick ${body.tick} lies before tick ${chain.tick}`)
  if (body.state !== null) {
    if (body.from !== null) throw fail('BAD_STATE', 'a record with a state has no `from`')
  } else if (body.kind === 'handoff') {
    throw fail('BAD_STATE', 'a handoff has a state')
  } else if (chain.state === null || body.from === null || !body.from.equals(chain.state.id)) {
    // After a gap too: the record whose state is still needed is none that may be pruned.
    throw fail('BAD_STATE', 'a record without a state names the last one that has one as `from`')
  }
  const { genesis, billed, progress } = chain
  const { funds, modules } = termsOrdered(body.orders)
  // An upgrade whose module did not take over keeps the old one.
  if (![chain.module, ...modules].some((module) => body.module.equals(module)) || !body.manifest.equals(genesis.body.manifest)) {
    throw fail('BAD_MODULE', 'only an upgrade order changes the module, and nothing the manifest')
  }
  if (body.price !== chain.price) throw fail('BAD_PRICE', `the price of this epoch is ${chain.price}, not ${body.price}`)
  const fuel = progress?.body.fuel ?? 0n
  const cost = progress?.body.cost ?? 0n
  if (body.fuel < fuel) throw fail('BAD_COST', `its cumulative fuel ${body.fuel} is less than ${fuel} before`)
  const owed = billed.cost + costOf(body.fuel - billed.fuel, chain.price)
  if (body.cost !== owed) throw fail('BAD_COST', `its cumulative cost must be ${owed} for that fuel and price, not ${body.cost}`)
  const budget = chain.budget + funds - (body.cost - cost)
  if (body.budget !== budget) throw fail('BAD_BUDGET', `its budget must be ${budget}, not ${body.budget}`)
}

/** What orders change of the budget and the module; those that cannot be read change nothing, and are refused elsewhere. */
export function termsOrdered(orders: readonly Uint8Array[]): { readonly funds: bigint; readonly modules: readonly CID[] } {
  let funds = 0n
  const modules: CID[] = []
  for (const bytes of orders) {
    try {
      const { order } = decodeOrder(bytes)
      if (order.kind === 'fund') funds += order.amount
      if (order.kind === 'upgrade') modules.push(order.module)
    } catch (error) {
      if (!(error instanceof LineageError)) throw error
    }
  }
  return { funds, modules }
}

/** What an accept repeats: it takes over exactly what was promised and what is left. */
export function answerRules(
  chain: Chain,
  body: Accept,
  terms: { readonly incarnation: Uint8Array; readonly price: bigint },
  fail: Fail,
): void {
  if (!equalBytes(body.incarnation, terms.incarnation))
    throw fail('BAD_INCARNATION', 'it comes from another store than the one named')
  if (body.price !== terms.price) throw fail('BAD_PRICE', `its price must be ${terms.price}, not ${body.price}`)
  if (body.budget !== chain.budget) throw fail('BAD_BUDGET', `its budget must be ${chain.budget}, not ${body.budget}`)
}

/** Says whether the signature of embedded bytes is still to be checked. */
export type Verify = (bytes: Uint8Array) => boolean

/** @returns n of the last order */
export function checkOrders(chain: Chain, { kind, orders }: Checkpoint | Handoff | Retire, verify: Verify, fail: Fail): number {
  let last = chain.lastOrder
  for (const bytes of orders) {
    const { order } = embedded(() => (verify(bytes) ? readOrder(bytes) : decodeOrder(bytes)), 'BAD_ORDER', fail)
    if (order.agent !== chain.agent) throw fail('BAD_ORDER', `its order ${order.n} is for ${order.agent}`)
    if (order.n <= last) throw fail('BAD_ORDER', `its order ${order.n} does not come after order ${last}`)
    // Two witnesses take part in the change: it gets a record of its own kind that both can order.
    if (order.kind === 'witness' && kind !== 'checkpoint')
      throw fail('BAD_ORDER', `its order ${order.n} changes the witness: only a checkpoint applies it`)
    if ((order.kind === 'fund' || order.kind === 'upgrade') && kind !== 'checkpoint')
      throw fail('BAD_ORDER', `its order ${order.n} changes budget or module: only a checkpoint applies it`)
    last = order.n
  }
  return last
}

export function readEmbedded(chain: Chain, bytes: Uint8Array, verify: Verify, fail: Fail): Ready {
  const { ready } = embedded(() => (verify(bytes) ? readReady(bytes) : decodeReady(bytes)), 'BAD_READY', fail)
  if (ready.agent !== null && ready.agent !== chain.agent) throw fail('BAD_READY', `its ready is for ${ready.agent}`)
  return ready
}

function embedded<T>(read: () => T, code: LineageErrorCode, fail: Fail): T {
  try {
    return read()
  } catch (cause) {
    throw cause instanceof LineageError ? fail(code, cause.message, cause) : cause
  }
}

/** What a recover must say: whom the owner declares gone, and, if that is the witness, what comes after it. */
export function recoverRules(chain: Chain, body: Recover, ready: Ready, by: string, fail: Fail): void {
  const { asserts, witness } = body
  if (by !== chain.agent && asserts !== null) throw fail('BAD_WITNESS', 'a recover by the witness asserts nothing')
  if ((asserts === 'witness-gone') !== (witness !== undefined))
    throw fail('BAD_WITNESS', 'a recover names a witness if it asserts that the old one is gone, and only then')
  if (asserts === 'witness-gone' && chain.witness === null)
    throw fail('BAD_WITNESS', 'the agent has no witness that could be gone')
  // Where there is a witness, its cosignature says that nobody holds the agent any more.
  if (asserts === null && chain.witness === null && !isReleased(chain, ready)) {
    throw fail(
      'NOT_ASSERTED',
      'nobody gave the agent up or offered it to this store: the recover must assert that the holder is gone',
    )
  }
}

/**
 * True if a recover to this ready needs no word of the owner's that the holder is gone: nobody holds
 * the agent, or it was offered to the very store that takes it now and decides in one place.
 */
function isReleased({ authority }: Chain, ready: Ready): boolean {
  if (authority.status === 'retired') return true
  return (
    authority.status === 'offered' &&
    !authority.recover &&
    authority.ready.to === ready.to &&
    equalBytes(authority.ready.incarnation, ready.incarnation)
  )
}
