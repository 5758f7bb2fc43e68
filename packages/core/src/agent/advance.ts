/**
 * How the host's part of a state goes on, entry by entry: the same when it happens and when it is replayed. Pure.
 *
 * @module
 */
import type { JournalEntry, RunEntry } from '@igor/lineage'
import type { HostPart } from './host-part.ts'
import { deliver } from './inbox.ts'

/** Failed ticks in a row after which an agent rests until its owner resumes it. */
export const MAX_FAILURES = 5

const afterRun = (host: HostPart, { header, ticks, taken, failed }: RunEntry): HostPart => {
  const failures = failed === null ? 0 : ticks === 0 ? host.failures + 1 : 1
  return {
    ...host,
    tick: host.tick + ticks,
    time: ticks > 0 ? header.time : host.time,
    inbox: host.inbox.slice(taken),
    failures,
    faulted: failures >= MAX_FAILURES ? `${failures} ticks in a row failed, the last with: ${failed}` : null,
  }
}

/**
 * Its kv stays that of the state: the worker has the present one.
 *
 * @throws IgorError BAD_MESSAGE | QUOTA for a message that was never let in
 */
export const advanceHost = (host: HostPart, entry: JournalEntry): HostPart => {
  switch (entry.kind) {
    case 'message':
      return deliver(host, entry.id, entry.message)
    case 'run':
      return afterRun(host, entry)
    case 'start':
      return { ...host, time: entry.header.time }
    case 'upgrade':
      return host
  }
}

export const advanceAll = (host: HostPart, entries: readonly JournalEntry[]): HostPart => entries.reduce(advanceHost, host)
