import { encode } from '@ipld/dag-cbor'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Channel } from '../platform.ts'
import { systemClock } from '../worker/fixtures/clock.ts'
import { decodeSaid, encodeSaid, type Said } from './presence.ts'
import { fieldsOf, hear, hearAnswer, MAX_MESSAGE } from './wire.ts'

const violation = expect.objectContaining({ code: 'PROTOCOL_VIOLATION' })

const channelOf = (frame: Uint8Array | undefined): Channel => ({
  peer: 'peer',
  direct: true,
  send: async () => {},
  receive: async () => frame,
  close: async () => {},
  abort: () => {},
})

describe('a message from a peer', () => {
  it('is a map with a type, or a violation, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          expect(typeof fieldsOf('peer', bytes).type).toBe('string')
        } catch (error) {
          expect(error).toMatchObject({ code: 'PROTOCOL_VIOLATION' })
        }
      }),
    )
    for (const value of [null, 1, 'text', [], {}, { type: 1 }]) expect(() => fieldsOf('peer', encode(value))).toThrow(violation)
  })

  it('gives up a field only if it is of its type and within its limit', () => {
    const fields = fieldsOf(
      'peer',
      encode({
        type: 't',
        text: 'abc',
        bytes: new Uint8Array(3),
        count: 7,
        flag: true,
        list: [1, 2],
        big: 2n ** 60n,
        none: null,
      }),
    )
    expect(fields.text('text', 3)).toBe('abc')
    expect(fields.count('count', 7)).toBe(7)
    expect(fields.big('big')).toBe(2n ** 60n)
    expect(fields.big('count')).toBe(7n)
    expect(fields.has('none')).toBe(false)
    expect(fields.optionalText('none', 3)).toBeUndefined()
    const wrong: (() => unknown)[] = [
      () => fields.text('text', 2),
      () => fields.text('missing', 2),
      () => fields.bytes('bytes', 2),
      () => fields.bytes('bytes', 4, true),
      () => fields.count('count', 6),
      () => fields.count('text'),
      () => fields.flag('count'),
      () => fields.cid('bytes'),
      () => fields.list('list', 1, (item) => item),
      () => fields.list('list', 2, (_, fail) => fail('item')),
      () => fields.big('text'),
    ]
    for (const read of wrong) expect(read).toThrow(violation)
  })

  it('is refused when it is too large, and missed when it does not come', async () => {
    const clock = systemClock
    const large = channelOf(encode({ type: 't', pad: new Uint8Array(MAX_MESSAGE) }))
    await expect(hear(large, { clock })).rejects.toEqual(violation)
    await expect(hearAnswer(channelOf(undefined), { clock })).rejects.toMatchObject({ code: 'CHANNEL_FAILED' })
    const silent: Channel = {
      ...channelOf(undefined),
      receive: (signal) => new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason))),
    }
    await expect(hear(silent, { clock, ms: 20 })).rejects.toMatchObject({ code: 'PEER_UNREACHABLE' })
  })

  it('that says error is an error of a known code, and no other', async () => {
    const answer = (code: string) =>
      hearAnswer(channelOf(encode({ type: 'error', code, message: 'why' })), { clock: systemClock })
    await expect(answer('NOT_OWNER')).rejects.toMatchObject({ code: 'NOT_OWNER', message: 'why' })
    await expect(answer('constructor')).rejects.toMatchObject({ code: 'HOST_FAULT' })
  })
})

const said: Omit<Said, 'peer'> = {
  name: 'node',
  kind: 'server',
  price: 2n ** 40n,
  room: 3,
  addresses: ['/memory/x'],
  agents: [],
  leaving: false,
}
const agentAt = (n: number, state: 'active' | 'retired') => ({
  agent: `did:key:z6Mk${String(n).padStart(44, 'x')}`,
  // The longest name in the most bytes.
  name: '😀'.repeat(64),
  state,
  tick: 2 ** 40,
  epoch: 2 ** 33,
  seq: 2 ** 40,
  head: 'b'.repeat(59),
  public: true,
})

describe('presence', () => {
  it('is read as it was said', () => {
    const all = { ...said, agents: [agentAt(1, 'active'), agentAt(2, 'retired')] }
    expect(decodeSaid('peer', encodeSaid(all))).toEqual({ ...all, peer: 'peer' })
  })

  it('fits gossip however many agents there are, and names the living first', () => {
    const agents = [
      ...Array.from({ length: 300 }, (_, n) => agentAt(n, 'retired')),
      ...Array.from({ length: 120 }, (_, n) => agentAt(1000 + n, 'active')),
    ]
    const message = encodeSaid({ ...said, name: 'n'.repeat(500), addresses: Array(40).fill('/x'.repeat(250)), agents })
    expect(message.length).toBeLessThanOrEqual(64 * 1024)
    const heard = decodeSaid('peer', message)
    expect(heard.agents.length).toBeGreaterThan(60)
    expect(heard.agents.slice(0, 60).every(({ state }) => state === 'active')).toBe(true)
  })

  it('of a stranger is read with limits, or a violation, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
        expect(() => decodeSaid('peer', bytes)).toThrow(violation)
      }),
    )
    const bytes = encodeSaid({ ...said, agents: [agentAt(1, 'active')] })
    for (let at = 0; at < bytes.length; at++) {
      try {
        decodeSaid('peer', bytes.with(at, (bytes[at] ?? 0) ^ 0x21))
      } catch (error) {
        expect(error).toMatchObject({ code: 'PROTOCOL_VIOLATION' })
      }
    }
  })
})
