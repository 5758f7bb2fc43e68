import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { makeKeyIndex } from './key-index.ts'

const place = { offset: 0, length: 0, crc: 0 }
/** Short, of few characters, so that many are prefixes of others. */
const keyOf = fc.string({ unit: fc.constantFrom('a', 'b', '/'), minLength: 1, maxLength: 6 })

it('lists what a sorted array would', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(keyOf, fc.boolean())),
      fc.string({ unit: fc.constantFrom('a', 'b', '/'), maxLength: 4 }),
      (changes, prefix) => {
        const index = makeKeyIndex()
        const keys = new Set<string>()
        for (const [key, put] of changes) {
          if (put) index.set(key, place)
          else index.delete(key)
          if (put) keys.add(key)
          else keys.delete(key)
        }
        expect(index.size).toBe(keys.size)
        expect(index.list(prefix)).toEqual([...keys].filter((key) => key.startsWith(prefix)).sort())
        expect(Array.from(index.entries(), ([key]) => key).sort()).toEqual([...keys].sort())
      },
    ),
  )
})
