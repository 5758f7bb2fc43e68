/**
 * What an order does to an agent that lives here.
 *
 * @module
 */
import type { SignedOrder } from '@igor/lineage'
import { MAX_BUDGET } from '../agent/budget.ts'
import type { Context } from '../agent/context.ts'
import { appliesOrder } from '../agent/history.ts'
import type { Move } from '../api.ts'
import { IgorError } from '../errors.ts'
import { checkChange } from './change-witness.ts'
import type { Residents } from './residents.ts'
import type { Upgrades } from './upgrades.ts'

export interface Obeying {
  readonly context: Context
  readonly residents: Residents
  readonly upgrades: Upgrades
  /** Makes sure that a peer that was only heard of can be opened a channel to. */
  readonly reachable: (peer: string) => Promise<string>
  /** The node stops. */
  readonly signal: AbortSignal
}

/**
 * @param from the peer that brought the order; undefined: this node's own user
 * @throws IgorError NOT_AUTHORITATIVE | AGENT_HALTED | BAD_ORDER, and what the order's work throws
 */
export const obey = async (node: Obeying, { order, bytes }: SignedOrder, from?: string): Promise<Move | undefined> => {
  const { residents, upgrades } = node
  const hosted = residents.hosted(order.agent)
  if (hosted === undefined) {
    const row = residents.ledger(order.agent)?.row
    if (row?.state === 'recovery-required') throw new IgorError('AGENT_HALTED', `it is halted here: ${row.why}`)
    throw new IgorError('NOT_AUTHORITATIVE', `${order.agent} does not live here`)
  }
  const { records, lastOrder } = hosted.ledger
  if (order.n <= lastOrder) {
    // Sent again because its answer was lost: it was applied.
    if (order.kind !== 'move' && records.some((record) => appliesOrder(record, bytes))) return undefined
    throw new IgorError('BAD_ORDER', `order ${order.n} is not newer than the last one applied (${lastOrder})`)
  }
  if (order.kind === 'move') return residents.move(order.agent, await node.reachable(order.to), [bytes], node.signal)
  if (order.kind === 'witness') await checkChange(node.context, hosted, order.to)
  const { kind, n } = order
  if (order.kind === 'fund' && hosted.ledger.meter.budget + order.amount > MAX_BUDGET)
    throw new IgorError('BAD_ORDER', `a budget is at most ${MAX_BUDGET} microcents`)
  if (order.kind !== 'upgrade') await hosted.order({ kind, n, bytes })
  else {
    const module = await upgrades.fetch(order.agent, order.module, from)
    await upgrades.check(hosted, module)
    await hosted.order({ kind, n, bytes, module })
  }
  return undefined
}
