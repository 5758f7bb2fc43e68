/**
 * What others want of an agent that lives here, until its next tick boundary.
 *
 * @module
 */
import type { JournalEntry } from '@igor/lineage'
import type { HostPart } from './host-part.ts'
import { deliver, hasSeen } from './inbox.ts'
import type { Change } from './live-state.ts'
import type { PendingOrder } from './orders.ts'

/** Where an agent stands when it is about to leave. */
export interface Boundary {
  /** What is not committed yet. */
  readonly change?: Change
  /**
   * Since when it stands still, by the clock's `elapsed`: the end of its last tick when the next one is due,
   * else now, as it was only waiting.
   */
  readonly since: number
}

export interface Waiting<T> {
  readonly value: T
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export interface Requests {
  readonly messages: Waiting<{ readonly id: Uint8Array; readonly message: Uint8Array }>[]
  readonly orders: Waiting<PendingOrder>[]
  readonly departures: Waiting<(boundary: Boundary) => Promise<void>>[]
  /** There are any. */
  readonly any: boolean
  turnAway(error: Error): void
}

export const createRequests = (): Requests => {
  const messages: Requests['messages'] = []
  const orders: Requests['orders'] = []
  const departures: Requests['departures'] = []
  return {
    messages,
    orders,
    departures,
    get any() {
      return messages.length + orders.length + departures.length > 0
    },
    turnAway: (error) => {
      for (const waiting of [...messages.splice(0), ...orders.splice(0), ...departures.splice(0)]) waiting.reject(error)
    },
  }
}

export interface Admitted {
  readonly host: HostPart
  readonly admitted: Requests['messages']
  readonly entries: JournalEntry[]
}

/** Lets waiting messages in; whoever sent one that has no place is told at once. */
export const admitMessages = (host: HostPart, messages: Requests['messages']): Admitted => {
  let next = host
  const admitted: Requests['messages'] = []
  const entries: JournalEntry[] = []
  for (const waiting of messages.splice(0)) {
    const { id, message } = waiting.value
    try {
      const known = hasSeen(next, id)
      next = deliver(next, id, message)
      if (!known) entries.push({ kind: 'message', id, message })
      admitted.push(waiting)
    } catch (error) {
      waiting.reject(error)
    }
  }
  return { host: next, admitted, entries }
}

/** Lets one departure write the change. False: there is none, or it failed. */
export const leaveWith = async (
  departures: Requests['departures'],
  change: Change | undefined,
  since: number,
): Promise<boolean> => {
  const leaving = departures.shift()
  if (leaving === undefined) return false
  try {
    await leaving.value({ since, ...(change === undefined ? {} : { change }) })
    leaving.resolve()
    return true
  } catch (error) {
    leaving.reject(error)
    return false
  }
}
