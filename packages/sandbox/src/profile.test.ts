import { describe, expect, test } from 'vitest'
import { instrument } from './instrument.ts'
import { bytes, codeOffset, functionModule, HEADER, MEMORY_SECTION, section, text, vector } from './testing/bytes.ts'
import { refusal } from './testing/errors.ts'
import { wat } from './testing/wat.ts'
import { ALLOW } from './testing/wide.ts'

const PAGE = 65536

describe('instructions outside of the profile are refused by name and offset', () => {
  const nop = 0x01
  test.each<[feature: string, code: number[]]>([
    ['exceptions', [0x06, 0x40, 0x0b]],
    ['exceptions', [0x08, 0]],
    ['exceptions', [0x0a]],
    ['exceptions', [0x1f, 0x40, 0, 0x0b]],
    ['tail calls', [0x12, 0]],
    ['tail calls', [0x13, 0, 0]],
    ['typed function references', [0x14, 0]],
    ['typed function references', [0xd4]],
    ['typed function references', [0xd5, 0]],
    ['garbage collection', [0xd3]],
    ['garbage collection', [0xfb, 0, 0]],
    ['threads', [0xfe, 0x03, 0]],
    ['stack switching', [0xe0, 0]],
    ['relaxed SIMD', [0xfd, 0x80, 0x02]],
    ['relaxed SIMD', [0xfd, 0x93, 0x02]],
    ['wide arithmetic', [0xfc, 19]],
    ['multi-memory', [0x3f, 1]],
    ['multi-memory', [0x40, 1]],
    ['multi-memory', [0x41, 0, 0x28, 0x42, 1, 0]],
    ['multi-memory', [0xfc, 8, 0, 1]],
    ['multi-memory', [0xfc, 10, 0, 1]],
    ['multi-memory', [0xfc, 11, 1]],
    ['mutable tables (table.set)', [0x26, 0]],
    ['mutable tables (table.init)', [0xfc, 12, 0, 0]],
    ['mutable tables (table.copy)', [0xfc, 14, 0, 0]],
    ['mutable tables (table.grow)', [0xfc, 15, 0]],
    ['mutable tables (table.fill)', [0xfc, 17, 0]],
    ['garbage collection', [0xd0, 0x6e]],
    ['typed function references', [0xd0, 0]],
    ['typed function references', [0x02, 0x64, 0, 0x0b]],
  ])('%s: %j', (feature, code) => {
    const all = [nop, ...code]
    const error = refusal(() => instrument(functionModule(all), ALLOW))
    expect(error.code).toBe('UNSUPPORTED_FEATURE')
    expect(error.feature).toBe(feature)
    const start = codeOffset(all) + 1
    expect(error.offset).toBeGreaterThanOrEqual(start)
    expect(error.offset).toBeLessThan(start + code.length)
    expect(error.message).toContain(feature)
    expect(error.message).toContain(`byte ${error.offset}`)
  })

  test.each([[0x27], [0x16], [0xc5], [0xd7], [0xff], [0xf0], [0xfd, 0x9a, 0x01], [0xfd, 0xb0, 0x02], [0xfc, 99]])(
    'no such instruction: %j %j',
    (...code) => {
      const error = refusal(() => instrument(functionModule(code), ALLOW))
      expect(error.code).toBe('MALFORMED')
      expect(error.offset).toBe(codeOffset(code))
    },
  )
})

