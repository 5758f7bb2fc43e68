/**
 * What an owner's orders do to an agent at a tick boundary. They take effect with the record that names them,
 * after everything in its segment. Pure.
 *
 * @module
 */
import { MAX_ORDERS } from '@igor/lineage'
import type { HostPart } from './host-part.ts'

export interface PendingOrder {
  readonly kind: 'pause' | 'resume' | 'retire'
  readonly n: number
  readonly bytes: Uint8Array
}

export interface Ordered<T> {
  readonly host: HostPart
  readonly applied: readonly T[]
  /** The last one applied ends its life here. */
  readonly retires: boolean
  /** Not newer than one that was applied. */
  readonly stale: readonly T[]
  /** For the next record: one names so many, and nothing comes after a retire. */
  readonly later: readonly T[]
}

const apply = (host: HostPart, { kind, n }: PendingOrder): HostPart => {
  switch (kind) {
    case 'pause':
      return { ...host, paused: true, lastOrder: n }
    case 'resume':
      return { ...host, paused: false, faulted: null, failures: 0, lastOrder: n }
    case 'retire':
      return host
  }
}

/** @param orders in any order, with what the caller keeps beside each */
export const applyOrders = <T extends { readonly value: PendingOrder }>(
  host: HostPart,
  lastOrder: number,
  orders: readonly T[],
): Ordered<T> => {
  let next = host
  let last = lastOrder
  let retires = false
  const applied: T[] = []
  const stale: T[] = []
  const later: T[] = []
  for (const one of [...orders].sort((a, b) => a.value.n - b.value.n)) {
    if (retires || applied.length === MAX_ORDERS) later.push(one)
    else if (one.value.n <= last) stale.push(one)
    else {
      next = apply(next, one.value)
      last = one.value.n
      retires = one.value.kind === 'retire'
      applied.push(one)
    }
  }
  return { host: next, applied, retires, stale, later }
}
