/**
 * Looks after the tabs of this browser that are gone: a slot that stays free for longer than a reload
 * takes is acted for by one of the living tabs (design section 6, "Tabs").
 *
 * @module
 */
import type { Clock } from '@igor/core'
import { actFor, deadSlots, RELOAD_GRACE } from './slots.ts'

/** Between two looks at the slots: a closed tab's agents go on within 3 s of its end. */
const LOOK_MS = 400
/** A tab that nobody sees leaves a closed one to those that somebody sees. */
const HIDDEN_MS = 600
/** Before a slot is tried again whose agents could not all go. */
const RETRY_MS = 60_000

export interface WardsOptions {
  /** Name of the store whose slots these are. */
  readonly name: string
  readonly clock: Clock
  /** Whether a node of this slot would have anything to do. */
  readonly isNeeded: (slot: string) => Promise<boolean>
  /** Empties the slot; nobody else acts for it meanwhile. */
  readonly empty: (slot: string) => Promise<void>
  readonly onerror: (slot: string, error: unknown) => void
}

/** @returns what ends it; resolves when nothing of it runs any more */
export const watchSlots = ({ name, clock, isNeeded, empty, onerror }: WardsOptions): (() => Promise<void>) => {
  const ended = new AbortController()
  const { signal } = ended
  /** When a slot was first seen free, by `elapsed`. */
  const freeSince = new Map<string, number>()
  /** Slots that are free and need nothing until then. */
  const restUntil = new Map<string, number>()

  const isDue = (slot: string, leftMs: number | undefined): boolean => {
    const now = clock.elapsed()
    const since = freeSince.get(slot) ?? now
    freeSince.set(slot, since)
    const free = Math.max(now - since, leftMs ?? 0)
    return free >= RELOAD_GRACE + (document.hidden ? HIDDEN_MS : 0) && now >= (restUntil.get(slot) ?? 0)
  }

  const look = async (): Promise<void> => {
    const dead = await deadSlots(name)
    const slots = new Set(dead.map(({ slot }) => slot))
    for (const slot of freeSince.keys()) if (!slots.has(slot)) freeSince.delete(slot)
    for (const slot of restUntil.keys()) if (!slots.has(slot)) restUntil.delete(slot)
    for (const { slot, leftMs } of dead) {
      if (signal.aborted || !isDue(slot, leftMs)) continue
      restUntil.set(slot, Number.POSITIVE_INFINITY)
      if (!(await isNeeded(slot))) continue
      restUntil.set(slot, clock.elapsed() + RETRY_MS)
      await actFor(name, slot, () => empty(slot)).catch((error) => onerror(slot, error))
    }
  }

  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      await look().catch((error) => onerror('', error))
      await clock.sleep(LOOK_MS, signal).catch(() => {})
    }
  }
  const running = run()
  return async () => {
    ended.abort()
    await running
  }
}
