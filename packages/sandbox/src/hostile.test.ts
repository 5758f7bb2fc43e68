import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SandboxError, Trap } from './errors.ts'
import { instantiate } from './instance.ts'
import { type Instrumented, instrument } from './instrument.ts'
import * as limits from './limits.ts'
import { bytes, functionModule, leb, MEMORY_SECTION, repeat, section, text, vector } from './testing/bytes.ts'
import { refusal } from './testing/errors.ts'
import { ALLOW, wide } from './testing/wide.ts'

const imports = { env: { add: (a: number, b: number) => a + b, note: () => {} } }

/** Undefined: refused. Anything but a `SandboxError` fails. */
function attempt(module: Uint8Array): Instrumented | SandboxError {
  try {
    return instrument(module, ALLOW)
  } catch (error) {
    if (error instanceof SandboxError) return error
    throw error
  }
}

/** Refused with a reason, or rewritten to something that the engine takes. */
function judge(module: Uint8Array<ArrayBuffer>): 'refused' | 'accepted' {
  const result = attempt(module)
  if (result instanceof SandboxError) {
    // Never refuse as invalid what an engine takes.
    if (result.code === 'MALFORMED' || result.code === 'NOT_WASM')
      expect(WebAssembly.validate(module), result.message).toBe(false)
    if (result.offset !== undefined) {
      expect(result.offset).toBeGreaterThanOrEqual(0)
      expect(result.offset).toBeLessThanOrEqual(module.length)
    }
    return 'refused'
  }
  expect(WebAssembly.validate(module)).toBe(true)
  expect(WebAssembly.validate(result.bytes as Uint8Array<ArrayBuffer>)).toBe(true)
  try {
    instantiate(
      { module: new WebAssembly.Module(result.bytes as Uint8Array<ArrayBuffer>), instrumented: result },
      imports,
    ).globals()
  } catch (error) {
    // A segment may now lie outside, an import may have another name.
    if (!(error instanceof Trap) && !(error instanceof SandboxError && error.code === 'MISSING_IMPORT')) throw error
  }
  return 'accepted'
}

describe('damaged modules', () => {
  test('cut at every byte', () => {
    const whole = wide()
    for (let length = 0; length < whole.length; length++) {
      const cut = whole.slice(0, length)
      // A cut between sections may leave a valid module; it is judged like any other.
      judge(cut)
    }
    expect(judge(whole)).toBe('accepted')
  })

  test('every bit flipped, and every byte replaced by the extremes', () => {
    const whole = wide()
    const seen = { refused: 0, accepted: 0 }
    for (let at = 0; at < whole.length; at++) {
      const original = whole[at] as number
      const others = [0x00, 0x7f, 0x80, 0xff, ...Array.from({ length: 8 }, (_, bit) => original ^ (1 << bit))]
      for (const other of new Set(others)) {
        if (other === original) continue
        const flipped = whole.slice()
        flipped[at] = other
        seen[judge(flipped)]++
      }
    }
    expect(seen.refused).toBeGreaterThan(1000)
    expect(seen.accepted).toBeGreaterThan(100)
  })

  test('several bytes changed, inserted and removed', () => {
    const whole = wide()
    const edit = fc.record({
      at: fc.nat(whole.length - 1),
      remove: fc.nat(4),
      insert: fc.array(fc.constantFrom(0, 1, 2, 3, 0x0b, 0x40, 0x41, 0x70, 0x7b, 0x7f, 0x80, 0xfc, 0xfd, 0xff), { maxLength: 6 }),
    })
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
        const module = Array.from(whole)
        for (const { at, remove, insert } of edits) module.splice(at, remove, ...insert)
        judge(Uint8Array.from(module))
      }),
      { numRuns: 2000 },
    )
  })

  test('any bytes behind a good header', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (rest) => {
        judge(bytes(Array.from(rest)))
      }),
      { numRuns: 500 },
    )
  })

  test('not wasm at all', () => {
    for (const module of [[], [0], Array.from(new TextEncoder().encode('#!/bin/sh')), [0, 0x61, 0x73, 0x6d, 2, 0, 0, 0]]) {
      expect(refusal(() => instrument(Uint8Array.from(module), ALLOW)).code).toBe('NOT_WASM')
    }
  })
})

