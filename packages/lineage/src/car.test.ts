import { describe, expect, test } from 'vitest'
import { readSections, writeSections } from './car.ts'
import { LineageError, MAX_BLOCK_BYTES, MAX_CAR_BLOCKS, MAX_CAR_BYTES, rawCid } from './index.ts'
import { stateBlock } from './kit.test.util.ts'

const block = (length: number, fill = 1) => {
  const bytes = new Uint8Array(length).fill(fill)
  return { cid: rawCid(bytes), bytes }
}
const root = stateBlock.cid
const file = writeSections(root, [])
const errorOf = (bytes: Uint8Array, limits = {}) => {
  const { error } = readSections(bytes, limits)
  return error === undefined ? 'none' : `${error.code}: ${error.message}`
}

describe('sections', () => {
  // Where a length takes one byte more, and the largest there is.
  test.each([0, 1, 91, 92, 16_347, 16_348, MAX_BLOCK_BYTES])('a block of %i bytes comes back', (length) => {
    const written = block(length)
    const { blocks, error, root: read } = readSections(writeSections(root, [written]))
    expect(error).toBeUndefined()
    expect(read?.equals(root)).toBe(true)
    expect(blocks.map(({ cid }) => cid.toString())).toEqual([written.cid.toString()])
    expect(blocks[0]?.bytes.length).toBe(length)
  })

  test('a block is written once', () => {
    expect(readSections(writeSections(root, [block(5), block(5), block(6)])).blocks.length).toBe(2)
  })

  const ends: readonly [string, readonly number[], RegExp][] = [
    ['within a length', [0x80], /^BAD_CAR: the file ends within a length, at byte \d+$/],
    ['within a long length', [0xff, 0xff, 0xff], /^BAD_CAR: the file ends within a length/],
    ['with a length too large to be one', [0xff, 0xff, 0xff, 0xff, 0x01], /^BAD_CAR: the length at byte \d+ is too large/],
    ['with a length beyond any block', [0xff, 0xff, 0xff, 0x7f], /^BAD_CAR: the block at byte \d+ has 268435455 bytes/],
    ['with a length spelled longer', [0x80, 0x00], /^BAD_CAR: the length at byte \d+ is not in its shortest form/],
    ['with an empty section', [0x00], /^BAD_CAR: the block at byte \d+ has no CID/],
    ['with a section shorter than a CID', [35, ...root.bytes.subarray(1)], /^BAD_CAR: the block at byte \d+ has no CID/],
    ['within a block', [40, ...root.bytes], /^BAD_CAR: the file ends within the block/],
    ['with a CID that is none', [36, ...new Uint8Array(36)], /^BAD_CAR: the block at byte \d+ has a CID/],
  ]
  test.each(ends)('a file that ends %s is read up to there', (_, more, message) => {
    const bytes = Uint8Array.of(...writeSections(root, [block(3)]), ...more)
    expect(errorOf(bytes)).toMatch(message)
    expect(readSections(bytes)).toMatchObject({ root, blocks: [{ bytes: new Uint8Array(3).fill(1) }] })
  })

  test('a block of a CID and nothing else is an empty block', () => {
    expect(readSections(Uint8Array.of(...file, 36, ...rawCid(new Uint8Array(0)).bytes)).blocks).toHaveLength(1)
  })

  test('a header without a root is refused', () => {
    // {roots: [], version: 1}
    const header = [0xa2, 0x65, ...new TextEncoder().encode('roots'), 0x80, 0x67, ...new TextEncoder().encode('version'), 0x01]
    expect(errorOf(Uint8Array.of(header.length, ...header))).toBe('BAD_CAR: the file has no root')
  })

  test('CARv2 is refused', () => {
    const pragma = [0x0a, 0xa1, 0x67, ...new TextEncoder().encode('version'), 0x02]
    expect(errorOf(Uint8Array.of(...pragma, ...new Uint8Array(40)))).toMatch(/^BAD_FIELD/)
  })

  test('limits are exact', () => {
    const bytes = writeSections(root, [block(1), block(2)])
    expect(errorOf(bytes, { maxBlocks: 2, maxBytes: bytes.length })).toBe('none')
    expect(errorOf(bytes, { maxBlocks: 1 })).toMatch(/^TOO_LARGE/)
    expect(errorOf(bytes, { maxBytes: bytes.length - 1 })).toMatch(/^TOO_LARGE/)
  })

  test('nothing is written that would not be read again', () => {
    expect(() => writeSections(root, [block(MAX_BLOCK_BYTES + 1)])).toThrow(expect.objectContaining({ code: 'TOO_LARGE' }))
    const empty = new Uint8Array(0)
    const digest = new Uint8Array(32)
    const many = function* (count: number, bytes: Uint8Array) {
      for (let i = 0; i < count; i++) {
        new DataView(digest.buffer).setUint32(0, i)
        yield { cid: rawCid(digest.slice()), bytes }
      }
    }
    expect(readSections(writeSections(root, many(MAX_CAR_BLOCKS, empty))).blocks.length).toBe(MAX_CAR_BLOCKS)
    expect(() => writeSections(root, many(MAX_CAR_BLOCKS + 1, empty))).toThrow(LineageError)
    expect(() => writeSections(root, many(MAX_CAR_BYTES / MAX_BLOCK_BYTES, new Uint8Array(MAX_BLOCK_BYTES)))).toThrow(
      LineageError,
    )
  })
})
