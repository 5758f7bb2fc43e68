import { encode } from '@ipld/dag-cbor'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { IgorError } from '../errors.ts'
import { MAX_LAST_WORDS, packLastWords, readLastWords } from './last-words.ts'

const word = (bytes: Uint8Array) => ({ agent: 'did:key:z', witness: '12D3KooW', bytes })

describe('last words in one body', () => {
  it('come out as they went in', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 512 }), { maxLength: 50 }), (list) => {
        expect(readLastWords(packLastWords(list.map(word)))).toEqual(list)
      }),
    )
  })

  it('are as many as a beacon carries', () => {
    const many = Array.from({ length: 400 }, () => word(new Uint8Array(500).fill(1)))
    const body = packLastWords(many)
    expect(body.length).toBeLessThanOrEqual(MAX_LAST_WORDS)
    expect(readLastWords(body).length).toBeGreaterThan(100)
  })

  it.each([
    ['no CBOR', Uint8Array.of(0xff)],
    ['no list', encode({ a: 1 })],
    ['text', encode(['word'])],
    ['an empty one', encode([new Uint8Array()])],
    ['a long one', encode([new Uint8Array(513)])],
    ['too many', encode(Array.from({ length: 257 }, () => Uint8Array.of(1)))],
    ['too large a body', new Uint8Array(MAX_LAST_WORDS + 1)],
  ])('are refused: %s', (_, body) => {
    expect(() => readLastWords(body)).toThrow(IgorError)
  })

  it('never fail in another way, whatever is posted', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (body) => {
        try {
          readLastWords(body)
        } catch (error) {
          expect(error).toMatchObject({ code: 'BAD_MESSAGE' })
        }
      }),
    )
  })
})