describe('declarations outside of the profile are refused by name and offset', () => {
  test.each<[feature: string, offset: number, module: Uint8Array]>([
    ['threads (shared memory)', 11, bytes(section(5, vector([3, 1, 1])))],
    ['memory64', 11, bytes(section(5, vector([4, 1])))],
    ['custom page sizes', 11, bytes(section(5, vector([8, 1, 0])))],
    ['multi-memory', 10, bytes(section(5, vector([0, 1], [0, 1])))],
    ['garbage collection', 11, bytes(section(1, vector([0x5f, 0])))],
    ['garbage collection', 11, bytes(section(1, vector([0x4e, 0])))],
    ['garbage collection', 13, bytes(section(1, vector([0x60, 1, 0x6e, 0])))],
    ['typed function references', 13, bytes(section(1, vector([0x60, 1, 0x64, 0, 0])))],
    ['exceptions', 13, bytes(section(1, vector([0x60, 1, 0x69, 0])))],
    ['exceptions', 13, bytes(MEMORY_SECTION, section(13, vector([0, 0])))],
    ['exceptions', 15, bytes(section(2, vector([...text('a'), ...text('b'), 4, 0, 0])))],
    ['memory64', 12, bytes(section(4, vector([0x70, 4, 1])), MEMORY_SECTION)],
    ['tables with an initial value', 11, bytes(section(4, vector([0x40, 0, 0x70, 0, 1, 0xd0, 0x70, 0x0b])), MEMORY_SECTION)],
    ['threads (shared global)', 16, bytes(MEMORY_SECTION, section(6, vector([0x7f, 3, 0x41, 0, 0x0b])))],
    ['mutable globals that hold references', 16, bytes(MEMORY_SECTION, section(6, vector([0x70, 1, 0xd0, 0x70, 0x0b])))],
    ['extended constant expressions', 20, bytes(MEMORY_SECTION, section(6, vector([0x7f, 0, 0x41, 1, 0x41, 1, 0x6a, 0x0b])))],
    ['multi-memory', 16, bytes(MEMORY_SECTION, section(11, vector([2, 1, 0x41, 0, 0x0b, 0])))],
    ['the component model', 4, Uint8Array.from([...HEADER.slice(0, 4), 0x0d, 0, 1, 0])],
    [
      'v128 in the signature of the import "a.b"',
      18,
      bytes(section(1, vector([0x60, 1, 0x7b, 0])), section(2, vector([...text('a'), ...text('b'), 0, 0])), MEMORY_SECTION),
    ],
    [
      'externref in the signature of the import "a.b"',
      18,
      bytes(section(1, vector([0x60, 0, 1, 0x6f])), section(2, vector([...text('a'), ...text('b'), 0, 0])), MEMORY_SECTION),
    ],
  ])('%s at %i', (feature, offset, module) => {
    const error = refusal(() => instrument(module, ALLOW))
    expect(error.code).toBe('UNSUPPORTED_FEATURE')
    expect(error.feature).toBe(feature)
    expect(error.offset).toBe(offset)
  })

  test('an immutable global of another global is an extension too', () => {
    const module = wat('(module (memory 1) (global $a i32 (i32.const 1)) (global i32 (global.get $a)))', {
      gc: true,
      extended_const: true,
    })
    expect(refusal(() => instrument(module, ALLOW)).feature).toBe('extended constant expressions (global.get)')
  })
})

describe('imports', () => {
  test.each(['memory', 'table', 'global'])('an imported %s is refused by name', (kind) => {
    const shape = { memory: '(memory 1)', table: '(table 1 funcref)', global: '(global i32)' }[kind]
    const error = refusal(() => instrument(wat(`(module (import "host" "thing" ${shape}))`), ALLOW))
    expect(error.code).toBe('IMPORT_REFUSED')
    expect(error.message).toContain(`${kind} "host.thing"`)
    expect(error.offset).toBe(11)
  })

  test('the caller decides about functions, by name and signature', () => {
    const module = wat(`(module
      (import "host" "good" (func (param i32 f64) (result i64)))
      (import "host" "bad" (func))
      (memory 1))`)
    const asked: unknown[] = []
    const error = refusal(() =>
      instrument(module, {
        maxMemoryBytes: PAGE,
        allowImport: (from, name, signature) => {
          asked.push([from, name, signature])
          return name === 'good' || 'the manifest does not grant it'
        },
      }),
    )
    expect(error.code).toBe('IMPORT_REFUSED')
    expect(error.feature).toBe('host.bad')
    expect(error.message).toContain('the manifest does not grant it')
    expect(asked).toEqual([
      ['host', 'good', { params: ['i32', 'f64'], results: ['i64'] }],
      ['host', 'bad', { params: [], results: [] }],
    ])
  })

  test('what is imported is listed', () => {
    const { imports } = instrument(wat('(module (import "a" "b" (func (param i64))) (memory 1))'), ALLOW)
    expect(imports).toEqual([{ module: 'a', name: 'b', params: ['i64'], results: [] }])
  })
})

