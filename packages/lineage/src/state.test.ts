import { sha256 } from '@noble/hashes/sha2.js'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  applyDigests,
  buildMemory,
  type ChunkChange,
  cborCid,
  changedChunks,
  chunkEntries,
  decodeState,
  encodeState,
  LineageError,
  MAX_BLOCK_BYTES,
  MAX_MEMORY_BYTES,
  rawCid,
  type StateBlock,
} from './index.ts'
import { stateBlock } from './kit.test.util.ts'

const PAGE = 65536
const digestOf = (n: number): Uint8Array => sha256(Uint8Array.of(n & 255, (n >> 8) & 255))
const zero = sha256(new Uint8Array(4096))
const host = cborCid(Uint8Array.of(0xa0))
const stateOf = (memory: StateBlock['memory'], globals: readonly Uint8Array[] = []): StateBlock => ({
  version: 1,
  memory,
  globals,
  host,
})

/** Chunks of a memory of up to 4 pages, some of them zero. */
const chunks = (pages: number): fc.Arbitrary<Map<number, Uint8Array | null>> =>
  fc
    .array(fc.tuple(fc.nat(pages * 16 - 1), fc.option(fc.nat(3))), { maxLength: 40 })
    .map((pairs) => new Map(pairs.map(([index, n]) => [index, n === null ? null : digestOf(n)] as const)))

describe('the index of a memory', () => {
  test('says what it was built from', () => {
    fc.assert(
      fc.property(chunks(4), (map) => {
        const memory = buildMemory(4 * PAGE, map)
        const expected = [...map].filter((entry): entry is [number, Uint8Array] => entry[1] !== null).sort(([a], [b]) => a - b)
        expect([...chunkEntries({ memory })]).toEqual(expected)
      }),
    )
  })

  test('is the same whatever way led there, and decodes', () => {
    fc.assert(
      fc.property(chunks(4), chunks(4), fc.integer({ min: 0, max: 4 }), (before, after, pages) => {
        const inside = [...after].filter(([index]) => index < pages * 16)
        const stepwise = applyDigests(buildMemory(4 * PAGE, before), pages * PAGE, inside)
        const merged = new Map([...before, ...inside].filter(([index]) => index < pages * 16))
        const atOnce = buildMemory(pages * PAGE, [...merged].toReversed())
        expect(stepwise).toEqual(atOnce)
        expect(decodeState(encodeState(stateOf(stepwise)).bytes).memory).toEqual(stepwise)
      }),
    )
  })

  test('what changed between two leads from one to the other', () => {
    fc.assert(
      fc.property(chunks(4), chunks(3), (a, b) => {
        const from = { memory: buildMemory(4 * PAGE, a) }
        const to = { memory: buildMemory(3 * PAGE, b) }
        const changes = changedChunks(from, to)
        expect(applyDigests(from.memory, 3 * PAGE, changes)).toEqual(to.memory)
        const [old, now] = [new Map(chunkEntries(from)), new Map(chunkEntries(to))]
        const differ = Array.from({ length: 3 * 16 }, (_, i) => i).filter((i) => String(old.get(i)) !== String(now.get(i)))
        expect(changes.map(([index]) => index)).toEqual(differ)
        expect(changedChunks(to, to)).toEqual([])
      }),
    )
  })

  test('leaves a chunk of zeros out, however it is said', () => {
    const memory = buildMemory(PAGE, [
      [0, digestOf(1)],
      [1, zero],
      [2, digestOf(2)],
    ])
    expect(memory.runs.map(([first]) => first)).toEqual([0, 2])
    expect(
      applyDigests(memory, PAGE, [
        [0, zero],
        [2, null],
      ]).runs,
    ).toEqual([])
  })

  test('is not changed in place', () => {
    const memory = buildMemory(PAGE, [[0, digestOf(1)]])
    const copy = structuredClone(memory)
    applyDigests(memory, PAGE, [
      [0, digestOf(2)],
      [5, digestOf(3)],
    ])
    expect(memory).toEqual(copy)
  })

  const bad: readonly [string, number, readonly ChunkChange[]][] = [
    ['half a page', PAGE / 2, []],
    ['a negative size', -PAGE, []],
    ['a size over the ceiling', MAX_MEMORY_BYTES + PAGE, []],
    ['a chunk beyond the end', PAGE, [[16, digestOf(1)]]],
    ['a negative chunk', PAGE, [[-1, digestOf(1)]]],
    ['half a chunk', PAGE, [[0.5, digestOf(1)]]],
    ['half a digest', PAGE, [[0, new Uint8Array(16)]]],
  ]
  test.each(bad)('refuses %s', (_, size, changes) => {
    expect(() => buildMemory(size, changes)).toThrow(expect.objectContaining({ code: 'BAD_FIELD' }))
  })

  test('of a full memory of 64 MiB fits one block', () => {
    const full = Array.from({ length: MAX_MEMORY_BYTES / 4096 }, (_, index) => [index, digestOf(index)] as const)
    const scattered = full.filter(([index]) => index % 2 === 0)
    for (const entries of [full, scattered]) {
      const encoded = encodeState(stateOf(buildMemory(MAX_MEMORY_BYTES, entries), [new Uint8Array(16)]))
      expect(encoded.bytes.length).toBeLessThan(MAX_BLOCK_BYTES)
      expect([...chunkEntries(decodeState(encoded.bytes))].length).toBe(entries.length)
    }
  })

  // Far above what it takes (0.1 ms), far below what hashing the memory would take (60 ms).
  test('one changed chunk of 4096 costs little', () => {
    let memory = buildMemory(
      16 * 1024 * 1024,
      Array.from({ length: 4096 }, (_, index) => [index, digestOf(index)] as const),
    )
    const began = performance.now()
    for (let i = 0; i < 200; i++) memory = applyDigests(memory, memory.bytes, [[i * 7, digestOf(i + 5000)]])
    expect((performance.now() - began) / 200).toBeLessThan(5)
  })
})

