/**
 * What an owner's orders do to an agent at a tick boundary. They take effect with the record that names them,
 * after everything in its segment. Pure.
 *
 * @module
 */
import { MAX_ORDERS } from '@igor/lineage'
import type { CID } from 'multiformats/cid'
import type { HostPart } from './host-part.ts'

export interface PendingOrder {
  readonly kind: 'pause' | 'resume' | 'retire' | 'fund' | 'upgrade' | 'witness'
  readonly n: number
  readonly bytes: Uint8Array
  /** Of an upgrade: loaded before, so that it is known to fit the manifest. */
  readonly module?: NewModule
}

export interface NewModule {
  readonly cid: CID
  readonly rows: readonly (readonly [string, Uint8Array])[]
}

export interface Ordered<T> {
  readonly host: HostPart
  readonly applied: readonly T[]
  /** The last one applied ends its life here. */
  readonly retires: boolean
  /** The last one applied is an upgrade. */
  readonly upgrade: NewModule | undefined
  /** The only one applied names another witness: it has a record that says nothing else. */
  readonly changesWitness: boolean
  /** Not newer than one that was applied. */
  readonly stale: readonly T[]
  /** For the next record: one names so many, and nothing comes after a retire or an upgrade, or beside a change of witness. */
  readonly later: readonly T[]
}

const apply = (host: HostPart, { kind, n }: PendingOrder): HostPart => {
  switch (kind) {
    case 'pause':
      return { ...host, paused: true, lastOrder: n }
    case 'resume':
      return { ...host, paused: false, faulted: null, failures: 0, lastOrder: n }
    case 'fund':
    case 'upgrade':
      return { ...host, lastOrder: n }
    case 'retire':
    // Who orders its history is no part of its state.
    case 'witness':
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
  let upgrade: NewModule | undefined
  let changesWitness = false
  const applied: T[] = []
  const stale: T[] = []
  const later: T[] = []
  for (const one of [...orders].sort((a, b) => a.value.n - b.value.n)) {
    const alone = one.value.kind === 'witness' && applied.length > 0
    if (retires || upgrade !== undefined || changesWitness || alone || applied.length === MAX_ORDERS) later.push(one)
    else if (one.value.n <= last) stale.push(one)
    else {
      next = apply(next, one.value)
      last = one.value.n
      retires = one.value.kind === 'retire'
      upgrade = one.value.module
      changesWitness = one.value.kind === 'witness'
      applied.push(one)
    }
  }
  return { host: next, applied, retires, upgrade, changesWitness, stale, later }
}
