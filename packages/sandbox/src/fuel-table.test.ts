import { describe, expect, test } from 'vitest'
import { run } from './testing/run.ts'

/** A function `(i32) -> i32`, and what it uses with each argument. The same numbers hold in every engine. */
type Row = readonly [what: string, code: string, ...used: (readonly [argument: number, fuel: number])[]]
const TABLE: readonly Row[] = [
  ['nothing to speak of', '(local.get 0)', [0, 0]],
  ['one instruction', '(i32.add (local.get 0) (i32.const 1))', [0, 1], [9, 1]],
  ['a division', '(i32.div_u (i32.const 9) (local.get 0))', [3, 12]],
  ['a short way past little', '(if (local.get 0) (then (local.set 0 (i32.const 4)))) (local.get 0)', [0, 3], [1, 3]],
  ['past much', '(if (local.get 0) (then (drop (f64.sqrt (f64.const 2))))) (local.get 0)', [0, 2], [1, 22]],
  [
    'a loop with its test at the end',
    '(loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (local.get 0)',
    [1, 4],
    [2, 8],
    [10, 40],
  ],
  [
    'a loop with its test at the head',
    `(block (loop (br_if 1 (i32.eqz (local.get 0))) (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br 0))) (local.get 0)`,
    [0, 3],
    [1, 9],
    [2, 15],
    [10, 63],
  ],
  [
    'a loop that goes round in the middle, too',
    `(loop (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
      (br_if 0 (i32.and (local.get 0) (i32.const 1)))
      (drop (f64.sqrt (f64.const 2)))
      (br_if 0 (local.get 0))) (local.get 0)`,
    [1, 27],
    [2, 32],
    [3, 59],
  ],
  [
    'a machine that goes by a table',
    `(block $out (loop $next
      (block $one (block $two (br_table $one $two $out (i32.and (local.tee 0 (i32.sub (local.get 0) (i32.const 1))) (i32.const 3))))
        (br $next))
      (br $next))) (local.get 0)`,
    [1, 19],
    [2, 29],
    [8, 9],
  ],
  [
    'a fill by its length',
    '(memory.fill (i32.const 0) (i32.const 1) (local.get 0)) (i32.const 0)',
    [0, 10],
    [4, 11],
    [4096, 1034],
  ],
  ['growth by its pages', '(memory.grow (local.get 0))', [0, 250], [2, 33_018], [5000, 250]],
  ['a call', '(call $callee (local.get 0))', [1, 7]],
]

describe('fuel, to the unit', () => {
  test.each(TABLE.map(([what, code, ...used]) => ({ what, code, used })))('$what', async ({ code, used }) => {
    const source = `(module (memory 1 100) (func $callee (param i32) (result i32) (i32.eqz (local.get 0))) (func (export "f") (param i32) (result i32) ${code}))`
    const found: (readonly [number, number])[] = []
    for (const [argument] of used) {
      const instance = await run(source)
      instance.setFuel(1_000_000n)
      instance.call('f', argument)
      found.push([argument, Number(1_000_000n - instance.fuel())])
    }
    expect(found).toEqual(used)
  })
})
