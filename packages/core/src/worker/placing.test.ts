import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Bench, createBench, emptyImage, peek32 } from './fixtures/bench.ts'
import { stirrer } from './fixtures/stirrer.ts'
import { add, buildAgent, i32, load, store } from './fixtures/wasm.ts'
import type { Image } from './protocol.ts'

const COUNT = 8
const PAGE = 65_536
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

let bench: Bench
beforeEach(() => {
  bench = createBench()
})
afterEach(() => bench.executor.close())

describe('loading refuses', () => {
  const tick = i32(0)
  it.each<[string, Uint8Array, string, RegExp, string[]?]>([
    ['what is no wasm', utf8('hello'), 'BAD_MODULE', /./],
    ['nothing', new Uint8Array(), 'BAD_MODULE', /./],
    ['half a module', buildAgent({ tick }).subarray(0, 30), 'BAD_MODULE', /./],
    [
      'a module without agent_tick',
      buildAgent({ tick, functions: {} })
        .slice()
        .map((byte, i, all) => (byte === 0x74 && all[i - 1] === 0x5f ? 0x78 : byte)),
      'BAD_MODULE',
      /agent_tick/,
    ],
    [
      'an agent_tick of another type',
      buildAgent({ tick, functions: { agent_tick: { type: '->', code: [] } } }),
      'BAD_MODULE',
      /agent_tick/,
    ],
    [
      'a capability that is not granted',
      buildAgent({ tick, imports: { 'igor.clock_now': '-> i64' } }),
      'CAPABILITY_NOT_GRANTED',
      /"clock"; grant it in the manifest/,
      ['log'],
    ],
    [
      'WASI that is not granted',
      buildAgent({ tick, imports: { 'wasi_snapshot_preview1.random_get': 'i32 i32 -> i32' } }),
      'CAPABILITY_NOT_GRANTED',
      /"rand"/,
      ['log'],
    ],
    [
      'a capability that no one has yet',
      buildAgent({ tick, imports: { 'igor.http_request': '-> i32' } }),
      'CAPABILITY_NOT_GRANTED',
      /"http", which this node does not offer/,
    ],
    ['an import that does not exist', buildAgent({ tick, imports: { 'igor.fly': '->' } }), 'BAD_MODULE', /igor\.fly/],
    [
      "AssemblyScript's abort, with advice",
      buildAgent({ tick, imports: { 'env.abort': 'i32 i32 i32 i32 ->' } }),
      'BAD_MODULE',
      /--use abort=/,
    ],
    [
      'an import of another type',
      buildAgent({ tick, imports: { 'igor.clock_now': '-> i32' } }),
      'BAD_MODULE',
      /is \(-> i64\), the module declares \(-> i32\)/,
    ],
    [
      'WASI of another type',
      buildAgent({ tick, imports: { 'wasi_snapshot_preview1.fd_seek': 'i32 -> i64' } }),
      'BAD_MODULE',
      /fd_seek/,
    ],
    ['memory over the limit', buildAgent({ tick, memory: 17 }), 'BAD_MODULE', /memory/],
  ])('%s', async (_, wasm, code, message, granted) => {
    await expect(bench.spawn(wasm, granted === undefined ? {} : { granted })).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    })
  })

  it('and lets the same module in with another manifest', async () => {
    const wasm = buildAgent({ tick, imports: { 'igor.clock_now': '-> i64' } })
    await expect(bench.spawn(wasm, { granted: [] })).rejects.toMatchObject({ code: 'CAPABILITY_NOT_GRANTED' })
    expect((await (await bench.spawn(wasm, { granted: ['clock'] })).run()).ticks).toBe(1)
    await expect(bench.spawn(wasm, { granted: [] })).rejects.toMatchObject({ code: 'CAPABILITY_NOT_GRANTED' })
  })

  it('what the module was never loaded for', async () => {
    const spec = {
      module: 'unheard-of',
      maxMemoryBytes: PAGE,
      granted: [],
      init: new Uint8Array(),
      tickMs: 100,
      image: emptyImage,
    }
    await expect(bench.executor.place(spec)).rejects.toMatchObject({ code: 'HOST_FAULT' })
  })
})

