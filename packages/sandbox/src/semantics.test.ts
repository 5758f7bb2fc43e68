import { describe, expect, test } from 'vitest'
import { SandboxError, Trap, type TrapKind } from './errors.ts'
import { compile, type HostFunction, type Instance, instantiate, type Value } from './instance.ts'
import { instrument } from './instrument.ts'
import { run } from './testing/run.ts'
import { ALLOW, wide } from './testing/wide.ts'

type Outcome = Value | undefined | 'trap'

interface Pair {
  /** Calls both and returns what each answered. */
  both(name: string, ...args: readonly Value[]): [bare: Outcome, instrumented: Outcome]
  readonly instance: Instance
  readonly bareMemory: () => Uint8Array
  readonly notes: [bare: unknown[], instrumented: unknown[]]
}

/** The same module as it was and instrumented, side by side. The start function has run in both. */
async function pair(): Promise<Pair> {
  const notes: [unknown[], unknown[]] = [[], []]
  const imports = (log: unknown[]) => ({
    env: {
      add: (a: number, b: number) => a + b,
      note: (wide: bigint, double: number) => void log.push(wide, double),
    } satisfies Record<string, HostFunction>,
  })
  const bytes = wide()
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), imports(notes[0]) as WebAssembly.Imports)
  const instance = instantiate(await compile(instrument(bytes, ALLOW)), imports(notes[1]))
  instance.start()
  const outcome = (act: () => unknown): Outcome => {
    try {
      return act() as Outcome
    } catch {
      return 'trap'
    }
  }
  return {
    instance,
    notes,
    bareMemory: () => new Uint8Array((exports.memory as WebAssembly.Memory).buffer),
    both: (name, ...args) => [
      outcome(() => (exports[name] as (...args: readonly Value[]) => unknown)(...args)),
      outcome(() => instance.call(name, ...args)),
    ],
  }
}

const CALLS: readonly (readonly [name: string, ...args: Value[]])[] = [
  ['sum', 1, 2],
  ['indirect', 0, 6, 7],
  ['indirect', 1, 6, 7],
  ['indirect', 2, 6, 7],
  ['indirect', 3, 6, 7],
  ['indirect', 4, 6, 7],
  ['fib', 15],
  ['tick'],
  ['tick'],
  ['size'],
  ['grow', 1],
  ['size'],
  ['grow', 2],
  ['grow', 1],
  ['grow', -1],
  ['load', 13],
  ['load', 4 * 65536 - 4],
  ['load', 4 * 65536 - 3],
  ['load', -1],
  ['init', 100, 2, 3],
  ['init', 100, 2, 6],
  ['init', 4 * 65536, 0, 0],
  ['load', 97],
  ['drop'],
  ['init', 100, 0, 0],
  ['init', 100, 0, 1],
  ['init', 100, 1, 0],
  ['drop'],
  ['fill', 200, 7, 50],
  ['fill', 4 * 65536, 7, 1],
  ['copy', 230, 201, 40],
  ['divide', 7, -2],
  ['divide', 7, 0],
  ['divide', -(2 ** 31), -1],
  ['truncate', 1e3],
  ['truncate', 1e30],
  ['truncate', Number.NaN],
  ['saturate', 1e30],
  ['extend', 255n],
  ['abort'],
  ['isNull', 0],
  ['isNull', 3],
  ['isNull', 4],
  ['tableSize'],
  ['switch', 0],
  ['switch', 1],
  ['switch', 77],
  ['loop', 1000],
  ['multi', 10],
  ['multi', 0],
  ['simd', 2.5],
  ['tick'],
]

test('an instrumented module behaves as it did', async () => {
  const { both, instance, bareMemory, notes } = await pair()
  let traps = 0
  for (const [name, ...args] of CALLS) {
    const [bare, instrumented] = both(name, ...args)
    expect(instrumented, `${name}(${args})`).toEqual(bare)
    if (bare === 'trap') traps++
  }
  expect(traps).toBe(14)
  expect(notes[1]).toEqual(notes[0])
  expect(notes[1].length).toBe(6)
  expect(instance.memory()).toEqual(bareMemory())
})

