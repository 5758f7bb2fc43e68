/**
 * The manifest: what an agent asks for. Everything that it does not ask for is denied
 * (docs/design.md, section 9). Hand-written rather than by a schema library: the page's budget is
 * tight, the shape is small, and every message can say what to write instead.
 *
 * @module
 */
import { IgorError } from './errors.ts'
import { messageOf } from './thrown.ts'
import { CAPABILITIES, isCapability, isWithheld } from './worker/capabilities.ts'

export { importsOf } from './worker/capabilities.ts'

export interface Manifest {
  /** As the author wrote them: the manifest's block. */
  readonly bytes: Uint8Array
  readonly capabilities: ReadonlyMap<string, { readonly version: number }>
  readonly limits: {
    /** What linear memory may grow to, by either limit; a multiple of 64 KiB. */
    readonly maxMemoryBytes: number
    readonly maxFuelPerTick: number
    /** Of the state; linear memory is most of it. */
    readonly maxStateBytes: number
    /** Wall-clock milliseconds that one tick may take. */
    readonly maxTickMs: number
  }
  readonly migration: {
    readonly enabled: boolean
    /** Microcents per nominal second; null: any price. */
    readonly maxPricePerSecond: bigint | null
    /** Peer ids and DIDs that may host it; null: every one. */
    readonly allow: readonly string[] | null
  }
  /** Milliseconds between ticks. */
  readonly tickIntervalMs: number
  /** Multiaddr or peer id. */
  readonly witness: string | null
  /** Where it goes on when its host is lost; peers in order of preference. */
  readonly failover: 'never' | 'witness' | readonly string[]
  /** Whether strangers may watch. */
  readonly public: boolean
}

export const MAX_MANIFEST_BYTES = 64 * 1024
/** A manifest is five levels deep at most; more is an attack on a parser. */
const MAX_DEPTH = 16

const MIB = 1024 * 1024
const WASM_PAGE = 64 * 1024
/** Also the ceiling: what one agent may cost a tab. */
export const DEFAULT_MEMORY_BYTES = 64 * MIB
/** Also the ceiling: linear memory and what the host keeps for the agent. */
export const DEFAULT_STATE_BYTES = 65 * MIB
/** Also the ceiling: a tick that takes longer makes its neighbours wait. */
export const DEFAULT_TICK_MS = 100
/** A tenth of a nominal second, as the wall-clock limit. */
const DEFAULT_FUEL_PER_TICK = 100_000_000
const MAX_FUEL_PER_TICK = 10_000_000_000
export const DEFAULT_INTERVAL_MS = 1000
/** Less is asked for by a tick that answers non-zero. */
const MIN_INTERVAL_MS = 10
/** A day: rarer than that is a message's job. */
const MAX_INTERVAL_MS = 86_400_000
/** As in other lists of peers that are read by people. */
const MAX_PEERS = 64
/** A multiaddr with a peer id, certificate hashes and a relay fits. */
const MAX_PEER_CHARS = 512

type Fields = Readonly<Record<string, unknown>>

const bad = (path: string, expected: string, found?: unknown): never => {
  const got = found === undefined ? '' : `, not ${describe(found)}`
  throw new IgorError('BAD_MANIFEST', `manifest: ${path || 'it'} must be ${expected}${got}`)
}

const describe = (value: unknown): string => {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'object') return 'an object'
  const text = JSON.stringify(value)
  return text.length > 40 ? `${text.slice(0, 40)}…` : text
}

const object = (value: unknown, path: string, known: readonly string[]): Fields => {
  if (value === undefined) return {}
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return bad(path, 'an object', value)
  for (const key of Object.keys(value)) {
    if (known.includes(key)) continue
    const at = path === '' ? JSON.stringify(key) : `${path}.${key}`
    throw new IgorError(
      'BAD_MANIFEST',
      `manifest: ${at} is not known; ${path || 'it'} may have ${known.join(', ') || 'no fields'}`,
    )
  }
  return value as Fields
}

