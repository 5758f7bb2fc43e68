/**
 * The kept end of a log: whoever begins to watch is first given the last lines, in one burst.
 *
 * @module
 */
import type { AgentEvent } from '@igor/core'
import type { LogLine } from '../control/methods.ts'

/** A burst is over when nothing came for this long. */
const QUIET_MS = 120
/** An agent that logs without a pause must not keep a burst open; one elsewhere is first asked. */
const LONGEST_HERE_MS = 400
const LONGEST_ELSEWHERE_MS = 4_000

export interface Recent {
  readonly recent: readonly LogLine[]
  /** Lines after those. */
  readonly rest: AsyncIterable<LogLine>
}

/** @param here whether the agent runs on this node */
export async function recentLines(events: AsyncIterator<AgentEvent>, here: boolean): Promise<Recent> {
  const recent: LogLine[] = []
  const start = performance.now()
  let pending = events.next()
  // Seen where it is awaited.
  pending.catch(() => undefined)
  let began = here
  for (;;) {
    const left = (here ? LONGEST_HERE_MS : LONGEST_ELSEWHERE_MS) - (performance.now() - start)
    if (left <= 0) break
    const next = await within(pending, began ? Math.min(QUIET_MS, left) : left)
    if (next === undefined || next.done === true) break
    if (next.value.type === 'log') recent.push(lineOf(next.value))
    began ||= next.value.type === 'status'
    pending = events.next()
    pending.catch(() => undefined)
  }
  return { recent, rest: linesOf(events, pending) }
}

async function* linesOf(events: AsyncIterator<AgentEvent>, first: Promise<IteratorResult<AgentEvent>>): AsyncIterable<LogLine> {
  for (let next = await first; next.done !== true; next = await events.next()) {
    if (next.value.type === 'log') yield lineOf(next.value)
  }
}

function lineOf({ tick, time, text }: LogLine): LogLine {
  return { tick, time, text }
}

async function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
