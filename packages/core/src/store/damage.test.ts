import { describe, expect, it } from 'vitest'
import type { Store } from '../platform.ts'
import { type Disk, makeDisk } from '../testing/memory-files.ts'
import { type Content, contentOf, randomBytes, readings, sameContent, sameValue } from './log-store.test.shared.ts'
import { openLogStore } from './log-store.ts'

const options = { random: randomBytes }
const bytes = (...values: number[]) => Uint8Array.from(values)
/** Keys that are looked at, with one that was removed and one that never was. */
const KEYS = ['vital/a', 'vital/b', 'vital/gone', 'block/1', 'block/2', 'gone', 'never', 'tail', 'x']

/** A disk whose log notes that all of it is durable; what it holds. */
async function makeNoted(): Promise<{ disk: Disk; content: Content }> {
  const disk = makeDisk()
  const store = await openLogStore(disk.open(), options)
  await store.commit({
    put: [
      ['block/1', bytes(1, 2, 3)],
      ['gone', bytes(4)],
      ['x', bytes(5)],
    ],
  })
  await store.commit({
    put: [
      ['vital/a', bytes(6)],
      ['vital/gone', bytes(7)],
      ['block/2', randomBytes(100)],
    ],
  })
  await store.commit({ put: [['x', bytes(8, 8)]], remove: ['gone', 'vital/gone'], durable: false })
  await store.commit({
    put: [
      ['vital/b', bytes(9)],
      ['vital/a', bytes(10, 11)],
    ],
  })
  const content = await contentOf(store)
  await store.close()
  return { disk, content }
}

interface Look {
  readonly damaged: boolean
  readonly listed: string[]
  readonly read: Awaited<ReturnType<typeof readings>>
}

async function look(disk: Disk): Promise<Look> {
  const store = await openLogStore(disk.open(), options)
  const listed = await store.list('')
  const read = await readings(store, KEYS)
  await store.close()
  return { damaged: store.damaged, listed, read }
}

/** Each value is right or said to be damaged. */
function expectNoLie({ read, damaged }: Look, content: Content, what: string): void {
  for (const [key, value] of read) {
    if (value === 'damaged') expect(damaged, `${what}: ${key} is damaged, and the store does not say so`).toBe(true)
    else if (!sameValue(value, content.get(key))) expect.fail(`${what}: ${key} reads ${value} instead of ${content.get(key)}`)
  }
}

/** The vital keys come through, whatever becomes of one file. */
function expectVital({ read }: Look, content: Content, what: string): void {
  for (const [key, value] of read) {
    if (key.startsWith('vital/') && (value === 'damaged' || !sameValue(value, content.get(key)))) {
      expect.fail(`${what}: ${key} reads ${value} instead of ${content.get(key)}`)
    }
  }
}

function flipped(whole: Uint8Array, at: number, mask: number): Uint8Array {
  const copy = whole.slice()
  copy[at] = (copy[at] ?? 0) ^ mask
  return copy
}

