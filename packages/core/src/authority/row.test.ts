import { rawCid } from '@igor/lineage'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type ActiveOwner,
  decodeRow,
  depart,
  doubt,
  encodeRow,
  extend,
  giveUp,
  handOff,
  type Row,
  type Slot,
  take,
  takeBack,
  takeOver,
} from './row.ts'

const id = rawCid(new Uint8Array(1))
const slot = (epoch: number, seq: number): Slot => ({ epoch, seq, id })
const slots = fc.record({ epoch: fc.nat(5), seq: fc.nat(20) }).map(({ epoch, seq }) => slot(epoch, seq))
const born = (): ActiveOwner => take(undefined, slot(1, 1))

describe('an authority row', () => {
  it('never writes a slot twice, nor one below', () => {
    fc.assert(
      fc.property(slots, slots, (first, second) => {
        const row = take(undefined, first)
        const higher = second.epoch > first.epoch || (second.epoch === first.epoch && second.seq > first.seq)
        const pending = handOff(born(), slot(9, 9))
        for (const step of [() => extend(row, second), () => handOff(row, second), () => giveUp(row, second)]) {
          if (higher) expect(step().slot).toEqual(second)
          else expect(step).toThrow(expect.objectContaining({ code: 'FORBIDDEN_TRANSITION' }))
        }
        // It comes back in a later epoch: in one where it wrote already, that was on another branch.
        for (const step of [() => take(depart(row), second), () => take(doubt(row, ''), second)]) {
          if (second.epoch > first.epoch) expect(step().slot).toEqual(second)
          else expect(step).toThrow(expect.objectContaining({ code: 'FORBIDDEN_TRANSITION' }))
        }
        expect(() => takeBack(pending, first)).toThrow(expect.objectContaining({ code: 'FORBIDDEN_TRANSITION' }))
        expect(() => takeOver(pending, first)).toThrow(expect.objectContaining({ code: 'FORBIDDEN_TRANSITION' }))
      }),
    )
  })

  it('remembers its highest slot when it stands still or leaves', () => {
    const row = extend(born(), slot(1, 7))
    expect(depart(row).slot).toEqual(slot(1, 7))
    expect(doubt(row, 'why').slot).toEqual(slot(1, 7))
    expect(depart(handOff(row, slot(1, 8))).slot).toEqual(slot(1, 8))
  })

  it('is read as it was written, and anything else is damage', () => {
    const row = born()
    const rows: Row[] = [row, handOff(row, slot(1, 2)), depart(row), doubt(row, 'two histories'), giveUp(row, slot(1, 2))]
    for (const one of rows) expect(decodeRow(encodeRow(one))).toEqual(one)
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        expect(() => decodeRow(bytes)).toThrow(expect.objectContaining({ code: 'STORE_DAMAGED' }))
      }),
    )
  })

  it('with a flipped byte is damage or another row, never another kind of error', () => {
    const bytes = encodeRow(doubt(born(), 'why'))
    for (const at of bytes.keys()) {
      try {
        expect(['active-owner', 'handoff-pending', 'retired', 'recovery-required']).toContain(
          decodeRow(bytes.with(at, (bytes[at] ?? 0) ^ 1)).state,
        )
      } catch (error) {
        expect(error).toMatchObject({ code: 'STORE_DAMAGED' })
      }
    }
  })
})
