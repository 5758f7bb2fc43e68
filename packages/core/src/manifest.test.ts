import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { IgorError } from './errors.ts'
import { DEFAULT_MANIFEST, granted, importsOf, MAX_MANIFEST_BYTES, parseManifest } from './manifest.ts'

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
const KIB = 1024

describe('a manifest', () => {
  it('asks for nothing unless it says so', () => {
    expect(granted(DEFAULT_MANIFEST)).toEqual([])
    expect(DEFAULT_MANIFEST).toMatchObject({
      bytes: utf8('{}'),
      limits: { maxMemoryBytes: 64 * KIB * KIB, maxTickMs: 100 },
      migration: { enabled: true, maxPricePerSecond: null, allow: null },
      tickIntervalMs: 1000,
      witness: null,
      failover: 'never',
      public: false,
    })
    expect(parseManifest('{}')).toEqual(DEFAULT_MANIFEST)
  })

  it('says all that there is to say', () => {
    const full = {
      capabilities: { rand: { version: 1, options: {} }, clock: {}, kv: { version: 1 } },
      resource_limits: { max_memory_bytes: 200_000, max_fuel_per_tick: 1000, max_state_bytes: 100_000, max_tick_ms: 20 },
      migration_policy: { enabled: false, max_price_per_second: 12, allow: ['12D3KooWA', 'did:key:z6Mk'] },
      tick_interval_ms: 250,
      witness: '/dns4/example.org/tcp/443/wss/p2p/12D3KooWA',
      failover: ['12D3KooWB'],
      public: true,
    }
    const manifest = parseManifest(full)
    expect(granted(manifest)).toEqual(['clock', 'kv', 'rand'])
    expect(manifest).toMatchObject({
      limits: { maxMemoryBytes: 64 * KIB, maxFuelPerTick: 1000, maxStateBytes: 100_000, maxTickMs: 20 },
      migration: { enabled: false, maxPricePerSecond: 12n, allow: ['12D3KooWA', 'did:key:z6Mk'] },
      tickIntervalMs: 250,
      witness: full.witness,
      failover: ['12D3KooWB'],
      public: true,
    })
  })

  it("keeps its author's bytes", () => {
    const text = ' {\n  "public" : true }\n'
    expect(parseManifest(text).bytes).toEqual(utf8(text))
    const bytes = utf8(text)
    const manifest = parseManifest(bytes)
    bytes.fill(0)
    expect(manifest.bytes).toEqual(utf8(text))
    expect(parseManifest({ public: true }).bytes).toEqual(utf8('{"public":true}'))
  })

  it('does not take what an object inherits', () => {
    const inherited = Object.create({ public: true, capabilities: { clock: {} } })
    expect(parseManifest(inherited)).toEqual(DEFAULT_MANIFEST)
  })

  it('knows the imports of a capability', () => {
    expect(importsOf('clock')).toEqual([
      'igor.clock_now',
      'wasi_snapshot_preview1.clock_res_get',
      'wasi_snapshot_preview1.clock_time_get',
    ])
    expect(importsOf('inbox')).toEqual(['igor.inbox_next'])
  })
})