describe('lies about sizes', () => {
  const huge = [0xff, 0xff, 0xff, 0xff, 0x0f]

  test.each([
    ['a section longer than the file', bytes([1, ...huge])],
    ['a section shorter than its contents', bytes([1, 1, 1, 0x60, 0, 0])],
    ['a section longer than its contents', bytes(section(1, [...vector([0x60, 0, 0]), 0]))],
    ['a size of six bytes', bytes([1, 0x80, 0x80, 0x80, 0x80, 0x80, 0])],
    ['a size over 32 bits', bytes([1, 0xff, 0xff, 0xff, 0xff, 0x1f])],
    [
      'a body longer than its section',
      bytes(section(1, vector([0x60, 0, 0])), section(3, vector([0])), MEMORY_SECTION, section(10, [1, 9, 0, 0x0b])),
    ],
    ['more bodies than functions', bytes(MEMORY_SECTION, section(10, vector([2, 0, 0x0b])))],
    ['fewer bodies than functions', bytes(section(1, vector([0x60, 0, 0])), section(3, vector([0])), MEMORY_SECTION)],
    ['a section twice', bytes(MEMORY_SECTION, MEMORY_SECTION)],
    ['sections out of order', bytes(MEMORY_SECTION, section(4, vector([0x70, 0, 1])))],
    ['an unknown section', bytes(MEMORY_SECTION, section(99, []))],
    ['a name that is not UTF-8', bytes(MEMORY_SECTION, section(7, vector([2, 0xc3, 0x28, 2, 0])))],
    ['a custom section without a name', bytes(section(0, []), MEMORY_SECTION)],
    ['a data count that does not fit', bytes(MEMORY_SECTION, section(12, [2]), section(11, vector([1, 0])))],
  ])('%s', (_, module) => {
    expect(refusal(() => instrument(module, ALLOW)).code).toBe('MALFORMED')
    expect(WebAssembly.validate(module)).toBe(false)
  })

  test.each([
    ['types', 1],
    ['imports', 2],
    ['functions', 3],
    ['tables', 4],
    ['globals', 6],
    ['exports', 7],
    ['elements', 9],
    ['data', 11],
  ])('2^32 - 1 %s in a section of five bytes', (_, id) => {
    const before = id > 5 ? [MEMORY_SECTION] : []
    const after = id < 5 ? [MEMORY_SECTION] : []
    const error = refusal(() => instrument(bytes(...before, section(id, huge), ...after), ALLOW))
    expect(error.code).toBe('LIMIT_EXCEEDED')
  })

  test('a count within the limit, but not within the section', () => {
    const error = refusal(() => instrument(bytes(section(1, leb(limits.MAX_TYPES))), ALLOW))
    expect(error.code).toBe('MALFORMED')
  })

  test('2^32 - 1 parameters, locals, targets and elements', () => {
    const modules = [
      bytes(section(1, [1, 0x60, ...huge])),
      functionModule([], [1, ...huge, 0x7f]),
      functionModule([], huge),
      functionModule([0x41, 0, 0x0e, ...huge]),
      bytes(MEMORY_SECTION, section(9, [1, 1, 0, ...huge])),
    ]
    for (const module of modules) expect(refusal(() => instrument(module, ALLOW)).code).toBe('LIMIT_EXCEEDED')
  })
})

describe('bombs', () => {
  test.each([
    ['MAX_NESTING', functionModule([...repeat(limits.MAX_NESTING, 0x02, 0x40), ...repeat(limits.MAX_NESTING, 0x0b)])],
    ['MAX_LOCALS', functionModule([], [1, ...leb(limits.MAX_LOCALS + 1), 0x7f])],
    ['MAX_LOCALS', functionModule([], vector(...repeat(100, 0).map(() => [...leb(1000), 0x7c])))],
    ['MAX_MERGES_PER_FUNCTION', functionModule(repeat(600, 0x03, 0x40, 0x0b), [1, ...leb(limits.MAX_LOCALS), 0x7f])],
    [
      'MAX_MERGES_PER_FUNCTION',
      functionModule([...repeat(30_000, 0x41, 0), ...repeat(1000, 0x02, 0x40, 0x0b), ...repeat(30_000, 0x1a)]),
    ],
    ['MAX_BODY_BYTES', functionModule(repeat(limits.MAX_BODY_BYTES, 0x01))],
    ['MAX_TABLE_ENTRIES', bytes(section(4, vector([0x70, 0, ...leb(limits.MAX_TABLE_ENTRIES + 1)])), MEMORY_SECTION)],
    ['MAX_TABLE_ENTRIES', bytes(section(4, vector(...repeat(100, 0).map(() => [0x70, 0, ...leb(6000)]))), MEMORY_SECTION)],
    [
      'MAX_ARITY',
      bytes(section(1, vector([0x60, ...vector(...repeat(limits.MAX_ARITY + 1, 0).map(() => [0x7f])), 0])), MEMORY_SECTION),
    ],
    ['MAX_NAME_BYTES', bytes(MEMORY_SECTION, section(7, vector([...text('m'.repeat(limits.MAX_NAME_BYTES + 1)), 2, 0])))],
    [
      'MAX_MUTABLE_GLOBALS',
      bytes(MEMORY_SECTION, section(6, vector(...repeat(limits.MAX_MUTABLE_GLOBALS + 1, 0).map(() => [0x7f, 1, 0x41, 0, 0x0b])))),
    ],
  ])('%s', (constant, module) => {
    const error = refusal(() => instrument(module, ALLOW))
    expect(error.code).toBe('LIMIT_EXCEEDED')
    expect(error.feature).toBe(constant)
  })

  test('the sum of small functions counts too', () => {
    const locals = 10_000
    const body = [1, ...leb(locals), 0x7f, ...repeat(100, 0x02, 0x40, 0x0b), 0x0b]
    const count = limits.MAX_MERGES / (locals * 100) + 1
    const module = bytes(
      section(1, vector([0x60, 0, 0])),
      section(3, vector(...repeat(count, 0).map(() => [0]))),
      MEMORY_SECTION,
      section(10, vector(...repeat(count, 0).map(() => [...leb(body.length), ...body]))),
    )
    expect(refusal(() => instrument(module, ALLOW)).feature).toBe('MAX_MERGES')
  })

  test('a module over the limit is not even looked at', () => {
    expect(refusal(() => instrument(new Uint8Array(limits.MAX_MODULE_BYTES + 1), ALLOW)).feature).toBe('MAX_MODULE_BYTES')
  })

  test('just below the limits it runs', () => {
    const deep = limits.MAX_NESTING - 1
    const module = functionModule([...repeat(deep, 0x02, 0x40), ...repeat(deep, 0x0b)], [1, ...leb(100), 0x7f])
    expect(judge(module)).toBe('accepted')
  })
})
