import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LineageError } from './errors.ts'
import {
  billedFuel,
  decodeEntries,
  decodeSegment,
  encodeEntry,
  encodeSegment,
  type Header,
  headerAfter,
  type JournalEntry,
  MAX_JOURNAL_MESSAGE,
  RECEIPT_BYTES,
} from './journal.ts'

const header: Header = {
  tick: 7,
  attempt: 0,
  epoch: 1,
  time: 1_700_000_000_000_000_000n,
  limit: 100_000_000n,
  price: 5n,
  balance: 1000n,
  receipts: [],
}

const join = (parts: readonly Uint8Array[]): Uint8Array => Uint8Array.from(parts.flatMap((part) => [...part]))

const encodeAll = (entries: readonly JournalEntry[]): Uint8Array => {
  let before: Header | undefined
  return join(
    entries.map((entry) => {
      const encoded = encodeEntry(entry, before)
      before = headerAfter(entry, before)
      return encoded
    }),
  )
}

const int64 = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n })
const headers: fc.Arbitrary<Header> = fc.record({
  tick: fc.nat(),
  attempt: fc.nat(5),
  epoch: fc.constantFrom(1, 2, 2 ** 32 + 1),
  time: int64,
  limit: fc.constantFrom(1n, 100_000_000n),
  price: fc.constantFrom(0n, 5n),
  balance: fc.oneof(fc.constant(0n), int64),
  receipts: fc.array(fc.uint8Array({ minLength: RECEIPT_BYTES, maxLength: RECEIPT_BYTES }), { maxLength: 2 }),
})
const failed = fc.option(fc.constantFrom('ran out of fuel', 'wésentlich'), { nil: null })
const entries: fc.Arbitrary<JournalEntry> = fc.oneof(
  fc.record({
    kind: fc.constant('message' as const),
    id: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    message: fc.uint8Array({ maxLength: 40 }),
  }),
  fc.record({
    kind: fc.constant('run' as const),
    header: headers,
    ticks: fc.integer({ min: 1, max: 65_536 }),
    fuel: int64,
    taken: fc.nat(64),
    failed,
  }),
  fc.record({ kind: fc.constant('start' as const), header: headers, fuel: int64 }),
  fc.record({ kind: fc.constant('upgrade' as const), header: headers, fuel: int64, failed }),
)

describe('a segment of the journal', () => {
  it('gives back what was written', () => {
    fc.assert(
      fc.property(fc.array(entries, { minLength: 1, maxLength: 12 }), (list) => {
        const block = encodeSegment(encodeAll(list))
        expect(decodeSegment(block.bytes)).toEqual(list)
      }),
    )
  })

  it('leaves out what the header before says: a tick of a plain agent takes few bytes', () => {
    const first: JournalEntry = { kind: 'run', header, ticks: 1, fuel: 1234n, taken: 0, failed: null }
    const next: JournalEntry = { ...first, header: { ...header, tick: 8, time: header.time + 1_000_000_000n } }
    expect(encodeEntry(next, headerAfter(first, undefined)).length).toBeLessThanOrEqual(25)
    const still: JournalEntry = { ...first, header: { ...header, tick: 8 } }
    expect(encodeEntry(still, headerAfter(first, undefined)).length).toBeLessThanOrEqual(10)
  })

  it('counts attempts: those in a row at one tick, from none after one that completed', () => {
    const run: JournalEntry = { kind: 'run', header, ticks: 2, fuel: 1n, taken: 0, failed: 'it trapped' }
    const first = headerAfter(run, undefined)
    expect(first).toMatchObject({ tick: 9, attempt: 1 })
    const again: JournalEntry = { kind: 'run', header: first as Header, ticks: 0, fuel: 0n, taken: 0, failed: 'it trapped' }
    expect(headerAfter(again, first)).toMatchObject({ tick: 9, attempt: 2 })
    expect(headerAfter({ ...again, ticks: 1, failed: null }, first)).toMatchObject({ tick: 10, attempt: 0 })
  })

  it('bills what completed, and the limit of an attempt that failed', () => {
    const run: JournalEntry = { kind: 'run', header, ticks: 2, fuel: 30n, taken: 0, failed: null }
    expect(billedFuel(run)).toBe(30n)
    expect(billedFuel({ ...run, failed: 'x' })).toBe(30n + header.limit)
    expect(billedFuel({ kind: 'upgrade', header, fuel: 9n, failed: 'x' })).toBe(header.limit)
    expect(billedFuel({ kind: 'message', id: new Uint8Array(16), message: new Uint8Array() })).toBe(0n)
  })

  it('is refused where a field is missing, repeated, out of range, or nothing happened', () => {
    const run: JournalEntry = { kind: 'run', header, ticks: 1, fuel: 1n, taken: 0, failed: null }
    expect(() => encodeEntry({ ...run, ticks: 0 }, undefined)).toThrow(/nothing happened/)
    expect(() => encodeEntry({ ...run, fuel: -1n }, undefined)).toThrow(LineageError)
    expect(() => encodeEntry({ kind: 'message', id: new Uint8Array(3), message: new Uint8Array() }, undefined)).toThrow(
      LineageError,
    )
    const long = new Uint8Array(MAX_JOURNAL_MESSAGE + 1)
    expect(() => encodeEntry({ kind: 'message', id: new Uint8Array(16), message: long }, undefined)).toThrow(LineageError)
    // The second one alone: its header rests on one that is not there.
    const second = encodeEntry({ ...run, header: { ...header, tick: 8 } }, headerAfter(run, undefined))
    expect(() => decodeEntries(second)).toThrow(/not known yet/)
    const twice = encodeEntry(run, undefined)
    expect(() => decodeEntries(join([encodeAll([{ ...run, header: { ...header, tick: 6 } }]), twice]))).toThrow(/repeats/)
  })

  it('with bytes changed, cut or added is refused, or is another whole segment', () => {
    const change = fc.record({ at: fc.nat(), to: fc.nat(255), how: fc.constantFrom('set', 'cut', 'add', 'swap') })
    fc.assert(
      fc.property(
        fc.array(entries, { minLength: 1, maxLength: 6 }),
        fc.array(change, { minLength: 1, maxLength: 4 }),
        (list, changes) => {
          let bytes = [...encodeSegment(encodeAll(list)).bytes]
          for (const { at, to, how } of changes) {
            const i = at % bytes.length
            if (how === 'set') bytes[i] = to
            else if (how === 'cut') bytes = bytes.slice(0, Math.max(1, i))
            else if (how === 'add') bytes.splice(i, 0, to)
            else bytes[i] = (bytes[i] ?? 0) ^ (1 << (to % 8))
          }
          const mutated = Uint8Array.from(bytes)
          let read: JournalEntry[]
          try {
            read = decodeSegment(mutated)
          } catch (error) {
            expect(error).toBeInstanceOf(LineageError)
            return
          }
          expect(encodeSegment(encodeAll(read)).bytes).toEqual(mutated)
        },
      ),
      { numRuns: 10_000 },
    )
  })
})