const integer = (fields: Fields, key: string, path: string, min: number, max: number, otherwise: number): number => {
  const value = own(fields, key)
  if (value === undefined) return otherwise
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) return value
  return bad(`${path}${key}`, `a whole number from ${min} to ${max}`, value)
}

const flag = (fields: Fields, key: string, path: string, otherwise: boolean): boolean => {
  const value = own(fields, key)
  if (value === undefined) return otherwise
  return typeof value === 'boolean' ? value : bad(`${path}${key}`, 'true or false', value)
}

const peer = (value: unknown, path: string): string => {
  if (typeof value === 'string' && value.length > 0 && value.length <= MAX_PEER_CHARS && /^[\x21-\x7e]+$/.test(value))
    return value
  return bad(path, `text of 1 to ${MAX_PEER_CHARS} characters without spaces`, value)
}

/** A word that could be a peer id or a DID: a list with a slip of the pen in it lets nobody in, and nobody sees why. */
const PEER = /^(12D3KooW|Qm|did:key:z)[1-9A-HJ-NP-Za-km-z]+$/

const peers = (value: unknown, path: string): readonly string[] => {
  if (!Array.isArray(value) || value.length > MAX_PEERS) return bad(path, `an array of at most ${MAX_PEERS} peers`, value)
  return value.map((one, i) => {
    const word = peer(one, `${path}[${i}]`)
    return PEER.test(word) ? word : bad(`${path}[${i}]`, 'a peer id (12D3KooW…) or a DID (did:key:z…)', word)
  })
}

/** A field of the object itself: `__proto__` and its like are never looked up. */
const own = (fields: Fields, key: string): unknown => (Object.hasOwn(fields, key) ? fields[key] : undefined)

/** Refuses nesting that a recursive reader could choke on, before anything reads it. */
const checkDepth = (text: string): void => {
  let depth = 0
  let quoted = false
  for (let i = 0; i < text.length; i++) {
    const char = text[i]
    if (quoted) {
      if (char === '\\') i++
      else if (char === '"') quoted = false
    } else if (char === '"') quoted = true
    else if (char === '{' || char === '[') {
      if (++depth > MAX_DEPTH) throw new IgorError('BAD_MANIFEST', `manifest: nested deeper than ${MAX_DEPTH} levels`)
    } else if (char === '}' || char === ']') depth--
  }
}

const toBytes = (input: string | Uint8Array | object): Uint8Array => {
  if (input instanceof Uint8Array) return input.slice()
  if (typeof input === 'string') {
    // Every UTF-16 unit is at least one byte: no need to encode what is surely too long.
    if (input.length > MAX_MANIFEST_BYTES) return tooLarge(input.length)
    return new TextEncoder().encode(input)
  }
  try {
    return new TextEncoder().encode(JSON.stringify(input))
  } catch (cause) {
    throw new IgorError('BAD_MANIFEST', 'manifest: the object cannot be written as JSON', { cause })
  }
}

const tooLarge = (length: number): never => {
  throw new IgorError('BAD_MANIFEST', `manifest: at most ${MAX_MANIFEST_BYTES} bytes, not ${length}`)
}

const readJson = (bytes: Uint8Array): unknown => {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new IgorError('BAD_MANIFEST', 'manifest: not UTF-8 text', { cause })
  }
  checkDepth(text)
  try {
    return JSON.parse(text)
  } catch (cause) {
    const why = messageOf(cause)
    throw new IgorError('BAD_MANIFEST', `manifest: not JSON (${why})`, { cause })
  }
}

const readCapabilities = (value: unknown): Manifest['capabilities'] => {
  const capabilities = new Map<string, { version: number }>()
  if (value === undefined) return capabilities
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return bad('capabilities', 'an object', value)
  for (const [name, asked] of Object.entries(value)) {
    if (isWithheld(name)) {
      throw new IgorError(
        'CAPABILITY_NOT_GRANTED',
        `manifest: capabilities.${name}: this node does not offer it (it offers ${CAPABILITIES.join(', ')})`,
      )
    }
    if (!isCapability(name)) {
      throw new IgorError('BAD_MANIFEST', `manifest: capabilities.${name} is not known; there are ${CAPABILITIES.join(', ')}`)
    }
    const path = `capabilities.${name}`
    if (asked === undefined) bad(path, 'an object')
    const fields = object(asked, path, ['version', 'options'])
    object(own(fields, 'options'), `${path}.options`, [])
    capabilities.set(name, { version: integer(fields, 'version', `${path}.`, 1, 1, 1) })
  }
  return capabilities
}

