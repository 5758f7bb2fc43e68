import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { milliseconds, money, parseMoney, short, size, span } from './format.ts'
import { safe, table, toJson } from './output.ts'
import { formatSeeds, parseSeeds } from './seeds.ts'
import { nodePorts, parseIceServer, parsePort } from './up/options.ts'

describe('numbers for people', () => {
  it('reads the amounts that it writes', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 10n ** 18n - 1n), (amount) => {
        expect(parseMoney(money(amount))).toBe(amount)
      }),
    )
  })

  it.each(['', '-1', '1.', '.5', '1.1234567', '1e3', '1,5', '9999999999999'])('takes %j for no amount', (text) => {
    expect(parseMoney(text)).toBeUndefined()
  })

  it('shortens ids by their middle', () => {
    expect(short('did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK')).toBe('z6Mkha…ta2doK')
    expect(short('short')).toBe('short')
  })

  it('says spans, sizes and milliseconds shortly', () => {
    expect([span(59_999), span(60_000), span(3_660_000), span(90_000_000)]).toEqual(['59 s', '1 min', '1 h 1 min', '1 d 1 h'])
    expect([size(0), size(1023), size(1024), size(16 * 1024 * 1024)]).toEqual(['0 B', '1023 B', '1.0 KiB', '16.0 MiB'])
    expect([milliseconds(4.26), milliseconds(42.6)]).toEqual(['4.3 ms', '43 ms'])
  })
})

describe('output', () => {
  it('writes bigint as a decimal string and bytes as base64', () => {
    expect(toJson({ budget: 2n ** 63n - 1n, bytes: new Uint8Array([1, 2]) })).toBe(
      '{"budget":"9223372036854775807","bytes":"AQI="}',
    )
  })

  it('lines up columns by what is seen, not by escape sequences', () => {
    expect(
      table([
        ['A', 'B'],
        ['\u001b[32mlong\u001b[39m', 'x'],
      ]),
    ).toBe('A     B\n\u001b[32mlong\u001b[39m  x')
  })

  it("lets no agent steer a person's terminal", () => {
    expect(safe('a\u001b[2Jb\u0007c\u009bd\u202ee\n')).toBe('a·[2Jb·c·d·e·')
    expect(safe('a\nb\r', true)).toBe('a\nb·')
  })
})

describe('options of igor up', () => {
  it('takes ports that leave room for the three of the node', () => {
    expect(parsePort('0')).toBe(0)
    expect(parsePort('4747')).toBe(4747)
    expect(() => parsePort('65533')).toThrow('not a port')
    expect(() => parsePort('80a')).toThrow('not a port')
    expect(nodePorts(4747)).toEqual({ tcp: 4748, ws: 4749, webrtc: 4750 })
    expect(nodePorts(0)).toEqual({ tcp: 0, ws: 0, webrtc: 0 })
  })

  it('reads ICE servers with and without credentials', () => {
    expect(parseIceServer('stun:example.org:3478')).toEqual({ urls: 'stun:example.org:3478' })
    expect(parseIceServer('turn:me:se:cret@example.org:3478?transport=tcp')).toEqual({
      urls: 'turn:example.org:3478?transport=tcp',
      username: 'me',
      credential: 'se:cret',
    })
    for (const bad of ['example.org', 'http://example.org', 'stun:', 'stun:a b'])
      expect(() => parseIceServer(bad)).toThrow('not like')
  })
})

describe('files of keys', () => {
  it('reads what it writes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { minLength: 1, maxLength: 5 }), (seeds) => {
        const text = formatSeeds(seeds.map((seed) => Buffer.from(seed).toString('hex')))
        expect(parseSeeds(Buffer.from(text), 'my.keys')).toEqual(seeds)
      }),
    )
  })

  it('says which line is wrong', () => {
    expect(() => parseSeeds(Buffer.from(`# mine\n${'0'.repeat(64)}\nxyz\n`), 'my.keys')).toThrow('line 2')
    expect(() => parseSeeds(Buffer.from('# none\n'), 'my.keys')).toThrow('holds no key')
  })
})
