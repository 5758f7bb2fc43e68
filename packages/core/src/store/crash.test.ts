import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { StoreFullError } from '../errors.ts'
import type { Batch, Store } from '../platform.ts'
import { type CrashOptions, type Disk, makeDisk } from '../testing/memory-files.ts'
import { contentOf, randomBytes, sameContent, seeded, statesOf, wavesOf } from './log-store.test.shared.ts'
import { openLogStore } from './log-store.ts'

const UNSYNCED = ['kept', 'gone', 'torn'] as const
/** So low that the log and its copies are compacted all the time. */
const options = { random: randomBytes, compactAbove: 600 }

interface Run {
  /** Batches that were handed over. */
  readonly given: number
  /** Batches up to the last one that was acknowledged as durable. */
  readonly durable: number
  /** Batches up to the last one that was acknowledged. */
  readonly acknowledged: number
}

/** Commits waves until the end or the crash. */
async function run(disk: Disk, waves: readonly (readonly Batch[])[]): Promise<Run> {
  let given = 0
  let durable = 0
  let acknowledged = 0
  let store: Store | undefined
  try {
    store = await openLogStore(disk.open(), options)
    for (const wave of waves) {
      const first = given
      given += wave.length
      const outcomes = await Promise.allSettled(wave.map((batch) => (store as Store).commit(batch)))
      for (const [i, { status }] of outcomes.entries()) {
        if (status !== 'fulfilled') continue
        acknowledged = first + i + 1
        if (wave[i]?.durable !== false) durable = first + i + 1
      }
      if (outcomes.some(({ status }) => status === 'rejected')) break
    }
    await store.close()
  } catch {
    await store?.close().catch(() => undefined)
  }
  return { given, durable, acknowledged }
}

/** Which prefix of the batches the disk holds. Never damaged, never anything else. */
async function prefixOn(disk: Disk, batches: readonly Batch[]): Promise<number[]> {
  const store = await openLogStore(disk.open(), options)
  expect(store.damaged).toBe(false)
  const content = await contentOf(store)
  await store.close()
  return statesOf(batches).flatMap((state, i) => (sameContent(state, content) ? [i] : []))
}

describe('a crash', () => {
  it('at any operation leaves a prefix of the batches, with every one that was acknowledged as durable', async () => {
    await fc.assert(
      fc.asyncProperty(wavesOf, fc.nat(), async (waves, seed) => {
        const batches = waves.flat()
        const whole = makeDisk()
        await run(whole, waves)
        const total = whole.operations
        for (const unsynced of UNSYNCED) {
          for (let at = 0; at < total; at++) {
            const random = seeded(seed + at)
            const disk = makeDisk()
            disk.crashAt(at, { unsynced, random })
            const { given, durable, acknowledged } = await run(disk, waves)
            const prefixes = await prefixOn(disk, batches)
            const least = unsynced === 'kept' ? acknowledged : durable
            expect(
              prefixes.some((length) => length >= least && length <= given),
              `${unsynced} at ${at}: ${prefixes} of ${given}, acknowledged ${least}`,
            ).toBe(true)
          }
        }
      }),
      { numRuns: 8 },
    )
  })

  it('at any operation of opening after a crash changes nothing', async () => {
    await fc.assert(
      fc.asyncProperty(wavesOf, fc.nat(), async (waves, seed) => {
        const batches = waves.flat()
        const random = seeded(seed)
        const crash = (): CrashOptions => ({ unsynced: UNSYNCED[Math.floor(random() * 3)] ?? 'torn', random })
        for (let i = 0; i < 25; i++) {
          const disk = makeDisk()
          disk.crashAt(Math.floor(random() * 60), crash())
          const { given, durable } = await run(disk, waves)
          // Crashes again and again at opening, until it is through.
          for (let at = 0; at < 12; at++) {
            disk.crashAt(at, crash())
            await openLogStore(disk.open(), options).then(
              (store) => store.close(),
              () => undefined,
            )
            disk.crash(crash())
          }
          const prefixes = await prefixOn(disk, batches)
          expect(prefixes.some((length) => length >= durable && length <= given)).toBe(true)
        }
      }),
      { numRuns: 8 },
    )
  })

  it('after a crash loses nothing of what came between', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(wavesOf, { minLength: 2, maxLength: 4 }), fc.nat(), async (lives, seed) => {
        const random = seeded(seed)
        const disk = makeDisk()
        let before: Batch[] = []
        for (const waves of lives) {
          disk.crashAt(Math.floor(random() * 50), { unsynced: UNSYNCED[Math.floor(random() * 3)] ?? 'torn', random })
          const { given, durable } = await run(disk, waves)
          disk.crash({ unsynced: 'torn', random })
          const batches = [...before, ...waves.flat()]
          const prefixes = await prefixOn(disk, batches)
          const length = prefixes.find((length) => length >= before.length + durable && length <= before.length + given)
          expect(length).toBeDefined()
          before = batches.slice(0, length)
        }
      }),
      { numRuns: 60 },
    )
  })
})

describe('a failed sync', () => {
  it('ends the store for writing, and what was acknowledged is kept', async () => {
    await fc.assert(
      fc.asyncProperty(wavesOf, fc.nat({ max: 30 }), fc.nat(), async (waves, at, seed) => {
        const disk = makeDisk()
        const store = await openLogStore(disk.open(), options)
        // Full or not: what a failed sync leaves is not known.
        disk.failSyncAt(at, seed % 2 === 0 ? undefined : new StoreFullError('no room'))
        let durable = 0
        let given = 0
        let failed = false
        for (const wave of waves) {
          const outcomes = await Promise.allSettled(wave.map((batch) => store.commit(batch)))
          for (const [i, outcome] of outcomes.entries()) {
            given++
            if (outcome.status === 'rejected') {
              expect(outcome.reason).toMatchObject({ code: 'HOST_FAULT' })
              failed = true
            } else {
              expect(failed, 'nothing is acknowledged after a failed sync').toBe(false)
              if (wave[i]?.durable !== false) durable = given
            }
          }
        }
        await store.close().catch(() => undefined)
        disk.failSyncAt(-1)
        disk.crash({ unsynced: 'torn', random: seeded(seed) })
        const prefixes = await prefixOn(disk, waves.flat())
        expect(prefixes.some((length) => length >= durable && length <= given)).toBe(true)
      }),
      { numRuns: 200 },
    )
  })
})