const readLimits = (value: unknown): Manifest['limits'] => {
  const path = 'resource_limits'
  const fields = object(value, path, ['max_memory_bytes', 'max_fuel_per_tick', 'max_state_bytes', 'max_tick_ms'])
  const read = (key: string, min: number, max: number, otherwise: number) => integer(fields, key, `${path}.`, min, max, otherwise)
  const memory = read('max_memory_bytes', WASM_PAGE, DEFAULT_MEMORY_BYTES, DEFAULT_MEMORY_BYTES)
  const state = read('max_state_bytes', WASM_PAGE, DEFAULT_STATE_BYTES, DEFAULT_STATE_BYTES)
  const least = Math.min(memory, state)
  return {
    maxMemoryBytes: least - (least % WASM_PAGE),
    maxFuelPerTick: read('max_fuel_per_tick', 1, MAX_FUEL_PER_TICK, DEFAULT_FUEL_PER_TICK),
    maxStateBytes: state,
    maxTickMs: read('max_tick_ms', 1, DEFAULT_TICK_MS, DEFAULT_TICK_MS),
  }
}

const readMigration = (value: unknown): Manifest['migration'] => {
  const path = 'migration_policy'
  const fields = object(value, path, ['enabled', 'max_price_per_second', 'allow'])
  const price = integer(fields, 'max_price_per_second', `${path}.`, 0, Number.MAX_SAFE_INTEGER, -1)
  const allow = own(fields, 'allow')
  return {
    enabled: flag(fields, 'enabled', `${path}.`, true),
    maxPricePerSecond: price < 0 ? null : BigInt(price),
    allow: allow === undefined ? null : peers(allow, `${path}.allow`),
  }
}

const readFailover = (value: unknown): Manifest['failover'] => {
  if (value === undefined) return 'never'
  if (value === 'never' || value === 'witness') return value
  if (Array.isArray(value)) return peers(value, 'failover')
  return bad('failover', '"never", "witness" or an array of peers', value)
}

const FIELDS = [
  'capabilities',
  'resource_limits',
  'migration_policy',
  'tick_interval_ms',
  'witness',
  'failover',
  'public',
] as const

/**
 * Reads a manifest: JSON text, its bytes, or an object that is written as JSON.
 * @param input at most 64 KiB; `undefined` asks for nothing
 * @throws IgorError BAD_MANIFEST that names the field and what was expected; CAPABILITY_NOT_GRANTED
 *   for a capability of the interface that this node does not offer
 */
export const parseManifest = (input: string | Uint8Array | object | undefined): Manifest => {
  const bytes = toBytes(input ?? {})
  if (bytes.length > MAX_MANIFEST_BYTES) return tooLarge(bytes.length)
  const value = readJson(bytes)
  if (value === undefined) return bad('', 'an object')
  const fields = object(value, '', FIELDS)
  const witness = own(fields, 'witness')
  return {
    bytes,
    capabilities: readCapabilities(own(fields, 'capabilities')),
    limits: readLimits(own(fields, 'resource_limits')),
    migration: readMigration(own(fields, 'migration_policy')),
    tickIntervalMs: integer(fields, 'tick_interval_ms', '', MIN_INTERVAL_MS, MAX_INTERVAL_MS, DEFAULT_INTERVAL_MS),
    witness: witness === undefined || witness === null ? null : peer(witness, 'witness'),
    failover: readFailover(own(fields, 'failover')),
    public: flag(fields, 'public', '', false),
  }
}

/** Names of the granted capabilities, in order: what a module is loaded with. */
export const granted = (manifest: Manifest): readonly string[] => [...manifest.capabilities.keys()].sort()

/** No capabilities, every limit at its default. */
export const DEFAULT_MANIFEST: Manifest = parseManifest(undefined)