describe('memory', () => {
  const memoryOf = (source: string, maxMemoryBytes: number) =>
    instrument(wat(`(module (memory (export "memory") ${source}))`), { ...ALLOW, maxMemoryBytes }).memory

  test('its maximum is lowered to the cap', () => {
    expect(memoryOf('1', 4 * PAGE)).toEqual({ initialBytes: PAGE, maximumBytes: 4 * PAGE })
    expect(memoryOf('1 100', 4 * PAGE)).toEqual({ initialBytes: PAGE, maximumBytes: 4 * PAGE })
    expect(memoryOf('1 2', 4 * PAGE)).toEqual({ initialBytes: PAGE, maximumBytes: 2 * PAGE })
    expect(memoryOf('1', 2 * PAGE - 1)).toEqual({ initialBytes: PAGE, maximumBytes: PAGE })
    expect(memoryOf('0', 0)).toEqual({ initialBytes: 0, maximumBytes: 0 })
    expect(memoryOf('1 65536', 2 ** 32)).toEqual({ initialBytes: PAGE, maximumBytes: 2 ** 32 })
  })

  test('one that starts above the cap is refused with both numbers', () => {
    const error = refusal(() => memoryOf('3', 2 * PAGE))
    expect(error.code).toBe('MEMORY_LIMIT')
    expect(error.message).toContain(`${3 * PAGE} bytes`)
    expect(error.message).toContain(`${2 * PAGE} bytes`)
  })

  test('a module without memory is refused', () => {
    expect(refusal(() => instrument(wat('(module)'), ALLOW)).code).toBe('NO_MEMORY')
  })

  test('a cap that makes no sense is refused', () => {
    for (const cap of [-1, 1.5, Number.NaN, 2 ** 32 + 1]) expect(refusal(() => memoryOf('1', cap)).code).toBe('BAD_OPTION')
  })
})

describe('exports', () => {
  const required = (source: string, ...requiredExports: Parameters<typeof instrument>[1]['requiredExports'] & object) =>
    instrument(wat(`(module (memory 1) ${source})`), { ...ALLOW, requiredExports })

  test('the memory is exported, if need be by us', () => {
    expect(required('').exports).toEqual([{ name: 'memory', kind: 'memory' }])
    expect(required('(export "memory" (memory 0))').exports).toEqual([{ name: 'memory', kind: 'memory' }])
    expect(required('(export "mem" (memory 0))').exports).toEqual([
      { name: 'mem', kind: 'memory' },
      { name: 'memory', kind: 'memory' },
    ])
    expect(refusal(() => required('(func (export "memory"))')).code).toBe('WRONG_EXPORT')
  })

  test('what is required must be there and fit', () => {
    const tick = { name: 'tick', kind: 'function', params: [], results: ['i32'] } as const
    expect(required('(func (export "tick") (result i32) (i32.const 0))', tick).exports).toHaveLength(2)
    expect(refusal(() => required('', tick)).code).toBe('MISSING_EXPORT')
    expect(refusal(() => required('', tick)).message).toContain('"tick"')
    const wrong = refusal(() => required('(func (export "tick") (param i64))', tick))
    expect(wrong.code).toBe('WRONG_EXPORT')
    expect(wrong.message).toContain('(i64) -> ()')
    expect(wrong.message).toContain('() -> (i32)')
    expect(refusal(() => required('(global (export "tick") i32 (i32.const 0))', tick)).code).toBe('WRONG_EXPORT')
    expect(required('(func (export "tick") (param i64))', { name: 'tick', kind: 'function' }).exports).toHaveLength(2)
    expect(required('', { name: 'memory', kind: 'memory' }).exports).toHaveLength(1)
  })

  test('what is optional must fit if it is there', () => {
    const init = { name: 'init', kind: 'function', params: [], results: [], optional: true } as const
    expect(required('', init).exports).toHaveLength(1)
    expect(refusal(() => required('(func (export "init") (param i32))', init)).code).toBe('WRONG_EXPORT')
  })

  test('the prefix of the instrumentation is reserved', () => {
    expect(refusal(() => required('(func (export "sandbox:start"))')).code).toBe('RESERVED_NAME')
  })
})

describe('what is written', () => {
  test('custom sections go, but for the names', () => {
    const names = section(0, [...text('name'), 0, 2, ...text('m')])
    const module = bytes(section(0, [...text('producers'), 1, 2, 3]), MEMORY_SECTION, names, section(0, text('other')), names)
    const out = new WebAssembly.Module(instrument(module, ALLOW).bytes as Uint8Array<ArrayBuffer>)
    expect(WebAssembly.Module.customSections(out, 'name')).toHaveLength(1)
    expect(WebAssembly.Module.customSections(out, 'producers')).toHaveLength(0)
    expect(WebAssembly.Module.customSections(out, 'other')).toHaveLength(0)
  })

  test('the same module gives the same bytes, and the input is left alone', () => {
    const module = wat('(module (memory 1) (global (mut f64) (f64.const 1)) (func $f) (start $f))')
    const copy = module.slice()
    expect(instrument(module, ALLOW)).toEqual(instrument(copy, ALLOW))
    expect(module).toEqual(copy)
  })

  test('it may be handed a part of a larger buffer', () => {
    const module = wat('(module (memory 1) (func (export "f") (result i32) (i32.const 3)))')
    const larger = new Uint8Array(module.length + 20).fill(0xee)
    larger.set(module, 7)
    expect(instrument(larger.subarray(7, 7 + module.length), ALLOW)).toEqual(instrument(module, ALLOW))
  })
})