describe('an image', () => {
  it.each<[string, (image: Image) => Image]>([
    ['with a global too few', (image) => ({ ...image, globals: image.globals.slice(1) })],
    ['with a global of another size', (image) => ({ ...image, globals: [new Uint8Array(8), ...image.globals.slice(1)] })],
    ['of too little memory', (image) => ({ ...image, memoryBytes: 0, chunks: [] })],
    ['of too much memory', (image) => ({ ...image, memoryBytes: 17 * PAGE })],
    ['of half a page', (image) => ({ ...image, memoryBytes: PAGE + 4096 })],
    ['with a chunk beyond its memory', (image) => ({ ...image, chunks: [[16 * 6, new Uint8Array(4096)]] })],
    ['with a chunk of another size', (image) => ({ ...image, chunks: [[0, new Uint8Array(4095)]] })],
    ['with an odd index', (image) => ({ ...image, chunks: [[0.5, new Uint8Array(4096)]] })],
    [
      'with a kv out of order',
      (image) => ({
        ...image,
        kv: [
          [utf8('b'), utf8('')],
          [utf8('a'), utf8('')],
        ],
      }),
    ],
    [
      'with a kv key twice',
      (image) => ({
        ...image,
        kv: [
          [utf8('a'), utf8('')],
          [utf8('a'), utf8('')],
        ],
      }),
    ],
    ['with too much kv', (image) => ({ ...image, kv: [[utf8('a'), new Uint8Array(65_537)]] })],
  ])('%s is refused', async (_, spoil) => {
    const { image } = await bench.spawn(stirrer)
    await expect(bench.place(stirrer, spoil(image), 0)).rejects.toMatchObject({ code: 'BAD_FILE' })
    await bench.place(stirrer, image, 0)
  })

  it('is brought up to date by patches until it runs', async () => {
    const source = await bench.spawn(stirrer)
    const target = await bench.place(stirrer, source.image, 0)
    for (let i = 0; i < 5; i++) {
      const { delta } = await source.run(['m'], { maxTicks: 4 })
      const chunks = delta.chunks.map(([index, bytes]) => [index, bytes] as const)
      await bench.executor.patch(target.placed, { ...delta, chunks, kv: source.image.kv })
    }
    target.image = source.image
    target.tick = source.tick
    await source.run(['z'], { maxTicks: 5 })
    await target.run(['z'], { maxTicks: 5 })
    expect(target.image).toEqual(source.image)
    await expect(bench.executor.patch(target.placed, { ...source.image })).rejects.toMatchObject({ code: 'BAD_REQUEST' })
  })
})

describe('a patch of memory alone', () => {
  it('changes chunks, clears chunks, and nothing else', async () => {
    // What is in chunk 3 is added to the count.
    const wasm = buildAgent({ tick: [...store(COUNT, add(load(COUNT), load(3 * 4096))), ...i32(0)] })
    const { image } = await bench.spawn(wasm)
    const target = await bench.place(wasm, image, 0)
    const chunk = (at: number, value: number): Uint8Array => {
      const bytes = new Uint8Array(4096)
      bytes[at] = value
      return bytes
    }
    const patch = (chunks: readonly (readonly [number, Uint8Array | null])[]) =>
      bench.executor.patch(target.placed, { ...image, chunks })
    await patch([
      [3, chunk(0, 7)],
      [5, chunk(9, 1)],
      [0, chunk(COUNT, 100)],
    ])
    await patch([
      [5, null],
      [3, chunk(0, 9)],
    ])
    const result = await target.run()
    expect(result.delta.chunks.map(([index]) => index)).toEqual([0])
    expect(peek32(target.image, COUNT)).toBe(109)
  })

  it('that does not fit is refused', async () => {
    const wasm = buildAgent({ tick: i32(0) })
    const { image } = await bench.spawn(wasm)
    const target = await bench.place(wasm, image, 0)
    await expect(bench.executor.patch(target.placed, { ...image, chunks: [[16, null]] })).rejects.toMatchObject({
      code: 'BAD_FILE',
    })
  })
})
