import { describe, expect, test } from 'vitest'
import { CHUNK_BYTES, changedChunks, isZero } from './chunks.ts'
import { type Compiled, compile, type Imports, type Instance, instantiate, type StateImage } from './instance.ts'
import { instrument } from './instrument.ts'
import { refusal } from './testing/errors.ts'
import { run } from './testing/run.ts'
import { wat } from './testing/wat.ts'
import { ALLOW, wide } from './testing/wide.ts'

const imports: Imports = { env: { add: (a: number, b: number) => a + b, note: () => {} } }

async function compiled(module: Uint8Array): Promise<Compiled> {
  return compile(instrument(module, ALLOW))
}

/** The whole state, as a runtime would keep it. */
function keep(instance: Instance): StateImage {
  const memory = instance.memory()
  const chunks = changedChunks(new Uint8Array(0), memory).map(
    (index) => [index, memory.slice(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES)] as const,
  )
  return { memoryBytes: memory.length, chunks, globals: instance.globals() }
}

function hex(globals: readonly Uint8Array[]): string[] {
  return globals.map((bits) => Array.from(bits, (byte) => byte.toString(16).padStart(2, '0')).join(''))
}

test('a restored instance goes on exactly as the first would', async () => {
  const module = await compiled(wide())
  const first = instantiate(module, imports)
  first.start()
  for (let i = 0; i < 20; i++) first.call('tick')
  first.call('grow', 1)
  first.call('fill', 70_000, 9, 30_000)
  first.call('init', 300, 0, 7)
  first.call('drop')
  const image = keep(first)
  expect([...image.chunks].some(([, bytes]) => isZero(bytes))).toBe(false)

  const second = instantiate(module, imports)
  second.restore(image)
  expect(keep(second)).toEqual(image)
  for (let i = 0; i < 20; i++) expect(second.call('tick')).toEqual(first.call('tick'))
  expect(second.call('size')).toBe(2)
  expect(keep(second)).toEqual(keep(first))
})

test('a patched instance is the one that the patches lead to', async () => {
  const module = await compiled(wide())
  const first = instantiate(module, imports)
  first.start()
  const second = instantiate(module, imports)
  second.restore(keep(first))
  let before = keep(first)
  const steps = [
    () => first.call('tick'),
    () => first.call('fill', 40_000, 9, 30_000 - 5000),
    () => first.call('grow', 1),
    () => first.call('fill', 70_000, 9, 30_000),
    () => first.call('fill', 70_000, 0, 30_000),
    () => first.call('init', 300, 0, 7),
    () => first.call('drop'),
  ]
  for (const step of steps) {
    step()
    const now = keep(first)
    const old = new Map(before.chunks)
    const left = new Map(now.chunks)
    const cleared = [...old.keys()].filter((index) => !left.has(index))
    const chunks = [
      ...[...left].filter(([index, bytes]) => old.get(index)?.every((byte, at) => byte === bytes[at]) !== true),
      ...cleared.map((index) => [index, new Uint8Array(CHUNK_BYTES)] as const),
    ]
    expect(chunks.length).toBeLessThan(16)
    second.patch({ ...now, chunks })
    expect(keep(second)).toEqual(now)
    before = now
  }
  for (let i = 0; i < 5; i++) expect(second.call('tick')).toEqual(first.call('tick'))
  const { globals } = keep(first)
  expect(refusal(() => second.patch({ memoryBytes: 65536, chunks: [], globals })).code).toBe('BAD_IMAGE')
})

