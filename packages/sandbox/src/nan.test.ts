import { describe, expect, test } from 'vitest'
import { run } from './testing/run.ts'

const F32 = '0000c07f'
const F64 = '000000000000f87f'

async function bitsAfter(code: string, length: number, more = ''): Promise<string> {
  const instance = await run(`(module (memory 1) ${more}
    (data (i32.const 512) "\\01\\00\\00\\00\\00\\00\\f4\\ff") (data (i32.const 520) "\\01\\00\\a0\\ff")
    (func (export "go") (param $x f64) (param $y f32) ${code}))`)
  let last = ''
  // Often enough for the engine to compile it anew.
  for (let i = 0; i < 2000; i++) {
    instance.call('go', i % 2 === 0 ? Number.NaN : Number.POSITIVE_INFINITY, Number.NaN)
    const bits = Array.from(instance.memory().subarray(0, length), (byte) => byte.toString(16).padStart(2, '0')).join('')
    if (i > 0) expect(bits).toBe(last)
    last = bits
  }
  return last
}

const NEGATIVE = '(f64.neg (f64.sub (f64.const inf) (f64.const inf)))'
const ODD64 = '(f64.load (i32.const 512))'
const ODD32 = '(f32.load (i32.const 520))'

describe('NaNs that arithmetic makes have the canonical bits', () => {
  test.each([
    ['0/0', '(f64.div (f64.const 0) (f64.const 0))'],
    ['-0/0', '(f64.div (f64.const -0) (f64.const 0))'],
    ['inf - inf', '(f64.sub (f64.const inf) (f64.const inf))'],
    ['sqrt(-1)', '(f64.sqrt (f64.const -1))'],
    ['of a NaN with other bits', `(f64.add ${ODD64} (f64.const 1))`],
    ['and of two', `(f64.mul ${ODD64} ${NEGATIVE})`],
    ['min', `(f64.min ${ODD64} (f64.const 1))`],
    ['ceil', `(f64.ceil ${ODD64})`],
    ['nearest', `(f64.nearest ${ODD64})`],
    ['promote', `(f64.promote_f32 ${ODD32})`],
    ['a chain of them', `(f64.sqrt (f64.add (f64.mul ${ODD64} (f64.const 2)) (f64.const 1)))`],
    ['of what the host handed over', '(f64.add (local.get $x) (f64.sub (local.get $x) (local.get $x)))'],
  ])('f64, %s', async (_, code) => {
    expect(await bitsAfter(`(f64.store (i32.const 0) ${code})`, 8)).toBe(F64)
    expect(await bitsAfter(`(i64.store (i32.const 0) (i64.reinterpret_f64 ${code}))`, 8)).toBe(F64)
  })

  test.each([
    ['0/0', '(f32.div (f32.const 0) (f32.const 0))'],
    ['sqrt(-1)', '(f32.sqrt (f32.const -1))'],
    ['of a NaN with other bits', `(f32.add ${ODD32} (f32.const 1))`],
    ['max', `(f32.max ${ODD32} (f32.const 1))`],
    ['trunc', `(f32.trunc ${ODD32})`],
    ['demote', `(f32.demote_f64 ${ODD64})`],
  ])('f32, %s', async (_, code) => {
    expect(await bitsAfter(`(f32.store (i32.const 0) ${code})`, 4)).toBe(F32)
    expect(await bitsAfter(`(i32.store (i32.const 0) (i32.reinterpret_f32 ${code}))`, 4)).toBe(F32)
  })

  const made = `(f64.sub ${ODD64} (f64.const 1))`
  test.each([
    ['in a local', `(local $a f64) (local.set $a ${made}) (f64.store (i32.const 0) (local.get $a))`],
    ['teed', `(local $a f64) (f64.store (i32.const 0) (local.tee $a ${made}))`],
    [
      'copied from local to local',
      `(local $a f64) (local $b f64) (local.set $a ${made}) (local.set $b (local.get $a)) (f64.store (i32.const 0) (local.get $b))`,
    ],
    [
      'in a local that also held other bits',
      `(local $a f64) (local.set $a ${ODD64}) (drop (f64.neg (local.get $a))) (local.set $a ${made}) (f64.store (i32.const 0) (local.get $a))`,
    ],
    ['in a parameter', `(local.set $x ${made}) (f64.store (i32.const 0) (local.get $x))`],
    ['through a block', `(f64.store (i32.const 0) (block (result f64) ${made}))`],
    ['through a branch', `(f64.store (i32.const 0) (block (result f64) (br 0 ${made})))`],
    ['through br_if', `(f64.store (i32.const 0) (block (result f64) (br_if 0 ${made} (i32.const 1)) (drop) (f64.const 1)))`],
    ['through br_table', `(f64.store (i32.const 0) (block $b (result f64) (br_table $b $b ${made} (i32.const 7))))`],
    ['through an if', `(f64.store (i32.const 0) (if (result f64) (i32.const 1) (then ${made}) (else (f64.const 2))))`],
    ['through an else', `(f64.store (i32.const 0) (if (result f64) (i32.const 0) (then (f64.const 2)) (else ${made})))`],
    ['through select', `(f64.store (i32.const 0) (select ${made} (f64.const 1) (i32.const 1)))`],
    ['the other of select', `(f64.store (i32.const 0) (select (f64.const 1) ${made} (i32.const 0)))`],
    [
      'under code that cannot be reached',
      `(f64.store (i32.const 0) (f64.add (f64.const 0) ${made}) (block (br 0) (drop) (drop)))`,
    ],
    ['through a global', `(global.set $g ${made}) (f64.store (i32.const 0) (global.get $g))`],
    ['as an argument', `(call $f (i32.const 0) ${made})`],
    ['as a result', '(f64.store (i32.const 0) (call $r))'],
  ])('%s', async (_, code) => {
    const more = `(global $g (mut f64) (f64.const 0)) (func $f (param i32 f64) (f64.store (local.get 0) (local.get 1)))
      (func $r (result f64) (return ${made}))`
    expect(await bitsAfter(code, 8, more)).toBe(F64)
  })

  test('the sign that copysign takes', async () => {
    const code = `(f64.store (i32.const 0) (f64.copysign (f64.const 1) (f64.sqrt ${NEGATIVE})))`
    expect(await bitsAfter(code, 8)).toBe('000000000000f03f')
  })

  test('in a loop that sums up', async () => {
    const code = `(local $i i32) (local $sum f64)
      (loop (local.set $sum (f64.add (local.get $sum) (f64.mul (local.get $x) (f64.const 0))))
        (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 5))))
      (f64.store (i32.const 0) (local.get $sum))`
    expect(await bitsAfter(code, 8)).toBe(F64)
  })

  test('in lanes', async () => {
    const lanes = '(v128.const f32x4 0 1 -0 inf)'
    const divided = `(f32x4.div ${lanes} ${lanes})`
    expect(await bitsAfter(`(v128.store (i32.const 0) ${divided})`, 16)).toBe(`${F32}0000803f${F32}${F32}`)
    expect(await bitsAfter(`(v128.store (i32.const 0) (v128.not (v128.not (f32x4.add ${divided} ${lanes}))))`, 16)).toBe(
      `${F32}00000040${F32}${F32}`,
    )
    const wide = '(f64x2.sqrt (v128.const f64x2 -1 4))'
    expect(await bitsAfter(`(v128.store (i32.const 0) (f64x2.mul ${wide} ${wide}))`, 16)).toBe(`${F64}0000000000001040`)
    expect(await bitsAfter(`(v128.store (i32.const 0) (f32x4.demote_f64x2_zero ${wide}))`, 16)).toBe(
      `${F32}00000040${'00'.repeat(8)}`,
    )
    // A NaN of four lanes is a number of two.
    const mixed = `(f64x2.abs ${divided})`
    expect(await bitsAfter(`(v128.store (i32.const 0) ${mixed})`, 16)).toBe(`${F32}0000803f${F32}${F32}`)
    expect(await bitsAfter(`(v128.store (i32.const 0) (f64x2.splat (f64.sub ${ODD64} (f64.const 0))))`, 16)).toBe(F64 + F64)
  })
})

