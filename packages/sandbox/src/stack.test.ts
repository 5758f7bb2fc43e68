import { describe, expect, test } from 'vitest'
import { Trap } from './errors.ts'
import type { Instance } from './instance.ts'
import { run } from './testing/run.ts'

/** How deep it recurses before it is stopped. */
function deepest(instance: Instance): number {
  let [good, bad] = [0, 1 << 16]
  while (bad - good > 1) {
    const depth = (good + bad) >> 1
    try {
      instance.call('down', depth)
      good = depth
    } catch (error) {
      if (!(error instanceof Trap) || error.kind !== 'stack-overflow') throw error
      bad = depth
    }
  }
  return good
}

const recursive = (locals: string, use: string) => `(module (memory 1)
  (func $down (export "down") (param i32) (result i32) ${locals}
    ${use}
    (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0))
      (else (i32.add (i32.const 1) (call $down (i32.sub (local.get 0) (i32.const 1))))))))`

const many = (count: number, type: string) => `(local ${Array.from({ length: count }, () => type).join(' ')})`

describe('the stack', () => {
  // The numbers hold in every engine: they follow from the module alone.
  test.each([
    ['small frames', recursive('', ''), 4467],
    ['large frames', recursive(many(1000, 'i64'), ''), 47],
    ['vectors', recursive(many(100, 'v128'), ''), 226],
  ])('ends at the same depth everywhere: %s', async (_, source, depth) => {
    expect(deepest(await run(source))).toBe(depth)
  })

  test('is given back on every way out', async () => {
    const instance = await run(
      `(module (memory 1)
      (type $pair (func (result i32 i32)))
      (func $nothing (drop (call $down (i32.const 0))))
      (func $down (export "down") (param i32) (result i32)
        (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0))
          (else (i32.add (i32.const 1) (call $down (i32.sub (local.get 0) (i32.const 1)))))))
      (func $early (param i32) (result i32 i32)
        (br_if 0 (i32.const 1) (i32.const 2) (local.get 0)) (drop) (drop)
        (if (i32.eq (local.get 0) (i32.const 0)) (then (call $nothing) (return (i32.const 3) (i32.const 4))))
        unreachable)
      (func (export "ways") (param i32) (result i32) (local i32)
        (loop
          (drop (drop (call $early (i32.and (local.get 0) (i32.const 1)))))
          (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
        (local.get 1)))`,
    )
    const before = deepest(instance)
    instance.call('ways', 100_000)
    expect(deepest(instance)).toBe(before)
  })

  test('is whole again after a trap', async () => {
    const instance = await run(recursive('', ''))
    const before = deepest(instance)
    for (let i = 0; i < 10; i++) expect(() => instance.call('down', 1 << 20)).toThrow('recursed too deeply')
    expect(deepest(instance)).toBe(before)
  })

  test('a host function that calls back has what is left', async () => {
    const results: unknown[] = []
    let instance: Instance
    const call = (depth: number) => {
      try {
        results.push(instance.call('down', depth))
      } catch (error) {
        results.push((error as Trap).kind)
      }
    }
    instance = await run(
      `(module (import "env" "call" (func $call (param i32))) (memory 1)
      (func $down (export "down") (param i32) (result i32)
        (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0))
          (else (i32.add (i32.const 1) (call $down (i32.sub (local.get 0) (i32.const 1)))))))
      (func $at (export "at") (param i32 i32)
        (if (i32.eqz (local.get 0)) (then (call $call (local.get 1)))
          (else (call $at (i32.sub (local.get 0) (i32.const 1)) (local.get 1))))))`,
      { env: { call } },
    )
    instance.call('at', 2000, 2000)
    instance.call('at', 2000, 4000)
    expect(results).toEqual([2000, 'stack-overflow'])
  })
})