describe('globals', () => {
  /** Every type, with bits that a conversion to a JavaScript number would lose. */
  const VALUES: readonly (readonly [type: string, value: string, bits: string])[] = [
    ['i32', 'i32.const -2', 'feffffff'],
    ['i64', 'i64.const 0x8000000000000001', '0100000000000080'],
    ['f32', 'f32.const nan', '0000c07f'],
    ['f32', 'f32.const nan:0x200001', '0100a07f'],
    ['f32', 'f32.const -nan:0x1', '010080ff'],
    ['f32', 'f32.const -0', '00000080'],
    ['f64', 'f64.const nan', '000000000000f87f'],
    ['f64', 'f64.const nan:0x4000000000001', '010000000000f47f'],
    ['f64', 'f64.const -nan:0x1', '010000000000f0ff'],
    ['f64', 'f64.const -0', '0000000000000080'],
    ['v128', 'v128.const i64x2 0x0123456789abcdef 0xfff4000000000001', 'efcdab8967452301010000000000f4ff'],
    ['v128', 'v128.const f32x4 nan:0x200001 -nan:0x1 -0 1', '0100a07f010080ff000000800000803f'],
  ]

  test.each(VALUES)('%s %s is kept bit by bit', async (type, value, bits) => {
    const source = (initial: string, exported = '') =>
      `(module (memory 1) (global i32 (i32.const 9)) (global ${exported} (mut ${type}) (${initial})))`
    const first = await run(source(value))
    expect(hex(first.globals())).toEqual([bits])
    const zero = type === 'v128' ? 'v128.const i64x2 0 0' : `${type}.const 0`
    for (const exported of ['', '(export "global")']) {
      const second = await run(source(zero, exported))
      second.restore({ memoryBytes: 65536, chunks: [], globals: first.globals() })
      expect(hex(second.globals())).toEqual([bits])
    }
  })

  test('are listed in index order, without those of the instrumentation', async () => {
    const instance = await run(`(module (memory 1)
      (global (mut i32) (i32.const 1)) (global i64 (i64.const 2)) (global (export "x") (mut i64) (i64.const 3)) (global (mut f32) (f32.const 0)))`)
    expect(instance.globals().map((bits) => bits.length)).toEqual([4, 8, 4])
  })

  test('an exported mutable global is not lost to the module itself', async () => {
    const source =
      '(module (memory 1) (global $g (export "g") (mut i32) (i32.const 1)) (func (export "get") (result i32) (global.get $g)))'
    const instance = await run(source)
    instance.restore({ memoryBytes: 65536, chunks: [], globals: [Uint8Array.of(1, 2, 3, 0x84)] })
    expect(instance.call('get')).toBe(0x84030201 | 0)
  })
})

describe('memory', () => {
  const source =
    '(module (memory 1 8) (data (i32.const 5000) "preset") (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))'

  test('what an active segment wrote goes, if the image has it not', async () => {
    const instance = await run(source)
    instance.restore({ memoryBytes: 65536, chunks: [], globals: [] })
    expect(isZero(instance.memory())).toBe(true)
  })

  test('grows to the image, and only the image is in it', async () => {
    const chunk = new Uint8Array(CHUNK_BYTES).fill(3)
    const instance = await run(source)
    instance.restore({ memoryBytes: 3 * 65536, chunks: [[47, chunk]], globals: [] })
    const memory = instance.memory()
    expect(memory.length).toBe(3 * 65536)
    expect(memory.subarray(47 * CHUNK_BYTES)).toEqual(chunk)
    expect(isZero(memory.subarray(0, 47 * CHUNK_BYTES))).toBe(true)
    expect(instance.call('grow', 5)).toBe(3)
    expect(instance.call('grow', 1)).toBe(-1)
  })

  test('an instance that was used is cleared first, unless it has outgrown the image', async () => {
    const instance = await run(source)
    instance.memory()[60_000] = 1
    instance.restore({ memoryBytes: 65536, chunks: [], globals: [] })
    expect(isZero(instance.memory())).toBe(true)
    instance.call('grow', 1)
    expect(refusal(() => instance.restore({ memoryBytes: 65536, chunks: [], globals: [] })).code).toBe('BAD_IMAGE')
  })

  test('the view is fresh after growth', async () => {
    const instance = await run(source)
    const before = instance.memory()
    expect(instance.memory()).toBe(before)
    instance.call('grow', 1)
    expect(before.length).toBe(0)
    expect(instance.memory().length).toBe(2 * 65536)
  })

  test('chunks may come from a generator', async () => {
    const instance = await run(source)
    function* chunks(): Generator<readonly [number, Uint8Array]> {
      for (let index = 0; index < 16; index++) yield [index, new Uint8Array(CHUNK_BYTES).fill(index)]
    }
    instance.restore({ memoryBytes: 65536, chunks: chunks(), globals: [] })
    expect(instance.memory()[15 * CHUNK_BYTES]).toBe(15)
  })
})

