import type { JournalEntry } from '@igor/lineage'
import { CURRENT } from '@igor/sandbox'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ConflictError } from '../errors.ts'
import { keys } from '../keys.ts'
import type { Expectation, Store } from '../platform.ts'
import { openLogStore } from '../store/log-store.ts'
import { makeDisk } from '../testing/memory-files.ts'
import { type Journal, openJournal, type Place } from './journal.ts'
import { type Author, joinPieces, openTurns, type Turns } from './turns.ts'

const random = (length: number): Uint8Array => globalThis.crypto.getRandomValues(new Uint8Array(length))
const mine = Uint8Array.of(1)

const entryOf = (tick: number, size = 16): JournalEntry => ({
  kind: 'message',
  id: new Uint8Array(16).fill(tick),
  message: new Uint8Array(size).fill(tick),
})

interface Written extends Author {
  readonly journal: Journal
  place: Place
}

const authorOf = async (store: Store, name: string): Promise<Written> => {
  const place = { epoch: 1, seq: 1 }
  const expectation: Expectation = [keys.authority(name), mine]
  const journal = openJournal(name, place)
  journal.runBy(CURRENT)
  await store.commit({ put: [expectation as [string, Uint8Array]] })
  return { agent: name, journal, place, expect: () => expectation, fold: (tail) => journal.fold(tail) }
}

/** What a start finds of an author. */
const reopen = async (store: Store, turns: Turns, { agent, place }: Written): Promise<readonly JournalEntry[]> => {
  const rows: Uint8Array[] = []
  for (;;) {
    const row = await store.get(keys.journalRow(agent, place.epoch, place.seq, rows.length))
    if (row === undefined) break
    rows.push(row)
  }
  const length = rows.reduce((sum, row) => sum + row.length, 0)
  return openJournal(agent, place, rows, joinPieces(place, length, turns.found(agent))).entries()
}

describe('the journals of many agents', () => {
  const open = async () => {
    const disk = makeDisk()
    const store = await openLogStore(disk.open(), { random })
    return { disk, store, turns: await openTurns(store, 'main') }
  }

  it('share a row for what comes at once, which goes when each of them has a row of its own', async () => {
    const { store, turns } = await open()
    const authors = await Promise.all(['a', 'b', 'c'].map((name) => authorOf(store, name)))
    const all = (size?: number) =>
      Promise.all(authors.map((author, i) => turns.write(author, author.journal.append([entryOf(i, size)]))))
    await all()
    expect(await store.list(keys.turns('main'))).toHaveLength(1)
    for (const { agent } of authors) expect(await store.list(keys.journal(agent))).toHaveLength(0)
    await all(2000)
    for (const { agent } of authors) expect(await store.list(keys.journal(agent))).toHaveLength(1)
    await all()
    expect(await store.list(keys.turns('main'))).toHaveLength(1)
    const again = await openTurns(store, 'main')
    for (const author of authors) expect(await reopen(store, again, author)).toEqual(author.journal.entries())
    await store.close()
  })

  it('turns away one that is not here any more, and writes the others', async () => {
    const { store, turns } = await open()
    const [gone, here] = [await authorOf(store, 'gone'), await authorOf(store, 'here')]
    await store.commit({ put: [[keys.authority('gone'), Uint8Array.of(2)]] })
    const lost = turns.write(gone, gone.journal.append([entryOf(1)]))
    const written = turns.write(here, here.journal.append([entryOf(2)]))
    await expect(lost).rejects.toBeInstanceOf(ConflictError)
    await written
    expect(gone.journal.bytes).toBe(0)
    expect(await reopen(store, await openTurns(store, 'main'), here)).toEqual([entryOf(2)])
    await store.close()
  })

  it('lose nothing that was written, wherever the machine crashes, whoever is silent for long', async () => {
    const step = fc.record({
      who: fc.nat({ max: 4 }),
      size: fc.nat({ max: 600 }),
      does: fc.constantFrom('write', 'write', 'write', 'keep', 'seal' as const),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.nat({ max: 200 }), async (steps, crashAt) => {
        const disk = makeDisk()
        const store = await openLogStore(disk.open(), { random })
        const turns = await openTurns(store, 'main', { maxRows: 3 })
        const authors = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((name) => authorOf(store, name)))
        const durable = authors.map(() => 0)
        const said: JournalEntry[][] = authors.map(() => [])
        disk.crashAt(crashAt, { unsynced: 'gone' })
        const run = async (): Promise<void> => {
          for (const [n, { who, size, does }] of steps.entries()) {
            const author = authors[who] as Written
            const { journal } = author
            if (does === 'seal') {
              const next = { epoch: 1, seq: author.place.seq + 1 }
              const sealed = journal.seal([], next, CURRENT)
              await store.commit({ put: sealed.put, remove: sealed.remove })
              sealed.keep()
              turns.forget(author)
              author.place = next
              said[who] = []
              durable[who] = 0
              continue
            }
            const entry = entryOf(n, size)
            const tail = journal.append([entry])
            said[who]?.push(entry)
            if (does === 'keep') tail.keep(false)
            else {
              await turns.write(author, tail)
              expect((await store.list(keys.turns('main'))).length).toBeLessThanOrEqual(5)
              durable[who] = said[who]?.length ?? 0
            }
          }
        }
        await run().catch((error) => expect(disk.operations, String(error)).toBeGreaterThan(0))
        const after = await openLogStore(disk.copy().open(), { random })
        const found = await openTurns(after, 'main')
        for (const [i, author] of authors.entries()) {
          const next = keys.journalRow(author.agent, author.place.epoch, author.place.seq + 1, 0)
          // The record that was under way when it crashed is there: it took over all that was said.
          if ((await after.get(next)) !== undefined) continue
          const there = await reopen(after, found, author)
          expect(there.length).toBeGreaterThanOrEqual(durable[i] ?? 0)
          expect(there).toEqual(said[i]?.slice(0, there.length))
        }
        await after.close()
      }),
      { numRuns: 60 },
    )
  })
})
