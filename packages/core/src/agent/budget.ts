/**
 * What an agent used and owes, from its chain and the fuel since its last record (docs/design.md, section 5).
 * Integers throughout; rounded up once over an epoch, so that no split of it costs more or less.
 *
 * @module
 */
import { type Chain, costOf, FUEL_PER_SECOND } from '@igor/lineage'

/** What int64 microcents can hold. */
export const MAX_BUDGET = 2n ** 63n - 1n

export interface Meter {
  /** Cumulative fuel. */
  readonly fuel: bigint
  /** Cumulative cost, microcents. */
  readonly cost: bigint
  /** What is left, microcents. */
  readonly budget: bigint
}

/** @param since fuel billed since the head */
export const meterOf = (chain: Chain, since: bigint): Meter => {
  const { billed, progress, price } = chain
  const fuel = (progress?.body.fuel ?? 0n) + since
  const cost = billed.cost + costOf(fuel - billed.fuel, price)
  return { fuel, cost, budget: chain.budget - (cost - (progress?.body.cost ?? 0n)) }
}

/** Fuel that the budget pays for from here on; undefined: it costs nothing. */
export const payableFuel = (chain: Chain, since: bigint): bigint | undefined => {
  const { billed, progress, price } = chain
  if (price === 0n) return undefined
  const used = (progress?.body.fuel ?? 0n) + since - billed.fuel
  const funds = chain.budget + (progress?.body.cost ?? 0n) - billed.cost
  const payable = (funds * FUEL_PER_SECOND) / price - used
  return payable > 0n ? payable : 0n
}

/** Fuel that so many microcents pay for; undefined: it costs nothing. */
export const payableAt = (budget: bigint, price: bigint): bigint | undefined =>
  price === 0n ? undefined : (budget * FUEL_PER_SECOND) / price
