import fc from 'fast-check'
import { expect, it } from 'vitest'
import { lastsMs, money, parseMoney } from './money.ts'

it('reads what it writes', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 1n, max: 10n ** 15n }), (value) => {
      expect(parseMoney(money(value).replaceAll(',', ''))).toBe(value)
    }),
  )
})

it.each(['', '0', '-1', '1e3', '1.2345678', 'much', '0.0'])('takes no %j', (text) => expect(parseMoney(text)).toBeUndefined())

it('lasts as long as it pays for, for ever where nothing is asked', () => {
  expect(lastsMs(3_000_000n, 500_000n)).toBe(6000)
  expect(lastsMs(0n, 0n)).toBeUndefined()
})
