import { describe, expect, it } from 'vitest'
import { createLogOrder } from './log-order.ts'

const line = (time: number, tick: number) => ({ time, tick })

describe('the order of a log', () => {
  it('tells what an attachment repeats once', () => {
    const order = createLogOrder()
    const lines = [line(1, 1), line(2, 2), line(2, 2), line(2, 3)]
    expect(lines.map(order.attach())).toEqual([true, true, true, true])
    expect([...lines, line(3, 4)].map(order.attach())).toEqual([false, false, false, false, true])
  })

  it('tells the rest of a tick that it was told in part', () => {
    const order = createLogOrder()
    expect(order.attach()(line(5, 7))).toBe(true)
    expect([line(4, 6), line(5, 7), line(5, 7)].map(order.attach())).toEqual([false, false, true])
  })

  it('tells a tick that runs again later, after a recovery from an older copy', () => {
    const order = createLogOrder()
    expect(order.attach()(line(5, 7))).toBe(true)
    expect(order.attach()(line(9, 6))).toBe(true)
  })

  it('is not confused by an attachment that still ends while the next begins', () => {
    const order = createLogOrder()
    const [old, next] = [order.attach(), order.attach()]
    expect([old(line(1, 1)), next(line(1, 1)), old(line(2, 2)), next(line(2, 2)), next(line(3, 3))]).toEqual([
      true,
      false,
      true,
      false,
      true,
    ])
  })
})
