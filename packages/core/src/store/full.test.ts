import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Batch } from '../platform.ts'
import { makeDisk } from '../testing/memory-files.ts'
import { contentOf, randomBytes, sameContent, seeded, statesOf, wavesOf } from './log-store.test.shared.ts'
import { openLogStore } from './log-store.ts'

const options = { random: randomBytes, compactAbove: 600 }

describe('a full disk', () => {
  it('refuses batches whole, keeps the others, and goes on when there is room', async () => {
    await fc.assert(
      fc.asyncProperty(wavesOf, fc.nat({ max: 3000 }), fc.nat(), async (waves, room, seed) => {
        const disk = makeDisk()
        const store = await openLogStore(disk.open(), options)
        disk.capacity = room
        const kept: Batch[] = []
        for (const wave of waves) {
          const outcomes = await Promise.allSettled(wave.map((batch) => store.commit(batch)))
          for (const [i, outcome] of outcomes.entries()) {
            const batch = wave[i] as Batch
            if (outcome.status === 'fulfilled') kept.push(batch)
            else expect(outcome.reason).toMatchObject({ code: 'STORE_FULL' })
          }
          expect(sameContent(await contentOf(store), statesOf(kept).at(-1) ?? new Map())).toBe(true)
        }
        disk.capacity = Number.POSITIVE_INFINITY
        const last: Batch = {
          put: [
            ['vital/last', randomBytes(10)],
            ['last', randomBytes(10)],
          ],
        }
        await store.commit(last)
        disk.crash({ unsynced: 'torn', random: seeded(seed) })
        const again = await openLogStore(disk.open(), options)
        expect(again.damaged).toBe(false)
        expect(sameContent(await contentOf(again), statesOf([...kept, last]).at(-1) ?? new Map())).toBe(true)
        await again.close()
      }),
      { numRuns: 150 },
    )
  })

  it('at a crash leaves nothing of a batch that was refused', async () => {
    for (let room = 0; room < 700; room += 7) {
      const disk = makeDisk()
      const store = await openLogStore(disk.open(), options)
      await store.commit({ put: [['a', randomBytes(10)]] })
      const content = await contentOf(store)
      disk.capacity = disk.names().reduce((sum, name) => sum + disk.peek(name).length, 0) + room
      const refused = await store
        .commit({
          put: [
            ['vital/a', randomBytes(100)],
            ['a', randomBytes(200)],
          ],
        })
        .catch((error: unknown) => error)
      disk.crash({ unsynced: 'torn', random: seeded(room) })
      disk.capacity = Number.POSITIVE_INFINITY
      const again = await openLogStore(disk.open(), options)
      expect(again.damaged).toBe(false)
      expect(sameContent(await contentOf(again), content), `room for ${room}`).toBe(refused !== undefined)
      await again.close()
    }
  })

  it('does not let a large batch take down the small ones beside it', async () => {
    const disk = makeDisk()
    const store = await openLogStore(disk.open(), options)
    disk.capacity = 5000
    const outcomes = await Promise.allSettled([
      store.commit({ put: [['a', randomBytes(10)]] }),
      store.commit({ put: [['b', randomBytes(50_000)]] }),
      store.commit({ put: [['c', randomBytes(10)]], expect: [['b', undefined]] }),
      store.commit({ put: [['d', randomBytes(10)]], expect: [['b', randomBytes(1)]] }),
    ])
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'rejected'])
    expect(outcomes[1]).toMatchObject({ reason: { code: 'STORE_FULL' } })
    expect(outcomes[3]).toMatchObject({ reason: { code: 'STORE_CONFLICT' } })
    expect(await store.list('')).toEqual(['a', 'c'])
    await store.close()
  })

  it('is told when a store cannot be made, and leaves the place as it was', async () => {
    for (const capacity of [0, 20, 60, 130, 200]) {
      const disk = makeDisk()
      disk.capacity = capacity
      await expect(openLogStore(disk.open(), options)).rejects.toMatchObject({ code: 'STORE_FULL' })
      disk.capacity = Number.POSITIVE_INFINITY
      const store = await openLogStore(disk.open(), options)
      expect(store.damaged).toBe(false)
      await store.close()
    }
  })
})

describe('compaction', () => {
  it('keeps the log short, and every value', async () => {
    const disk = makeDisk()
    const store = await openLogStore(disk.open(), { random: randomBytes, compactAbove: 20_000 })
    const content = new Map<string, Uint8Array>()
    const random = seeded(1)
    for (let i = 0; i < 400; i++) {
      const put = Array.from({ length: 5 }, () => [`block/${Math.floor(random() * 20)}`, randomBytes(100)] as const)
      const vital = [['vital/a', randomBytes(100)]] as const
      const remove = [`block/${Math.floor(random() * 20)}`]
      // Some are read while the log is being replaced.
      const [, value] = await Promise.all([store.commit({ remove, put: [...put, ...vital] }), store.get('vital/a')])
      if (i > 0) expect(value).toBeDefined()
      for (const key of remove) content.delete(key)
      for (const [key, value] of [...put, ...vital]) content.set(key, value)
      expect(disk.names().length).toBeLessThanOrEqual(6)
    }
    await store.close()
    const [log, ...copies] = disk.names()
    expect(disk.names()).toHaveLength(3)
    expect(Number(log?.split('.')[1])).toBeGreaterThan(5)
    for (const name of [log, ...copies]) expect(disk.peek(name ?? '').length).toBeLessThan(45_000)
    const again = await openLogStore(disk.open(), options)
    expect(sameContent(await contentOf(again), content)).toBe(true)
    await again.close()
  })

  it('is given up when a value is damaged, and the store goes on', async () => {
    const disk = makeDisk()
    const store = await openLogStore(disk.open(), options)
    const big = randomBytes(3000)
    await store.commit({ put: [['big', big]] })
    const log = disk.peek('log.1')
    log[1000] = (log[1000] ?? 0) ^ 1
    disk.poke('log.1', log)
    for (let i = 0; i < 100; i++) await store.commit({ put: [['x', randomBytes(100)]] })
    await expect(store.get('big')).rejects.toMatchObject({ code: 'STORE_DAMAGED' })
    await store.close()
    expect(disk.names()).toContain('log.1')
    const again = await openLogStore(disk.open(), options)
    expect(again.damaged).toBe(true)
    await again.close()
  })
})
