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
const errorOf = async (bytes: Uint8Array, limits = {}) => {
  const { error } = await readSections(bytes, limits)
  return error === undefined ? 'none' : `${error.code}: ${error.message}`
}

describe('sections', () => {
  // Where a length takes one byte more, and the largest there is.
  test.each([0, 1, 91, 92, 16_347, 16_348, MAX_BLOCK_BYTES])('a block of %i bytes comes back', async (length) => {
    const written = block(length)
    const { blocks, error, root: read } = await readSections(writeSections(root, [written]))
    expect(error).toBeUndefined()
    expect(read?.equals(root)).toBe(true)
    expect(blocks.map(({ cid }) => cid.toString())).toEqual([written.cid.toString()])
    expect(blocks[0]?.bytes.length).toBe(length)
  })

  test('a block is written once', async () => {
    expect((await readSections(writeSections(root, [block(5), block(5), block(6)]))).blocks.length).toBe(2)
  })

  const ends: readonly [string, readonly number[]][] = [
    ['within a length', [0x80]],
    ['within a long length', [0xff, 0xff, 0xff]],
    ['with a length too large to be one', [0xff, 0xff, 0xff, 0xff, 0x01]],
    ['with a length beyond any block', [0xff, 0xff, 0xff, 0x7f]],
    ['with a length spelled longer', [0x80, 0x00]],
    ['with an empty section', [0x00]],
    ['with a section shorter than a CID', [35, ...root.bytes]],
    ['with a section of one byte, which would read backwards', [1, ...root.bytes]],
    ['within a block', [40, ...root.bytes]],
    ['with a CID that is none', [36, ...new Uint8Array(36)]],
  ]
  test.each(ends)('a file that ends %s is read up to there', async (_, more) => {
    const bytes = Uint8Array.of(...writeSections(root, [block(3)]), ...more)
    expect(await errorOf(bytes)).toMatch(/^BAD_CAR: the file cannot be read from byte \d+ on/)
    expect(await readSections(bytes)).toMatchObject({ root, blocks: [{ bytes: new Uint8Array(3).fill(1) }] })
  })

  test('a block of a CID and nothing else is an empty block', async () => {
    expect((await readSections(Uint8Array.of(...file, 36, ...rawCid(new Uint8Array(0)).bytes))).blocks).toHaveLength(1)
  })

  test('a header without a root is refused', async () => {
    // {roots: [], version: 1}
    const header = [0xa2, 0x65, ...new TextEncoder().encode('roots'), 0x80, 0x67, ...new TextEncoder().encode('version'), 0x01]
    expect(await errorOf(Uint8Array.of(header.length, ...header))).toBe('BAD_CAR: the file is not a CARv1 with one root')
  })

  test('CARv2 is refused', async () => {
    const pragma = [0x0a, 0xa1, 0x67, ...new TextEncoder().encode('version'), 0x02]
    expect(await errorOf(Uint8Array.of(...pragma, ...new Uint8Array(40)))).toMatch(/^BAD_CAR/)
  })

  test('limits are exact', async () => {
    const bytes = writeSections(root, [block(1), block(2)])
    expect(await errorOf(bytes, { maxBlocks: 2, maxBytes: bytes.length })).toBe('none')
    expect(await errorOf(bytes, { maxBlocks: 1 })).toMatch(/^TOO_LARGE/)
    expect(await errorOf(bytes, { maxBytes: bytes.length - 1 })).toMatch(/^TOO_LARGE/)
  })

  test('nothing is written that would not be read again', async () => {
    expect(() => writeSections(root, [block(MAX_BLOCK_BYTES + 1)])).toThrow(expect.objectContaining({ code: 'TOO_LARGE' }))
    const empty = new Uint8Array(0)
    const digest = new Uint8Array(32)
    const many = function* (count: number, bytes: Uint8Array) {
      for (let i = 0; i < count; i++) {
        new DataView(digest.buffer).setUint32(0, i)
        yield { cid: rawCid(digest.slice()), bytes }
      }
    }
    expect((await readSections(writeSections(root, many(MAX_CAR_BLOCKS, empty)))).blocks.length).toBe(MAX_CAR_BLOCKS)
    expect(() => writeSections(root, many(MAX_CAR_BLOCKS + 1, empty))).toThrow(LineageError)
    expect(() => writeSections(root, many(MAX_CAR_BYTES / MAX_BLOCK_BYTES, new Uint8Array(MAX_BLOCK_BYTES)))).toThrow(
      LineageError,
    )
  })
})