describe('state blocks', () => {
  test('round-trip', () => {
    const state = decodeState(stateBlock.bytes)
    expect(encodeState(state).cid.equals(stateBlock.cid)).toBe(true)
  })

  const [d1, d2] = [digestOf(1), digestOf(2)]
  const run = (first: number, ...digests: Uint8Array[]) =>
    [first, Uint8Array.of(...digests.flatMap((digest) => [...digest]))] as const
  const bad: readonly [string, object][] = [
    ['runs that should be one', { memory: { bytes: PAGE, runs: [run(0, d1), run(1, d2)] } }],
    ['runs out of order', { memory: { bytes: PAGE, runs: [run(4, d1), run(0, d2)] } }],
    ['runs that overlap', { memory: { bytes: PAGE, runs: [run(0, d1, d2), run(1, d2)] } }],
    ['an empty run', { memory: { bytes: PAGE, runs: [run(0)] } }],
    ['a digest cut off', { memory: { bytes: PAGE, runs: [[0, d1.subarray(1)]] } }],
    ['a digest and a half', { memory: { bytes: PAGE, runs: [[0, new Uint8Array(48)]] } }],
    ['chunks beyond the end', { memory: { bytes: PAGE, runs: [run(15, d1, d2)] } }],
    ['chunks in a memory of nothing', { memory: { bytes: 0, runs: [run(0, d1)] } }],
    ['a chunk of zeros', { memory: { bytes: PAGE, runs: [run(0, zero)] } }],
    ['half a page', { memory: { bytes: 4096, runs: [] } }],
    ['more memory than allowed', { memory: { bytes: MAX_MEMORY_BYTES + PAGE, runs: [] } }],
    ['a run of three parts', { memory: { bytes: PAGE, runs: [[0, d1, d2]] } }],
    ['a global of 5 bytes', { globals: [new Uint8Array(5)] }],
    ['a global that is a number', { globals: [1] }],
    ['too many globals', { globals: Array.from({ length: 4097 }, () => new Uint8Array(4)) }],
    ['a host that is raw', { host: rawCid(Uint8Array.of(1)) }],
    ['no host', { host: null }],
    ['another version', { version: 2 }],
    ['a field too many', { kv: [] }],
  ]
  test.each(bad)('refuse %s', (_, change) => {
    const state = { ...stateOf({ bytes: PAGE, runs: [] }), ...change } as StateBlock
    expect(() => encodeState(state)).toThrow(LineageError)
  })
})
