import { describe, expect, test } from 'vitest'
import { Trap } from './errors.ts'
import type { Instance, Value } from './instance.ts'
import { refusal } from './testing/errors.ts'
import { run } from './testing/run.ts'

const LIMIT = 1_000_000n

function used(instance: Instance, name: string, ...args: readonly Value[]): bigint {
  instance.setFuel(LIMIT)
  instance.call(name, ...args)
  return LIMIT - instance.fuel()
}

function fault(act: () => unknown): Trap | undefined {
  try {
    act()
  } catch (error) {
    if (error instanceof Trap) return error
    throw error
  }
  return undefined
}

const COUNT = `(module (memory 1) (global $n (mut i32) (i32.const 0))
  (func (export "count") (param i32)
    (loop $next
      (global.set $n (i32.add (global.get $n) (i32.const 1)))
      (br_if $next (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
  (func $leaf (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3)))
  (func (export "calls") (param i32) (result i32) (i32.add (call $leaf (local.get 0)) (call $leaf (local.get 0))))
  (func (export "forever") (loop $l (br $l)))
  (func $down (export "down") (call $down))
  (func (export "pick") (param i32) (result i32)
    (if (result i32) (local.get 0) (then (call $leaf (i32.const 3))) (else (i32.const 1))))
  (func (export "divide") (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0)))
  (func (export "nothing")))`

describe('fuel', () => {
  test('is the same for the same path, and another for another', async () => {
    const instance = await run(COUNT)
    const ten = used(instance, 'count', 10)
    expect(used(instance, 'count', 10)).toBe(ten)
    const twenty = used(instance, 'count', 20)
    expect(used(instance, 'count', 30) - twenty).toBe(twenty - ten)
    expect(used(instance, 'pick', 1)).not.toBe(used(instance, 'pick', 0))
    expect(used(instance, 'calls', 1)).toBeGreaterThan(0n)
  })

  test('as much as is needed is enough, and one less is not', async () => {
    const instance = await run(COUNT)
    for (const [name, ...args] of [
      ['count', 50],
      ['calls', 3],
      ['pick', 0],
      ['pick', 1],
    ] as const) {
      const needed = used(instance, name, ...args)
      instance.setFuel(needed)
      instance.call(name, ...args)
      expect(instance.fuel()).toBe(0n)
      instance.setFuel(needed - 1n)
      expect(fault(() => instance.call(name, ...args))?.kind, name).toBe('out-of-fuel')
      expect(instance.fuel()).toBe(0n)
    }
  })

  test('ends what would not end', async () => {
    const instance = await run(COUNT)
    instance.setFuel(100_000n)
    const trap = fault(() => instance.call('forever'))
    expect(trap?.kind).toBe('out-of-fuel')
    expect(trap?.message).toBe('the program ran out of fuel')
    instance.setFuel(10n)
    expect(fault(() => instance.call('down'))?.kind).toBe('out-of-fuel')
  })

  test('is for all calls together', async () => {
    const instance = await run(COUNT)
    const one = used(instance, 'count', 5)
    instance.setFuel(3n * one)
    for (let left = 2n; left >= 0n; left--) {
      instance.call('count', 5)
      expect(instance.fuel()).toBe(left * one)
    }
    expect(fault(() => instance.call('count', 5))?.kind).toBe('out-of-fuel')
  })

  test('is not limited before it was set', async () => {
    const instance = await run(COUNT)
    instance.call('count', 1_000_000)
    expect(instance.fuel()).toBeGreaterThan(2n ** 62n)
  })

  test('who cannot pay for the way to a host function does not get there', async () => {
    const asked: number[] = []
    const instance = await run(
      `(module (import "env" "ask" (func $ask (param i32))) (memory 1)
        (func (export "go") (drop (f64.sqrt (f64.const 2))) (call $ask (i32.const 1)) (drop (f64.sqrt (f64.const 2))) (call $ask (i32.const 2))))`,
      { env: { ask: (n: number) => void asked.push(n) } },
    )
    const needed = used(instance, 'go')
    expect(asked.splice(0)).toEqual([1, 2])
    instance.setFuel(needed - 1n)
    expect(fault(() => instance.call('go'))?.kind).toBe('out-of-fuel')
    expect(asked).toEqual([1])
  })

  describe('that a host function charges', () => {
    const ASKS = `(module (import "env" "ask" (func $ask (param i32))) (memory 1)
      (table funcref (elem $ask)) (type $t (func (param i32)))
      (global $n (mut i32) (i32.const 0))
      (func (export "asked") (result i32) (global.get $n))
      (func (export "once") (param i32) (call $ask (local.get 0)))
      (func (export "indirect") (param i32) (call_indirect (type $t) (local.get 0) (i32.const 0)))
      (func (export "often") (param i32)
        (loop $next
          (call $ask (local.get 0))
          (global.set $n (i32.add (global.get $n) (i32.const 1)))
          (br_if $next (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))`
    const asking = async () => {
      const effects: number[] = []
      let per = 0
      const instance: Instance = await run(ASKS, {
        env: {
          ask: (n: number) => {
            instance.charge(per)
            effects.push(n)
          },
        },
      })
      return { instance, effects, charging: (amount: number) => (per = amount) }
    }

    test('is what the program has less, wherever it goes on', async () => {
      const { instance, charging } = await asking()
      for (const [name, n, calls] of [
        ['once', 1, 1n],
        ['indirect', 1, 1n],
        ['often', 7, 7n],
      ] as const) {
        charging(0)
        const own = used(instance, name, n)
        charging(1000)
        expect(used(instance, name, n), name).toBe(own + 1000n * calls)
      }
    })

    test('ends the call before it had an effect when there is less', async () => {
      const { instance, effects, charging } = await asking()
      charging(1000)
      for (const name of ['once', 'indirect', 'often']) {
        const needed = used(instance, name, 2)
        const done = effects.splice(0)
        instance.setFuel(needed)
        instance.call(name, 2)
        expect(instance.fuel()).toBe(0n)
        expect(effects.splice(0)).toEqual(done)
        instance.setFuel(needed - 500n)
        expect(fault(() => instance.call(name, 2))?.kind, name).toBe('out-of-fuel')
        expect(effects.splice(0), name).toEqual(done.slice(0, -1))
        expect(instance.fuel()).toBe(0n)
      }
    })

    test('has no end where none was set', async () => {
      const { instance, charging } = await asking()
      charging(Number.MAX_SAFE_INTEGER)
      instance.call('often', 100)
      expect(instance.fuel()).toBeGreaterThan(2n ** 62n)
    })

    test('what is no amount is refused', async () => {
      const { instance } = await asking()
      for (const amount of [-1, 0.5, Number.NaN, 2 ** 53]) expect(refusal(() => instance.charge(amount)).code).toBe('BAD_CALL')
    })
  })

  test('another fault is that fault', async () => {
    const instance = await run(COUNT)
    instance.setFuel(LIMIT)
    expect(fault(() => instance.call('divide', 0))?.kind).toBe('divide-by-zero')
  })

  test('is no part of the state', async () => {
    const instance = await run(COUNT)
    const before = instance.globals()
    instance.setFuel(77n)
    instance.call('nothing')
    expect(instance.globals()).toEqual(before)
  })

  test('what is no amount is refused', async () => {
    const instance = await run(COUNT)
    expect(refusal(() => instance.setFuel(-1n)).code).toBe('BAD_CALL')
    expect(refusal(() => instance.setFuel(2n ** 63n)).code).toBe('BAD_CALL')
    instance.setFuel(2n ** 63n - 1n)
  })
})
