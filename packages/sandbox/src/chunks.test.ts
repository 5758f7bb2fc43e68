import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CHUNK_BYTES, changedChunks, chunksChangedSince, isZero } from './chunks.ts'

/** The definition, slowly. */
function slowly(base: Uint8Array, now: Uint8Array): number[] {
  const changed = new Set<number>()
  for (let i = 0; i < now.length; i++) if ((base[i] ?? 0) !== now[i]) changed.add(Math.floor(i / CHUNK_BYTES))
  return [...changed]
}

describe('changedChunks', () => {
  test('finds any one byte', () => {
    const base = new Uint8Array(4 * CHUNK_BYTES)
    fc.assert(
      fc.property(fc.nat(base.length - 1), fc.integer({ min: 1, max: 255 }), (at, value) => {
        const now = base.slice()
        now[at] = value
        expect(changedChunks(base, now)).toEqual([Math.floor(at / CHUNK_BYTES)])
      }),
    )
  })

  test('is its definition, whatever the lengths and alignment', () => {
    const length = fc.integer({ min: 0, max: 3 * CHUNK_BYTES + 5 })
    const writes = fc.array(fc.tuple(fc.nat(3 * CHUNK_BYTES), fc.integer({ min: 0, max: 255 })), { maxLength: 5 })
    fc.assert(
      fc.property(length, length, writes, writes, fc.nat(4), fc.nat(4), (a, b, inBase, inNow, offsetA, offsetB) => {
        const base = new Uint8Array(new ArrayBuffer(a + 4), offsetA, a)
        const now = new Uint8Array(new ArrayBuffer(b + 4), offsetB, b)
        for (const [at, value] of inBase) if (at < a) base[at] = value
        for (const [at, value] of inNow) if (at < b) now[at] = value
        expect(changedChunks(base, now)).toEqual(slowly(base, now))
      }),
    )
  })

  test('finds the same where the base is kept by its chunks that are not zero', () => {
    const chunks = fc.array(fc.constantFrom(0, 0, 1, 2), { maxLength: 6 })
    const writes = fc.array(fc.tuple(fc.nat(6 * CHUNK_BYTES - 1), fc.integer({ min: 0, max: 2 })), { maxLength: 5 })
    fc.assert(
      fc.property(chunks, writes, fc.constantFrom(0, 1, 4), (fills, written, offset) => {
        const length = fills.length * CHUNK_BYTES
        const base = new Uint8Array(length)
        for (const [i, fill] of fills.entries()) base.fill(fill, i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES)
        const now = new Uint8Array(new ArrayBuffer(length + 4), offset, length)
        now.set(base)
        for (const [at, value] of written) if (at < length) now[at] = value
        const kept = fills.flatMap((fill, i) =>
          fill === 0 ? [] : [[i, base.slice(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES)] as const],
        )
        expect(chunksChangedSince(new Map(kept), now)).toEqual(changedChunks(base, now))
      }),
    )
  })

  test('memory that grew by zeros did not change', () => {
    const base = new Uint8Array(CHUNK_BYTES).fill(1)
    const now = new Uint8Array(3 * CHUNK_BYTES)
    now.set(base)
    expect(changedChunks(base, now)).toEqual([])
    now[2 * CHUNK_BYTES] = 1
    expect(changedChunks(base, now)).toEqual([2])
    expect(changedChunks(now, base)).toEqual([])
  })
})

test('isZero finds any one byte, whatever the length and alignment', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 200 }), fc.nat(4), fc.nat(199), (length, offset, at) => {
      const chunk = new Uint8Array(new ArrayBuffer(length + 4), offset, length)
      expect(isZero(chunk)).toBe(true)
      if (at < length) {
        chunk[at] = 128
        expect(isZero(chunk)).toBe(false)
      }
    }),
  )
})