describe('images that do not fit are refused', () => {
  const chunk = new Uint8Array(CHUNK_BYTES)
  const good: StateImage = { memoryBytes: 65536, chunks: [[0, chunk]], globals: [new Uint8Array(4)] }
  test.each<[string, Partial<StateImage>]>([
    ['memory of half a page', { memoryBytes: 65536 + 4096 }],
    ['memory of no number', { memoryBytes: Number.NaN }],
    ['memory below the start', { memoryBytes: 0 }],
    ['memory above the maximum', { memoryBytes: 3 * 65536 }],
    ['a chunk behind the end', { chunks: [[16, chunk]] }],
    ['a chunk before the start', { chunks: [[-1, chunk]] }],
    ['a chunk at a fraction', { chunks: [[0.5, chunk]] }],
    ['a short chunk', { chunks: [[0, chunk.subarray(1)]] }],
    ['too few globals', { globals: [] }],
    ['too many globals', { globals: [new Uint8Array(4), new Uint8Array(4)] }],
    ['a global of another size', { globals: [new Uint8Array(8)] }],
  ])('%s', async (_, part) => {
    const source = '(module (memory 1 2) (global (mut i32) (i32.const 0)))'
    const instance = await run(source)
    expect(refusal(() => instance.restore({ ...good, ...part })).code).toBe('BAD_IMAGE')
    const other = await run(source)
    other.restore(good)
  })
})

describe('dropped segments', () => {
  const source = `(module (memory 1)
    (data $active (i32.const 0) "active") (data $a "aaaa") (data $kept "kept") (data $b "bbbb")
    (func (export "a") (param i32) (memory.init $a (i32.const 100) (i32.const 0) (local.get 0)))
    (func (export "b") (param i32) (memory.init $b (i32.const 200) (i32.const 0) (local.get 0)))
    (func (export "kept") (param i32) (memory.init $kept (i32.const 300) (i32.const 0) (local.get 0)))
    (func (export "dropA") (data.drop $a))
    (func (export "dropB") (data.drop $b) (data.drop $active)))`

  test('are part of the state', async () => {
    const module = await compiled(wat(source))
    for (const drops of [[], ['dropA'], ['dropB'], ['dropA', 'dropB'], ['dropB', 'dropB']]) {
      const first = instantiate(module, {})
      for (const name of drops) first.call(name)
      const globals = first.globals()
      const bits = (drops.includes('dropA') ? 1 : 0) | (drops.includes('dropB') ? 2 : 0)
      expect(hex(globals)).toEqual([`0${bits}`])
      const second = instantiate(module, {})
      second.restore({ memoryBytes: 65536, chunks: [], globals })
      expect(second.globals()).toEqual(globals)
      for (const instance of [first, second]) {
        for (const [name, dropped] of [
          ['a', drops.includes('dropA')],
          ['b', drops.includes('dropB')],
          ['kept', false],
        ] as const) {
          instance.call(name, 0)
          if (dropped) expect(() => instance.call(name, 1)).toThrow('out of bounds')
          else instance.call(name, 4)
        }
      }
    }
  })

  test('a module that drops none has no entry for them', async () => {
    const instance = await run(
      '(module (memory 1) (data $a "a") (func (export "f") (memory.init $a (i32.const 0) (i32.const 0) (i32.const 1))))',
    )
    expect(instance.globals()).toEqual([])
  })

  test('as the linker uses them: init and drop at the start', async () => {
    const instance = await run(`(module (memory 1) (data $a "hello")
      (func $start (memory.init $a (i32.const 16) (i32.const 0) (i32.const 5)) (data.drop $a)) (start $start))`)
    expect(hex(instance.globals())).toEqual(['00'])
    instance.start()
    expect(hex(instance.globals())).toEqual(['01'])
    expect(new TextDecoder().decode(instance.memory().subarray(16, 21))).toBe('hello')
  })
})

test('an instrumented module can be posted and kept', async () => {
  const instrumented = structuredClone(instrument(wide(), ALLOW))
  const instance = instantiate(await compile(instrumented), imports)
  instance.start()
  expect(instance.call('tick')).toBe(106)
})
