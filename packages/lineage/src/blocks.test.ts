import { encode } from '@ipld/dag-cbor'
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { identity } from 'multiformats/hashes/identity'
import { sha512 } from 'multiformats/hashes/sha2'
import { describe, expect, test } from 'vitest'
import {
  cborCid,
  cidOfDigest,
  joinModule,
  LineageError,
  MAX_BLOCK_BYTES,
  MAX_MODULE_BYTES,
  moduleParts,
  parseCid,
  RAW,
  rawCid,
  splitModule,
  verifyBlock,
} from './index.ts'

describe('blocks', () => {
  test('are named as IPFS names them', () => {
    // `echo -n hello | ipfs block put --cid-codec raw`
    expect(rawCid(new TextEncoder().encode('hello')).toString()).toBe(
      'bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq',
    )
    expect(rawCid(new Uint8Array(0)).toString()).toBe('bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku')
  })

  test('verify against their name only', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 100 }), fc.nat(), (bytes, pick) => {
        const at = pick % bytes.length
        const changed = bytes.with(at, (bytes[at] ?? 0) ^ 1)
        for (const cid of [rawCid(bytes), cborCid(bytes)]) {
          expect(verifyBlock(cid, bytes)).toBe(true)
          expect(verifyBlock(cid, changed)).toBe(false)
        }
      }),
    )
  })

  test('have at most 1 MiB', () => {
    const bytes = new Uint8Array(MAX_BLOCK_BYTES + 1)
    expect(verifyBlock(rawCid(bytes.subarray(1)), bytes.subarray(1))).toBe(true)
    expect(verifyBlock(rawCid(bytes), bytes)).toBe(false)
  })

  test('have no other kind of name', async () => {
    const bytes = Uint8Array.of(1, 2, 3)
    const digest = rawCid(bytes).multihash
    const names = [
      CID.createV0(digest as never),
      CID.createV1(0x70, digest),
      CID.createV1(RAW, await sha512.digest(bytes)),
      CID.createV1(RAW, identity.digest(bytes)),
    ]
    for (const cid of names) {
      expect(verifyBlock(cid, bytes)).toBe(false)
      expect(() => parseCid(cid.toString())).toThrow(expect.objectContaining({ code: 'BAD_CID' }))
    }
    expect(verifyBlock(null as unknown as CID, bytes)).toBe(false)
    expect(parseCid(rawCid(bytes).toString()).equals(rawCid(bytes))).toBe(true)
  })

  test('a digest has 32 bytes', () => {
    expect(() => cidOfDigest(RAW, new Uint8Array(31))).toThrow(LineageError)
  })
})

describe('modules', () => {
  const module = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 31) & 255)

  test.each([0, 1, MAX_BLOCK_BYTES, MAX_BLOCK_BYTES + 1, 2 * MAX_BLOCK_BYTES, 2 * MAX_BLOCK_BYTES + 5])(
    'of %i bytes come apart and together',
    (length) => {
      const bytes = module(length)
      const { cid, blocks } = splitModule(bytes)
      expect(cid.code === RAW).toBe(length <= MAX_BLOCK_BYTES)
      for (const block of blocks) expect(verifyBlock(block.cid, block.bytes)).toBe(true)
      const known = new Map(blocks.map((block) => [block.cid.toString(), block.bytes]))
      expect(moduleParts(cid, known.get(cid.toString()) ?? bytes).every((part) => known.has(part.toString()))).toBe(true)
      const joined = joinModule(cid, (wanted) => known.get(wanted.toString()))
      expect(joined.length).toBe(length)
      expect(rawCid(joined).equals(rawCid(bytes))).toBe(true)
      for (const block of blocks) {
        expect(() => joinModule(cid, (wanted) => (wanted.equals(block.cid) ? undefined : known.get(wanted.toString())))).toThrow(
          expect.objectContaining({ code: 'MISSING_BLOCK' }),
        )
      }
    },
  )

  test('over 64 MiB are refused', () => {
    expect(() => splitModule(new Uint8Array(MAX_MODULE_BYTES + 1))).toThrow(expect.objectContaining({ code: 'TOO_LARGE' }))
  })

  test('a list that is not what splitting gives is refused', () => {
    const { blocks } = splitModule(module(MAX_BLOCK_BYTES + 10))
    const [head, whole, rest] = blocks.map((block) => block.bytes) as [Uint8Array, Uint8Array, Uint8Array]
    const cid = cborCid(head)
    const get = (...bytes: Uint8Array[]) => {
      const queue = [head, ...bytes]
      return () => queue.shift()
    }
    expect(joinModule(cid, get(whole, rest)).length).toBe(MAX_BLOCK_BYTES + 10)
    expect(() => joinModule(cid, get(whole, whole))).toThrow(expect.objectContaining({ code: 'BAD_BLOCK' }))
    expect(() => joinModule(cid, get(rest, rest))).toThrow(expect.objectContaining({ code: 'BAD_BLOCK' }))
    const part = rawCid(rest)
    for (const [bytes, parts] of [
      [MAX_BLOCK_BYTES + 1, [part]],
      [MAX_BLOCK_BYTES + 1, [part, part, part]],
      [MAX_BLOCK_BYTES, [part]],
      [MAX_MODULE_BYTES + 1, Array.from({ length: 65 }, () => part)],
    ] as const) {
      expect(() => moduleParts(cid, encode({ bytes, parts }))).toThrow(expect.objectContaining({ code: 'BAD_FIELD' }))
    }
    expect(() => moduleParts(cid, head.with(8, 0xff))).toThrow(LineageError)
  })
})
