/**
 * Which node a tab is. A slot is a name that one living tab holds by a Web Lock; the tab remembers it
 * in sessionStorage, so that a reload comes back as the same node (design section 6, "Tabs").
 *
 * A lock is no proof that nobody else acts for the slot (a page may come back out of the
 * back/forward cache): IndexedDB is the fence, see `Batch.expect`.
 *
 * @module
 */
import { IgorError } from '@igor/core'
import { readItem, writeItem } from './web-storage.ts'

/** Milliseconds for which a slot stays reserved for the reload of the tab that left it. */
export const RELOAD_GRACE = 1500
/** Slots of one store; tabs beyond that are refused. More tabs than that, each a node, no machine bears. */
const MAX_SLOTS = 256

/** All names, in the order in which they are made. */
const SLOTS: readonly string[] = Array.from({ length: MAX_SLOTS }, (_, index) => `tab-${index + 1}`)

export interface SlotOptions {
  /** Name of the store whose slots these are. Default `igor`. */
  readonly name?: string
  readonly signal?: AbortSignal
}

export interface Slot {
  /** `tab-1`, `tab-2`, … */
  readonly slot: string
  /** Gives it up: when this resolves, another tab may take it. This tab still remembers it, and asks for it first. */
  release(): Promise<void>
}

/**
 * Takes the slot that this tab had before, else the lowest free one that was in use before, else a
 * new one.
 *
 * A slot whose tab left less than 1.5 s ago is not free, since that tab may be reloading: this waits
 * for it rather than making a new slot. A duplicated tab finds its slot held and takes another one
 * after 1.5 s.
 *
 * @throws IgorError QUOTA when there are too many tabs; the signal's reason when aborted
 */
export async function claimSlot(options: SlotOptions = {}): Promise<Slot> {
  const { name = 'igor', signal } = options
  signal?.throwIfAborted()
  const own = readItem('sessionStorage', ownKey(name))
  const kept = own !== undefined && SLOTS.includes(own) ? await hold(name, own, RELOAD_GRACE, signal) : undefined
  if (kept) return kept
  // A round fails only if another tab was quicker, or a tab that left came back.
  for (let round = 0; round < 2 * MAX_SLOTS; round++) {
    signal?.throwIfAborted()
    const held = await livingSlots(name)
    const { slot, wait } = choose(name, held)
    if (slot === undefined) break
    if (wait > 0) await pause(wait, signal)
    else {
      const taken = await hold(name, slot, 0, signal)
      if (taken) return taken
    }
  }
  throw new IgorError('QUOTA', `this browser has ${MAX_SLOTS} tabs of Igor open; close some of them and reload`)
}

/** Slots that living tabs hold now. */
export async function livingSlots(name = 'igor'): Promise<ReadonlySet<string>> {
  const { held = [] } = await navigator.locks.query()
  const prefix = lockName(name, '')
  return new Set(held.flatMap((lock) => (lock.name?.startsWith(prefix) ? [lock.name.slice(prefix.length)] : [])))
}

/** The best slot, and the milliseconds after which it may be had. */
function choose(name: string, held: ReadonlySet<string>): { slot: string | undefined; wait: number } {
  const now = Date.now()
  let fresh: string | undefined
  let leaving: { slot: string; wait: number } | undefined
  for (const slot of SLOTS) {
    if (held.has(slot)) continue
    const mark = readItem('localStorage', markKey(name, slot))
    if (mark === undefined) {
      fresh ??= slot
      continue
    }
    const wait = reserved(Number(mark), now)
    if (wait === 0) return { slot, wait }
    if (leaving === undefined || wait < leaving.wait) leaving = { slot, wait }
  }
  return leaving ?? { slot: fresh, wait: 0 }
}

/** Milliseconds for which a slot that was left at `mark` (Unix ms; 0: given up, or its tab crashed) is reserved. */
function reserved(mark: number, now: number): number {
  const left = mark + RELOAD_GRACE - now
  // A mark of the future is of a clock that was set back.
  return left > 0 && left <= RELOAD_GRACE ? left : 0
}

/** Makes the slot this tab's own, waiting for its lock at most `wait` ms. @returns undefined when it is not to be had */
async function hold(name: string, slot: string, wait: number, signal: AbortSignal | undefined): Promise<Slot | undefined> {
  const give = await lock(name, slot, wait, signal)
  if (give === undefined) return undefined
  writeItem('sessionStorage', ownKey(name), slot)
  mark(name, slot, 0)
  const onhide = () => mark(name, slot, Date.now())
  window.addEventListener('pagehide', onhide)
  return {
    slot,
    release: async () => {
      window.removeEventListener('pagehide', onhide)
      await give()
    },
  }
}

/** @returns what gives the lock back; undefined when it is not to be had within `wait` ms */
async function lock(
  name: string,
  slot: string,
  wait: number,
  signal: AbortSignal | undefined,
): Promise<(() => Promise<void>) | undefined> {
  const taken = Promise.withResolvers<boolean>()
  const done = Promise.withResolvers<void>()
  const options: LockOptions =
    wait === 0 ? { ifAvailable: true } : { signal: AbortSignal.any([AbortSignal.timeout(wait), ...(signal ? [signal] : [])]) }
  const gone = navigator.locks
    .request(lockName(name, slot), options, (held) => {
      taken.resolve(held !== null)
      return held === null ? undefined : done.promise
    })
    .catch(() => taken.resolve(false))
  if (await taken.promise) {
    return async () => {
      done.resolve()
      await gone
    }
  }
  signal?.throwIfAborted()
  return undefined
}

/**
 * Slots that were in use and that no living tab holds, with the milliseconds since their tabs left, as far as
 * they said so.
 */
export async function deadSlots(name = 'igor'): Promise<readonly { slot: string; leftMs?: number }[]> {
  const held = await livingSlots(name)
  const now = Date.now()
  return SLOTS.flatMap((slot) => {
    const left = held.has(slot) ? undefined : readItem('localStorage', markKey(name, slot))
    if (left === undefined) return []
    const leftMs = now - Number(left)
    // 0: it holds the slot, or crashed; a mark of the future is of a clock that was set back.
    return [{ slot, ...(Number(left) > 0 && leftMs >= 0 ? { leftMs } : {}) }]
  })
}

/**
 * Acts for a slot whose tab is gone: no tab can take it until `task` has ended. Not this tab's own by that.
 *
 * @returns false when another tab has it
 */
export async function actFor(name: string, slot: string, task: () => Promise<void>): Promise<boolean> {
  const give = await lock(name, slot, 0, undefined)
  if (give === undefined) return false
  try {
    await task()
    return true
  } finally {
    await give()
  }
}

function mark(name: string, slot: string, leftAt: number): void {
  writeItem('localStorage', markKey(name, slot), String(leftAt))
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const abort = () => {
    clearTimeout(timer)
    reject(signal?.reason)
  }
  const timer = setTimeout(() => {
    signal?.removeEventListener('abort', abort)
    resolve()
  }, ms)
  signal?.addEventListener('abort', abort, { once: true })
  return promise
}

function lockName(name: string, slot: string): string {
  return `igor/${name}/slot/${slot}`
}

function ownKey(name: string): string {
  return `igor/${name}/slot`
}

/** When the slot's tab left; there once the slot was ever in use. */
function markKey(name: string, slot: string): string {
  return `igor/${name}/slot/${slot}/left`
}