describe('refuses', () => {
  const deep = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`
  it.each<[string, string | Uint8Array | object, RegExp]>([
    ['what is no JSON', '{public: true}', /not JSON/],
    ['nothing', '', /not JSON/],
    ['what is no UTF-8', Uint8Array.of(0x7b, 0xff, 0x7d), /not UTF-8/],
    ['null', 'null', /must be an object, not null/],
    ['a list', '[]', /must be an object, not an array/],
    ['a number', '3', /must be an object, not 3/],
    ['an unknown field', '{"publik": true}', /"publik" is not known; it may have capabilities,.*public/],
    ['an unknown field below', '{"resource_limits": {"max_mem": 1}}', /resource_limits\.max_mem is not known/],
    ['__proto__', '{"__proto__": {"public": true}}', /"__proto__" is not known/],
    ['__proto__ below', '{"capabilities": {"__proto__": {}}}', /capabilities\.__proto__ is not known/],
    ['a name of Object.prototype', '{"capabilities": {"constructor": {}}}', /capabilities\.constructor is not known/],
    ['an unknown capability', '{"capabilities": {"fly": {}}}', /capabilities\.fly is not known; there are clock, rand/],
    ['capabilities as a list', '{"capabilities": ["clock"]}', /capabilities must be an object, not an array/],
    ['a capability as a word', '{"capabilities": {"clock": true}}', /capabilities\.clock must be an object, not true/],
    ['another version', '{"capabilities": {"clock": {"version": 2}}}', /capabilities\.clock\.version must be .* 1 to 1, not 2/],
    ['a version in words', '{"capabilities": {"clock": {"version": "1"}}}', /version must be a whole number .*, not "1"/],
    ['an option', '{"capabilities": {"clock": {"options": {"skew": 1}}}}', /capabilities\.clock\.options\.skew is not known/],
    ['options as a list', '{"capabilities": {"clock": {"options": []}}}', /capabilities\.clock\.options must be an object/],
    ['a field of a capability', '{"capabilities": {"clock": {"v": 1}}}', /capabilities\.clock\.v is not known/],
    [
      'too much memory',
      { resource_limits: { max_memory_bytes: 64 * KIB * KIB + 1 } },
      /max_memory_bytes must be a whole number from 65536 to 67108864/,
    ],
    ['too little memory', { resource_limits: { max_memory_bytes: 65_535 } }, /max_memory_bytes/],
    ['half a byte', { resource_limits: { max_memory_bytes: 70_000.5 } }, /max_memory_bytes/],
    [
      'a longer tick than allowed',
      { resource_limits: { max_tick_ms: 101 } },
      /max_tick_ms must be a whole number from 1 to 100, not 101/,
    ],
    ['no time for a tick', { resource_limits: { max_tick_ms: 0 } }, /max_tick_ms/],
    ['fuel in words', { resource_limits: { max_fuel_per_tick: '1000' } }, /max_fuel_per_tick/],
    ['limits as a number', { resource_limits: 5 }, /resource_limits must be an object, not 5/],
    ['limits as null', { resource_limits: null }, /resource_limits must be an object, not null/],
    ['ticks too close', { tick_interval_ms: 9 }, /tick_interval_ms must be a whole number from 10 to/],
    ['ticks too rare', { tick_interval_ms: 86_400_001 }, /tick_interval_ms/],
    ['a negative price', { migration_policy: { max_price_per_second: -1 } }, /max_price_per_second/],
    ['a price that is not exact', '{"migration_policy": {"max_price_per_second": 9007199254740993}}', /max_price_per_second/],
    ['enabled in words', { migration_policy: { enabled: 'yes' } }, /migration_policy\.enabled must be true or false, not "yes"/],
    ['one allowed peer in place of a list', { migration_policy: { allow: 'x' } }, /migration_policy\.allow must be an array/],
    ['a peer that is a number', { migration_policy: { allow: ['12D3KooWA', 3] } }, /migration_policy\.allow\[1\] must be text/],
    ['a peer with a space', { migration_policy: { allow: ['a b'] } }, /allow\[0\]/],
    ['a peer that is a name', { migration_policy: { allow: ['my-laptop'] } }, /allow\[0\] must be a peer id/],
    ['too many peers', { migration_policy: { allow: Array(65).fill('x') } }, /allow must be an array of at most 64/],
    ['failover in other words', { failover: 'always' }, /failover must be "never", "witness" or an array/],
    ['failover as an object', { failover: {} }, /failover must be/],
    ['an empty witness', { witness: '' }, /witness must be text/],
    ['public in words', { public: 'no' }, /public must be true or false, not "no"/],
    ['deep nesting', `{"capabilities": ${deep(20)}}`, /nested deeper/],
    ['very deep nesting', deep(30_000), /nested deeper/],
    ['what is too long', `{"public": true}${' '.repeat(MAX_MANIFEST_BYTES)}`, /at most 65536 bytes/],
    ['bytes that are too many', new Uint8Array(MAX_MANIFEST_BYTES + 1).fill(32), /at most 65536 bytes/],
    ['an object that is too long', { witness: 'x'.repeat(MAX_MANIFEST_BYTES) }, /at most 65536 bytes/],
    ['an object with a bigint', { tick_interval_ms: 10n }, /cannot be written as JSON/],
  ])('%s', (_, input, message) => {
    const parse = () => parseManifest(input)
    expect(parse).toThrow(message)
    expect(parse).toThrow(IgorError)
    expect(parse).toThrow(expect.objectContaining({ code: 'BAD_MANIFEST' }))
  })

  it.each(['http', 'x402'])('%s, by name: no node offers it yet', (name) => {
    expect(() => parseManifest({ capabilities: { [name]: { version: 1 } } })).toThrow(
      expect.objectContaining({ code: 'CAPABILITY_NOT_GRANTED', message: expect.stringContaining(`capabilities.${name}`) }),
    )
  })

  it('or reads whatever JSON there is, and nothing else happens', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json(),
          fc.string(),
          fc.json().map((json) => `{"capabilities":${json},"resource_limits":${json}}`),
        ),
        (text) => {
          try {
            expect(parseManifest(text).bytes).toEqual(utf8(text))
          } catch (error) {
            expect(error).toBeInstanceOf(IgorError)
          }
        },
      ),
      { numRuns: 500 },
    )
  })
})