describe('a damaged store', () => {
  it('never gives a wrong value, whichever byte was flipped', async () => {
    const { disk, content } = await makeNoted()
    let hurt = 0
    for (const name of disk.names()) {
      const whole = disk.peek(name)
      for (let at = 0; at < whole.length; at++) {
        for (const mask of [0xff, 1 << (at % 8)]) {
          const other = disk.copy()
          other.poke(name, flipped(whole, at, mask))
          const what = `${name} at ${at} ^ ${mask}`
          const seen = await look(other)
          expectNoLie(seen, content, what)
          expectVital(seen, content, what)
          expect(seen.listed, what).toEqual([...content.keys()])
          if (seen.damaged) hurt++
          // What was mended or cut at the first opening is the same at the second.
          const again = await look(other)
          expectNoLie(again, content, `${what}, again`)
          expect(again.damaged, what).toBe(seen.damaged)
        }
      }
    }
    // The values of the log, and no more: 100 + 3 + 2 bytes that are in use, twice.
    expect(hurt).toBe(210)
  })

  it('above the noted length is a torn tail: an older state, or the right one', async () => {
    const { disk, content: before } = await makeNoted()
    const store = await openLogStore(disk.open(), options)
    await store.commit({
      put: [
        ['tail', randomBytes(50)],
        ['x', bytes(12)],
      ],
      remove: ['block/1'],
    })
    const content = await contentOf(store)
    await store.close()
    let older = 0
    for (const name of disk.names()) {
      const whole = disk.peek(name)
      for (let at = 0; at < whole.length; at++) {
        const other = disk.copy()
        other.poke(name, flipped(whole, at, 0xff))
        const seen = await look(other)
        const asBefore =
          !seen.damaged && [...seen.read].every(([key, value]) => value !== 'damaged' && sameValue(value, before.get(key)))
        if (asBefore) older++
        else expectNoLie(seen, content, `${name} at ${at}`)
        expectVital(seen, content, `${name} at ${at}`)
      }
    }
    // The two values of the last batch.
    expect(older).toBe(51)
  })

  it('never gives a wrong value, wherever a file was cut', async () => {
    const { disk, content } = await makeNoted()
    for (const name of disk.names()) {
      const whole = disk.peek(name)
      for (let length = 0; length < whole.length; length++) {
        const other = disk.copy()
        other.poke(name, whole.subarray(0, length))
        const what = `${name} cut to ${length}`
        for (const round of ['', ', again']) {
          const seen = await look(other)
          expectNoLie(seen, content, what + round)
          expectVital(seen, content, what + round)
          expect(seen.damaged, what + round).toBe(name.startsWith('log'))
        }
      }
    }
  })

  it('never gives a wrong value, whichever sector was lost', async () => {
    const { disk, content } = await makeNoted()
    for (const name of disk.names()) {
      const whole = disk.peek(name)
      for (const size of [16, 200]) {
        for (let at = 0; at < whole.length; at += 8) {
          const other = disk.copy()
          const hit = whole.slice()
          hit.fill(0xa5, at, at + size)
          other.poke(name, hit)
          const seen = await look(other)
          expectNoLie(seen, content, `${name} from ${at}`)
          expectVital(seen, content, `${name} from ${at}`)
        }
      }
    }
  })

  it.each(['log.1', 'vital-a.1', 'vital-b.1'])('never gives a wrong value when %s is gone', async (name) => {
    const { disk, content } = await makeNoted()
    disk.poke(name, undefined)
    for (let round = 0; round < 3; round++) {
      const seen = await look(disk)
      expectNoLie(seen, content, name)
      expectVital(seen, content, name)
      expect(seen.damaged).toBe(name === 'log.1')
    }
  })

  it('with both copies hit keeps what the log has', async () => {
    const { disk, content } = await makeNoted()
    for (const name of ['vital-a.1', 'vital-b.1']) disk.poke(name, disk.peek(name).fill(0, 40))
    const seen = await look(disk)
    expect(seen.damaged).toBe(false)
    expectVital(seen, content, 'both copies')
    disk.poke('log.1', disk.peek('log.1').fill(0, 40))
    expectVital(await look(disk), content, 'the copies were mended')
  })

  it('with everything hit says so', async () => {
    const { disk, content } = await makeNoted()
    for (const name of disk.names()) disk.poke(name, disk.peek(name).fill(0xa5, 100, 400))
    const seen = await look(disk)
    expect(seen.damaged).toBe(true)
    expectNoLie(seen, content, 'everything')
  })

  it('gives what it found as older, goes on, and does not forget', async () => {
    const { disk } = await makeNoted()
    const log = disk.peek('log.1')
    disk.poke('log.1', log.subarray(0, 400))
    let store = await openLogStore(disk.open(), options)
    expect(store.damaged).toBe(true)
    const error = await store.get('block/1').catch((error: unknown) => error)
    expect(error).toMatchObject({ code: 'STORE_DAMAGED', older: bytes(1, 2, 3) })
    await expect(store.commit({ expect: [['x', undefined]], put: [['x', bytes(1)]] })).rejects.toMatchObject({
      code: 'STORE_DAMAGED',
    })
    await store.commit({
      put: [
        ['new', bytes(1)],
        ['x', bytes(2)],
      ],
    })
    for (let round = 0; round < 3; round++) {
      expect(await store.get('new')).toEqual(bytes(1))
      expect(await store.get('x')).toEqual(bytes(2))
      await expect(store.get('block/1')).rejects.toMatchObject({ code: 'STORE_DAMAGED' })
      await expect(store.get('never')).rejects.toMatchObject({ code: 'STORE_DAMAGED' })
      expect(await store.get('vital/never')).toBeUndefined()
      await store.close()
      store = await openLogStore(disk.open(), options)
      expect(store.damaged).toBe(true)
    }
    await store.close()
  })

  it('is not compacted, so that nothing makes damage look whole', async () => {
    const { disk } = await makeNoted()
    disk.poke('log.1', disk.peek('log.1').subarray(0, 400))
    const store = await openLogStore(disk.open(), { ...options, compactAbove: 500 })
    for (let i = 0; i < 100; i++) await store.commit({ put: [['x', bytes(i)]] })
    await store.close()
    expect(disk.names()).toContain('log.1')
  })

  it('finds damage while it is open', async () => {
    const disk = makeDisk()
    const store = await openLogStore(disk.open(), options)
    const big = randomBytes(5000)
    await store.commit({ put: [['big', big]] })
    const log = disk.peek('log.1')
    disk.poke('log.1', flipped(log, log.length - 1000, 1))
    await expect(store.get('big')).rejects.toMatchObject({ code: 'STORE_DAMAGED' })
    await store.commit({ put: [['big', big]] })
    expect(sameValue(await store.get('big'), big)).toBe(true)
    await store.close()
  })
})

