import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { endLease, granted, type Leasing, leftOf, look, noLease, type Reading, renewalIn } from './lease.ts'

const id = new Uint8Array(16)
const at = (elapsed: number, wall = elapsed): Reading => ({ elapsed, wall: 1_000_000 + wall })
const leased = (asked: Reading, now = asked, ms = 15_000): Leasing => granted(noLease(at(0)), { id, ms, asked }, now)

describe('a lease', () => {
  it('is counted from before it was asked for', () => {
    const state = leased(at(100), at(5100))
    expect(leftOf(state, at(5100))).toBe(10_000)
    expect(leftOf(state, at(15_099))).toBe(1)
    expect(leftOf(state, at(15_100))).toBe(0)
    // An answer that comes when all of it has passed grants nothing.
    expect(leftOf(leased(at(100), at(15_100)), at(15_100))).toBe(0)
  })

  it('is to be renewed at a third, and at once where there is none', () => {
    expect(renewalIn(leased(at(0)), at(1000))).toBe(4000)
    expect(renewalIn(leased(at(0)), at(6000))).toBe(0)
    expect(renewalIn(noLease(at(0)), at(0))).toBe(0)
  })

  it('passes by the clock that says more', () => {
    expect(leftOf(leased(at(0)), at(3000, 4500))).toBe(10_500)
    expect(leftOf(leased(at(0)), at(4500, 3000))).toBe(10_500)
  })

  it('has ended when the wall clock went back, or the two differ by more than two seconds, until it is renewed', () => {
    for (const now of [at(3000, -1), at(3000, 5001), at(5001, 3000)]) {
      const state = look(leased(at(0)), now)
      expect(leftOf(state, now)).toBe(0)
      // An answer to an older question says nothing of now.
      expect(leftOf(granted(state, { id, ms: 15_000, asked: at(2000) }, now), now)).toBe(0)
      expect(leftOf(granted(state, { id, ms: 15_000, asked: now }, now), now)).toBe(15_000)
    }
    // Forth and back again between two looks is seen too.
    const jumped = look(look(leased(at(0)), at(1000, 2900)), at(1100, 1200))
    expect(leftOf(jumped, at(1100, 1200))).toBe(0)
  })

  it('that slept is gone: the monotonic clock may have stood still, the wall clock has not', () => {
    expect(leftOf(leased(at(0)), at(10, 3_600_000))).toBe(0)
  })

  it('that was ended is not brought back by a late answer', () => {
    const ended = endLease(leased(at(0)), at(3000))
    expect(leftOf(granted(ended, { id, ms: 15_000, asked: at(2000) }, at(4000)), at(4000))).toBe(0)
  })

  it('never outlasts what was granted, whatever clocks and answers do', () => {
    const steps = fc.array(
      fc.record({ elapsed: fc.nat(4000), wall: fc.integer({ min: -3000, max: 8000 }), asks: fc.boolean(), late: fc.nat(3000) }),
      { maxLength: 30 },
    )
    fc.assert(
      fc.property(steps, (walk) => {
        let now = at(0)
        let state = noLease(now)
        let until = Number.NEGATIVE_INFINITY
        for (const { elapsed, wall, asks, late } of walk) {
          now = { elapsed: now.elapsed + elapsed, wall: now.wall + wall }
          const asked = { elapsed: now.elapsed - late, wall: now.wall - late }
          state = asks ? granted(state, { id, ms: 5000, asked }, now) : look(state, now)
          if (asks) until = Math.max(until, asked.elapsed + 5000)
          const left = leftOf(state, now)
          expect(left).toBeGreaterThanOrEqual(0)
          expect(left).toBeLessThanOrEqual(Math.max(0, until - now.elapsed))
        }
      }),
    )
  })
})
