import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeLine, decodeMessage, encodeLine, encodeMessage } from './wire.ts'

const leaf = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null), fc.bigInt(), fc.uint8Array({ maxLength: 100 }))
const key = fc.string().filter((name) => !name.startsWith('$') && name !== '__proto__')
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    leaf,
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(key, tie('value'), { maxKeys: 4 }),
  ),
}))
/** Dictionaries of fast-check may have no prototype; what comes over the wire has. */
const plain = (given: unknown): unknown => {
  if (Array.isArray(given)) return given.map(plain)
  if (given instanceof Uint8Array || typeof given !== 'object' || given === null) return given
  return Object.fromEntries(Object.entries(given).map(([name, item]) => [name, plain(item)]))
}

describe('control messages', () => {
  it('survive the way as one message and as a line', () => {
    fc.assert(
      fc.property(value, (given) => {
        expect(decodeMessage(Buffer.concat(encodeMessage(given)))).toEqual(plain(given))
        const line = encodeLine(given)
        expect(line.indexOf('\n')).toBe(line.length - 1)
        expect(decodeLine(line)).toEqual(plain(given))
      }),
    )
  })

  it('are refused when they were cut or lengthened', () => {
    const message = Buffer.concat(encodeMessage({ file: new Uint8Array(10), list: [new Uint8Array(5)] }))
    for (let length = 0; length < message.length; length++) expect(() => decodeMessage(message.subarray(0, length))).toThrow()
    expect(() => decodeMessage(Buffer.concat([message, Buffer.from('x')]))).toThrow('belong to nothing')
  })

  it('are refused when they name lengths that are none', () => {
    for (const length of ['-1', '1.5', '1e99', '"5"', 'null']) {
      expect(() => decodeMessage(Buffer.from(`{"$bytes":${length}}\nabcdef`))).toThrow('cut')
    }
  })
})