describe('a data folder', () => {
  it('of a newer version is refused, with what to do, and left as it is', async () => {
    for (const name of ['log.1', 'vital-a.1']) {
      const { disk, content } = await makeNoted()
      const old = disk.peek(name)
      disk.poke(name, newer(old))
      const before = disk.operations
      await expect(openLogStore(disk.open(), options)).rejects.toMatchObject({
        code: 'STORE_VERSION',
        message: expect.stringContaining('use the Igor that wrote it'),
      })
      expect(disk.operations).toBe(before)
      disk.poke(name, old)
      const store: Store = await openLogStore(disk.open(), options)
      expect(sameContent(await contentOf(store), content)).toBe(true)
      await store.close()
    }
  })

  it('with other files in it is opened, and they are left alone', async () => {
    const { disk, content } = await makeNoted()
    for (const name of ['log', 'log.x', 'notes.txt', 'vital-c.1', 'log.1.bak']) disk.poke(name, bytes(1))
    const store = await openLogStore(disk.open(), options)
    expect(sameContent(await contentOf(store), content)).toBe(true)
    await store.close()
    expect(disk.names()).toEqual(['log', 'log.1', 'log.1.bak', 'log.x', 'notes.txt', 'vital-a.1', 'vital-b.1', 'vital-c.1'])
  })
})

/** The same file with a header of version 2, whose checksum is right. */
function newer(file: Uint8Array): Uint8Array {
  const copy = file.slice()
  const view = new DataView(copy.buffer)
  for (const start of [0, 28]) {
    view.setUint32(start + 8, 2, true)
    view.setUint32(start + 24, crcOf(copy.subarray(start, start + 24)), true)
  }
  return copy
}

/** Bit by bit, apart from the store's own. */
function crcOf(data: Uint8Array): number {
  let crc = -1
  for (const byte of data) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  }
  return ~crc >>> 0
}