describe('bits that are not arithmetic’s stay as they are', () => {
  const odd = '010000000000f4ff'
  test.each([
    ['loaded and stored', `(f64.store (i32.const 0) ${ODD64})`, odd],
    ['kept in a local', `(local $a f64) (local.set $a ${ODD64}) (f64.store (i32.const 0) (local.get $a))`, odd],
    [
      'kept in a local that arithmetic uses, too',
      `(local $a f64) (local.set $a (f64.add (f64.const 1) (f64.const 2))) (drop (local.get $a)) (local.set $a ${ODD64}) (f64.store (i32.const 0) (local.get $a))`,
      odd,
    ],
    ['negated', `(f64.store (i32.const 0) (f64.neg ${ODD64}))`, '010000000000f47f'],
    ['abs', `(f64.store (i32.const 0) (f64.abs ${ODD64}))`, '010000000000f47f'],
    ['given a sign', `(f64.store (i32.const 0) (f64.copysign ${ODD64} (f64.const 1)))`, '010000000000f47f'],
    ['selected', `(f64.store (i32.const 0) (select ${ODD64} (f64.sqrt (f64.const -1)) (i32.const 1)))`, odd],
    [
      'a constant',
      '(local $a f64) (local.set $a (f64.const nan:0x123)) (f64.store (i32.const 0) (local.get $a))',
      '230100000000f07f',
    ],
    ['lanes', '(v128.store (i32.const 0) (f64x2.pmin (v128.load (i32.const 512)) (v128.const f64x2 1 1)))', odd],
  ])('%s', async (_, code, bits) => {
    expect(await bitsAfter(code, 8)).toBe(bits)
  })
})