describe('start', () => {
  test('does not run at instantiation, but when asked', async () => {
    let ran = 0
    const instance = await run('(module (import "env" "f" (func $f)) (memory 1) (func $s (call $f)) (start $s))', {
      env: { f: () => void ran++ },
    })
    expect(ran).toBe(0)
    instance.start()
    expect(ran).toBe(1)
  })

  test('may be an import', async () => {
    let ran = 0
    const instance = await run('(module (import "env" "f" (func $f)) (memory 1) (start $f))', { env: { f: () => void ran++ } })
    expect(ran).toBe(0)
    instance.start()
    expect(ran).toBe(1)
  })

  test('may be absent, and is no export that one can call', async () => {
    const instance = await run('(module (memory 1))')
    instance.start()
    expect(instance.has('sandbox:start')).toBe(false)
    const withStart = await run('(module (memory 1) (func $f) (start $f))')
    expect(withStart.has('sandbox:start')).toBe(false)
    expect(() => withStart.call('sandbox:start')).toThrow(SandboxError)
  })

  test('a trap in it is a trap', async () => {
    const instance = await run('(module (memory 1) (func $f unreachable) (start $f))')
    expect(() => instance.start()).toThrow(Trap)
  })
})

describe('faults', () => {
  test.each<[TrapKind, string, ...Value[]]>([
    ['unreachable', 'abort'],
    ['out-of-bounds', 'load', -1],
    ['out-of-bounds', 'init', 0, 0, 99],
    ['out-of-bounds', 'isNull', 99],
    ['divide-by-zero', 'divide', 1, 0],
    ['unrepresentable', 'divide', -(2 ** 31), -1],
    ['unrepresentable', 'truncate', 1e30],
    ['bad-indirect-call', 'indirect', 3, 1, 1],
    ['out-of-bounds', 'indirect', 99, 1, 1],
    ['stack-overflow', 'deep', 1],
  ])('%s', async (kind, name, ...args) => {
    const { instance } = await pair()
    try {
      instance.call(name, ...args)
      expect.unreachable()
    } catch (error) {
      expect(error).toBeInstanceOf(Trap)
      expect((error as Trap).kind).toBe(kind)
    }
  })

  test('what a host function throws comes through as it is', async () => {
    const thrown: unknown[] = [
      new Trap('not granted'),
      new TypeError('a defect'),
      new RangeError('Invalid array length'),
      'text',
      undefined,
    ]
    for (const error of thrown) {
      const instance = await run('(module (import "env" "f" (func $f)) (memory 1) (func (export "go") (call $f)))', {
        env: {
          f: () => {
            throw error
          },
        },
      })
      let caught: unknown = 'nothing'
      try {
        instance.call('go')
      } catch (fault) {
        caught = fault
      }
      expect(caught).toBe(error)
    }
  })

  test('a segment outside of the memory traps at instantiation', async () => {
    await expect(run('(module (memory 1) (data (i32.const 65535) "ab"))')).rejects.toThrow(Trap)
    await expect(run('(module (memory 1) (table 1 funcref) (func $f) (elem (i32.const 1) $f))')).rejects.toThrow(Trap)
  })

  test('calls that make no sense', async () => {
    const { instance } = await pair()
    const code = (act: () => unknown) => {
      try {
        act()
      } catch (error) {
        return (error as SandboxError).code
      }
      return undefined
    }
    expect(code(() => instance.call('nothing'))).toBe('MISSING_EXPORT')
    expect(code(() => instance.call('memory'))).toBe('MISSING_EXPORT')
    expect(code(() => instance.call('__proto__'))).toBe('MISSING_EXPORT')
    expect(code(() => instance.call('two'))).toBe('BAD_CALL')
    expect(instance.has('sum')).toBe(true)
    expect(instance.has('table')).toBe(false)
    expect(() => instance.call('vector')).toThrow(TypeError)
  })

  test('an import that was not handed over', async () => {
    const source = '(module (import "constructor" "f" (func)) (memory 1))'
    await expect(run(source)).rejects.toMatchObject({ code: 'MISSING_IMPORT' })
    await expect(run(source, { constructor: {} } as never)).rejects.toMatchObject({ code: 'MISSING_IMPORT' })
    await expect(run('(module (import "env" "toString" (func)) (memory 1))', { env: {} })).rejects.toMatchObject({
      code: 'MISSING_IMPORT',
    })
  })
})

test('memory is capped', async () => {
  const instance = instantiate(await compile(instrument(wide(), { ...ALLOW, maxMemoryBytes: 2 * 65536 })), {
    env: { add: () => 0, note: () => {} },
  })
  expect(instance.call('grow', 1)).toBe(1)
  expect(instance.call('grow', 1)).toBe(-1)
  expect(instance.memory().length).toBe(2 * 65536)
})

test('imported names may be those of object prototypes', async () => {
  let called = 0
  const f = () => void called++
  const instance = await run('(module (import "__proto__" "__proto__" (func $f)) (memory 1) (func (export "go") (call $f)))', {
    ['__proto__']: { ['__proto__']: f },
  })
  instance.call('go')
  expect(called).toBe(1)
})
