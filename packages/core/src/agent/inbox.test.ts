import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeHostPart,
  emptyHostPart,
  encodeHostPart,
  type HostPart,
  ID_BYTES,
  MAX_INBOX,
  MAX_INBOX_BYTES,
  MAX_MESSAGE_BYTES,
  MAX_SEEN,
} from './host-part.ts'
import { deliver, hasSeen } from './inbox.ts'

const idOf = (n: number): Uint8Array => {
  const id = new Uint8Array(ID_BYTES)
  new DataView(id.buffer).setUint32(0, n)
  return id
}
const ids = fc.nat(40).map(idOf)
const steps = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ id: ids, message: fc.uint8Array({ maxLength: 40 }) }) },
    { weight: 1, arbitrary: fc.record({ take: fc.nat(3) }) },
  ),
  { maxLength: 120 },
)

describe('an inbox', () => {
  it('lets each id in once, in order, and stays within its bounds', () => {
    fc.assert(
      fc.property(steps, (given) => {
        let box: HostPart = emptyHostPart
        const admitted = new Set<string>()
        const waiting: Uint8Array[] = []
        for (const step of given) {
          if ('take' in step) {
            waiting.splice(0, step.take)
            box = { ...box, inbox: box.inbox.slice(step.take) }
            continue
          }
          const known = admitted.has(String(step.id))
          expect(hasSeen(box, step.id)).toBe(known)
          try {
            box = deliver(box, step.id, step.message)
            if (!known) waiting.push(step.message)
            admitted.add(String(step.id))
          } catch (error) {
            expect(error).toMatchObject({ code: 'QUOTA' })
            expect(box.inbox).toHaveLength(MAX_INBOX)
          }
          expect(box.inbox).toEqual(waiting)
        }
        expect(decodeHostPart(encodeHostPart(box))).toEqual(box)
      }),
    )
  })

  it('remembers the latest ids, and forgets the oldest', () => {
    let box: HostPart = emptyHostPart
    for (let n = 0; n < MAX_SEEN + 10; n++) box = { ...deliver(box, idOf(n), new Uint8Array()), inbox: [] }
    expect(box.seen).toHaveLength(MAX_SEEN * ID_BYTES)
    expect(hasSeen(box, idOf(9))).toBe(false)
    expect(hasSeen(box, idOf(10))).toBe(true)
  })

  it('refuses what is too large or too much, and changes nothing', () => {
    const large = new Uint8Array(MAX_MESSAGE_BYTES)
    expect(() => deliver(emptyHostPart, idOf(1), new Uint8Array(MAX_MESSAGE_BYTES + 1))).toThrow(
      expect.objectContaining({ code: 'BAD_MESSAGE' }),
    )
    expect(() => deliver(emptyHostPart, new Uint8Array(ID_BYTES - 1), large)).toThrow(
      expect.objectContaining({ code: 'BAD_MESSAGE' }),
    )
    let box: HostPart = emptyHostPart
    for (let n = 0; n < MAX_INBOX_BYTES / MAX_MESSAGE_BYTES; n++) box = deliver(box, idOf(n), large)
    expect(() => deliver(box, idOf(99), new Uint8Array(1))).toThrow(expect.objectContaining({ code: 'QUOTA' }))
    // What was let in is no more to be let in, however full it is.
    expect(deliver(box, idOf(0), large)).toBe(box)
  })

  it("is part of a state that other nodes read: what is no host's part is refused", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        expect(() => decodeHostPart(bytes)).toThrow(expect.objectContaining({ code: 'BAD_FILE' }))
      }),
    )
    const bad: object[] = [
      { tick: -1 },
      { time: -1n },
      { time: 1.5 },
      { paused: 1 },
      { inbox: [new Uint8Array(MAX_MESSAGE_BYTES + 1)] },
      { inbox: Array.from({ length: MAX_INBOX + 1 }, () => new Uint8Array()) },
      { seen: new Uint8Array(ID_BYTES + 1) },
      { kv: [[new Uint8Array()]] },
      { lastOrder: 0.5 },
    ]
    for (const more of bad) {
      const bytes = encodeHostPart({ ...emptyHostPart, ...more } as HostPart)
      expect(() => decodeHostPart(bytes), JSON.stringify(Object.keys(more))).toThrow(
        expect.objectContaining({ code: 'BAD_FILE' }),
      )
    }
  })
})
