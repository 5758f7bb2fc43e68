import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SandboxError, Trap } from './errors.ts'
import { compile, instantiate } from './instance.ts'
import { instrument } from './instrument.ts'
import { bytes, leb, MEMORY_SECTION, repeat, section, text, vector } from './testing/bytes.ts'
import { ALLOW } from './testing/wide.ts'

/** A number that changes each time, so that branches go either way: `x = x * 69069 + 1`, then its bits above `shift`. */
const turn = (shift: number): number[] => [0x20, 0, 0x41, 0xcd, 0x9b, 0x04, 0x6c, 0x41, 1, 0x6a, 0x22, 0, 0x41, shift, 0x76]

interface Statement {
  readonly kind: number
  readonly label: number
  readonly shift: number
  readonly inner: readonly Statement[]
}

const { statements } = fc.letrec<{ statement: Statement; statements: readonly Statement[] }>((tie) => ({
  statements: fc.array(tie('statement'), { minLength: 2, maxLength: 6, size: 'max' }),
  statement: fc.record({
    kind: fc.nat(9),
    label: fc.nat(5),
    shift: fc.integer({ min: 20, max: 31 }),
    inner: fc.oneof({ depthSize: 'medium' }, fc.constant([]), tie('statements')),
  }),
}))

/** `depth` blocks are open, the function's own not counted. */
function encode(list: readonly Statement[], depth: number): number[] {
  return list.flatMap(({ kind, label, shift, inner }) => {
    const to = label % (depth + 1)
    switch (kind) {
      case 0:
        return [0x02, 0x40, ...encode(inner, depth + 1), 0x0b]
      case 1:
        return [0x03, 0x40, ...encode(inner, depth + 1), 0x0b]
      case 2:
        return [...turn(31), 0x04, 0x40, ...encode(inner, depth + 1), 0x0b]
      case 3:
        return [...turn(31), 0x04, 0x40, ...encode(inner, depth + 1), 0x05, ...encode(inner.slice(1), depth + 1), 0x0b]
      case 4:
        return [...turn(31), 0x0d, to]
      case 5:
        return [0x0c, to]
      case 6:
        return [...turn(shift), 0x0e, 2, to, (label + 1) % (depth + 1), (label + 2) % (depth + 1)]
      case 7:
        return [0x10, 1]
      case 8:
        return label === 0 ? [0x0f] : [0x23, 0, 0x41, 1, 0x6a, 0x24, 0]
      default:
        return [0x23, 0, ...turn(shift), 0x6a, 0x24, 0]
    }
  })
}

/** The program, which counts in a global and turns in its parameter, and a function that it calls. */
function program(list: readonly Statement[]): Uint8Array<ArrayBuffer> {
  const main = [0, ...encode(list, 0), 0x0b]
  const callee = [0, 0x23, 0, 0x41, 7, 0x6a, 0x24, 0, 0x0b]
  return bytes(
    section(1, vector([0x60, 1, 0x7f, 0], [0x60, 0, 0])),
    section(3, vector([0], [1])),
    MEMORY_SECTION,
    section(6, vector([0x7f, 1, 0x41, 0, 0x0b])),
    section(7, vector([...text('f'), 0, 0])),
    section(10, vector([...leb(main.length), ...main], [...leb(callee.length), ...callee])),
  )
}

test('whatever way a program goes, it ends; and what it used is enough, and one less is not', async () => {
  const seen = { ended: 0, stopped: 0 }
  await fc.assert(
    fc.asyncProperty(statements, async (list) => {
      const compiled = await compile(instrument(program(list), ALLOW))
      const run = (limit: bigint) => {
        const instance = instantiate(compiled, {})
        instance.setFuel(limit)
        try {
          instance.call('f', 1)
        } catch (error) {
          if (error instanceof Trap && error.kind === 'out-of-fuel') return undefined
          throw error
        }
        return { used: limit - instance.fuel(), globals: instance.globals() }
      }
      const result = run(100_000n)
      if (result === undefined) {
        seen.stopped++
        return
      }
      seen.ended++
      expect(run(result.used)).toEqual(result)
      if (result.used > 0n) expect(run(result.used - 1n)).toBeUndefined()
    }),
    { numRuns: 1000 },
  )
  expect(seen.ended).toBeGreaterThan(100)
  expect(seen.stopped).toBeGreaterThan(10)
})

test('a body that would be too large once it is rewritten is refused', () => {
  const body = [0, ...repeat(950_000, 0x10, 0), 0x0b]
  const module = bytes(
    section(1, vector([0x60, 0, 0])),
    section(3, vector([0])),
    MEMORY_SECTION,
    Array.from(section(10, vector([...leb(body.length), ...body]))),
  )
  try {
    instrument(module, ALLOW)
    expect.unreachable()
  } catch (error) {
    expect(error).toBeInstanceOf(SandboxError)
    expect((error as SandboxError).feature).toBe('MAX_OUTPUT_BODY_BYTES')
  }
})
