/**
 * Journaled ticks as fast as a store makes them durable: many agents, each of which begins a tick when its last one is.
 *
 * @module
 */
import type { Store } from '@igor/core'
import { CURRENT } from '@igor/sandbox'
import { openJournal } from '../../core/src/agent/journal.ts'
import { type Author, openTurns, type Turns } from '../../core/src/agent/turns.ts'
import { keys } from '../../core/src/keys.ts'

/** As a node's: then a record takes the journal over. */
const SEGMENT_BYTES = 64 * 1024

const live = async (store: Store, turns: Turns, agent: string, until: () => boolean): Promise<number> => {
  let place = { epoch: 1, seq: 1 }
  const row = crypto.getRandomValues(new Uint8Array(200))
  await store.commit({ put: [[keys.authority(agent), row]] })
  const journal = openJournal(agent, place)
  journal.runBy(CURRENT)
  const author: Author = {
    agent,
    get place() {
      return place
    },
    expect: () => [keys.authority(agent), row],
    fold: journal.fold,
  }
  const terms = { attempt: 0, epoch: 1, limit: 10n ** 8n, price: 0n, balance: 0n, receipts: [] }
  let tick = 0
  while (!until()) {
    tick++
    const header = { ...terms, tick, time: 1_700_000_000_000_000_000n + BigInt(tick) * 1_000_000_000n }
    await turns.write(author, journal.append([{ kind: 'run', header, ticks: 1, fuel: 20n, taken: 0, failed: null }]))
    if (journal.bytes < SEGMENT_BYTES) continue
    const next = { epoch: 1, seq: place.seq + 1 }
    const { put, remove, keep } = journal.seal([], next, CURRENT)
    await store.commit({ put, remove })
    keep()
    turns.forget(author)
    place = next
  }
  return tick
}

/** @returns durable ticks a second of so many agents together */
export const journalTicks = async (store: Store, agents: number, ms: number): Promise<number> => {
  const turns = await openTurns(store, 'bench')
  const from = performance.now()
  const until = (): boolean => performance.now() - from >= ms
  const ticks = await Promise.all(Array.from({ length: agents }, (_, i) => live(store, turns, `did:key:bench-${i}`, until)))
  return (1000 * ticks.reduce((sum, n) => sum + n, 0)) / (performance.now() - from)
}
