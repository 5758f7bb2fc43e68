/**
 * Simulated time: events in the order of their time, then of their making. After each one everything that it
 * set free (microtasks) has run before the next begins, so that a run depends on nothing but its events.
 *
 * @module
 */

export interface Scheduler {
  /** Microseconds since the start. */
  readonly now: number
  /** Events so far. */
  readonly events: number
  /** Runs `task` after `us` microseconds. Returns what cancels it. */
  after(us: number, task: () => void): () => void
  /** Nothing happens before this settles: for work that the engine does at its own pace, such as compiling. */
  hold(work: Promise<unknown>): void
  /** Runs until the time is `until`, or `done` says so after an event. */
  run(until: number, done?: () => boolean): Promise<void>
}

interface Event {
  readonly at: number
  readonly order: number
  /** Undefined: cancelled. */
  task: (() => void) | undefined
}

declare const setImmediate: ((callback: () => void) => unknown) | undefined

/** Resolves when all microtasks have run. */
const settled: () => Promise<void> = (() => {
  if (typeof setImmediate === 'function') {
    const soon = setImmediate
    return () => new Promise<void>((resolve) => void soon(resolve))
  }
  const { port1, port2 } = new MessageChannel()
  const waiting: (() => void)[] = []
  port1.onmessage = () => waiting.shift()?.()
  return () =>
    new Promise<void>((resolve) => {
      waiting.push(resolve)
      port2.postMessage(0)
    })
})()

/** A binary heap. */
const createHeap = () => {
  const heap: Event[] = []
  const before = (a: Event, b: Event): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)
  return {
    peek: (): Event | undefined => heap[0],
    push: (event: Event): void => {
      let i = heap.length
      heap.push(event)
      while (i > 0) {
        const up = (i - 1) >> 1
        const parent = heap[up] as Event
        if (before(parent, event)) break
        heap[i] = parent
        i = up
      }
      heap[i] = event
    },
    pop: (): void => {
      const last = heap.pop()
      if (last === undefined || heap.length === 0) return
      let i = 0
      for (;;) {
        let down = 2 * i + 1
        if (down >= heap.length) break
        if (down + 1 < heap.length && before(heap[down + 1] as Event, heap[down] as Event)) down++
        if (before(last, heap[down] as Event)) break
        heap[i] = heap[down] as Event
        i = down
      }
      heap[i] = last
    },
  }
}

export const createScheduler = (): Scheduler => {
  const heap = createHeap()
  const held = new Set<Promise<unknown>>()
  let now = 0
  let order = 0
  let events = 0
  return {
    get now() {
      return now
    },
    get events() {
      return events
    },
    after: (us, task) => {
      const event: Event = { at: now + Math.max(0, Math.round(us)), order: order++, task }
      heap.push(event)
      return () => {
        event.task = undefined
      }
    },
    hold: (work) => {
      held.add(work)
      const release = (): void => void held.delete(work)
      work.then(release, release)
    },
    run: async (until, done = () => false) => {
      await settled()
      for (;;) {
        while (held.size > 0) {
          await Promise.allSettled(held)
          await settled()
        }
        const event = heap.peek()
        if (event === undefined || event.at > until) break
        heap.pop()
        const { task } = event
        if (task === undefined) continue
        now = event.at
        events++
        task()
        await settled()
        if (done()) return
      }
      now = Math.max(now, until)
    },
  }
}
