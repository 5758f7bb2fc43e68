/**
 * Everything that a command may ask of the running node: one table, from which server and client take their types.
 *
 * @module
 */
import type { AgentEvent, AgentStatus, Move, Passport, Peer, Proof, StoreUsage, Verification } from '@igor/core'

export interface NodeInfo {
  readonly id: string
  readonly name: string
  readonly multiaddrs: readonly string[]
  /** Of the page; absent when the node is headless. */
  readonly url?: string
  readonly dataDir: string
  readonly pid: number
  readonly version: string
  /** Unix ms. */
  readonly started: number
  readonly usage: StoreUsage
}

export interface LogLine {
  readonly tick: number
  /** Unix ms, by the host's clock. */
  readonly time: number
  readonly text: string
}

interface Named {
  /** DID, unique prefix of one, or name. */
  readonly agent: string
}

/** Methods with one answer: [parameters, result]. */
export interface Calls {
  info: [object, NodeInfo]
  ready: [object, Uint8Array]
  run: [{ module: Uint8Array; manifest?: Uint8Array; init?: Uint8Array; budget?: bigint; name?: string }, AgentStatus]
  agents: [object, readonly AgentStatus[]]
  peers: [object, readonly Peer[]]
  proofs: [object, readonly Proof[]]
  connect: [{ multiaddr: string }, { peer: string }]
  send: [Named & { message: Uint8Array }, { agent: string; name: string }]
  move: [Named & { to: string }, Move]
  pause: [Named, AgentStatus]
  resume: [Named, AgentStatus]
  fund: [Named & { amount: bigint }, AgentStatus]
  upgrade: [Named & { module: Uint8Array }, AgentStatus]
  retire: [Named, AgentStatus]
  changeWitness: [Named & { to: string | null }, AgentStatus]
  recover: [Named & { to?: string; force?: boolean; witness?: string | null }, AgentStatus]
  export: [Named & { to?: string; ready?: Uint8Array }, { agent: string; name: string; file: Uint8Array }]
  import: [{ file: Uint8Array; keys?: readonly Uint8Array[]; force?: boolean; witness?: string | null }, AgentStatus]
  passport: [Named, Passport]
  /** The same, and its ticks run again. */
  replay: [Named, Verification]
  exportKeys: [object, readonly string[]]
  importKeys: [{ seeds: readonly Uint8Array[] }, { keys: number }]
  /** Answers when everything is stopped and the folder is free. */
  stop: [object, { pid: number }]
}

/** Methods with many answers: [parameters, item]. */
export interface Streams {
  watch: [Named, AgentEvent]
  /** Kept lines, then, with `follow`, those to come. */
  logs: [Named & { lines: number; follow: boolean }, LogLine]
}

export type CallName = keyof Calls
export type StreamName = keyof Streams

/** Longest name, DID or prefix, peer id or multiaddr. */
const MAX_TEXT = 1024
/** The design's limits for messages, init bytes and manifests, with room to say it better than "too large". */
const MAX_INPUT = 2 * 1024 * 1024
const MAX_READY = 64 * 1024
const MAX_FILE = 256 * 1024 * 1024
const MAX_SEEDS = 1000
/** Log lines that one command may ask for. */
export const MAX_LOG_LINES = 1000

type Check<T> = (value: unknown) => T

function fail(what: string): never {
  throw new TypeError(what)
}

const text: Check<string> = (value) =>
  typeof value === 'string' && value.length > 0 && value.length <= MAX_TEXT
    ? value
    : fail(`not a text of 1 to ${MAX_TEXT} characters`)
const nullable =
  <T>(check: Check<T>): Check<T | null> =>
  (value) =>
    value === null ? null : check(value)
const flag: Check<boolean> = (value) => (typeof value === 'boolean' ? value : fail('not true or false'))
const lines: Check<number> = (value) =>
  Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= MAX_LOG_LINES
    ? (value as number)
    : fail(`not a number from 0 to ${MAX_LOG_LINES}`)
const money: Check<bigint> = (value) => (typeof value === 'bigint' && value >= 0n ? value : fail('not an amount'))
const bytes =
  (max: number): Check<Uint8Array> =>
  (value) =>
    value instanceof Uint8Array && value.length <= max ? value : fail(`not bytes, at most ${max}`)
const seeds: Check<readonly Uint8Array[]> = (value) =>
  Array.isArray(value) && value.length <= MAX_SEEDS && value.every((seed) => seed instanceof Uint8Array && seed.length === 32)
    ? value
    : fail('not a list of 32-byte seeds')

type Optional<C> = { readonly optional: C }
const optional = <T>(check: Check<T>): Optional<Check<T>> => ({ optional: check })
type Fields<P> = { [K in keyof P]-?: undefined extends P[K] ? Optional<Check<Exclude<P[K], undefined>>> : Check<P[K]> }

function shape<P extends object>(fields: Fields<P>): Check<P> {
  const known = Object.entries(fields) as [string, Check<unknown> | Optional<Check<unknown>>][]
  return (value) => {
    if (typeof value !== 'object' || value === null) return fail('parameters are not an object')
    const given = value as Record<string, unknown>
    const result: Record<string, unknown> = {}
    for (const [name, check] of known) {
      const isOptional = typeof check !== 'function'
      if (given[name] === undefined && isOptional) continue
      try {
        result[name] = (isOptional ? check.optional : check)(given[name])
      } catch (error) {
        throw new TypeError(`${name}: ${(error as Error).message}`)
      }
    }
    return result as P
  }
}

const nothing = shape<object>({})
const named = shape<Named>({ agent: text })

/** Checks of parameters, at the server's door. Each throws TypeError. */
export const checks: { [K in CallName]: Check<Calls[K][0]> } & { [K in StreamName]: Check<Streams[K][0]> } = {
  info: nothing,
  ready: nothing,
  run: shape<Calls['run'][0]>({
    module: bytes(MAX_FILE),
    manifest: optional(bytes(MAX_INPUT)),
    init: optional(bytes(MAX_INPUT)),
    budget: optional(money),
    name: optional(text),
  }),
  agents: nothing,
  peers: nothing,
  proofs: nothing,
  connect: shape<Calls['connect'][0]>({ multiaddr: text }),
  send: shape<Calls['send'][0]>({ agent: text, message: bytes(MAX_INPUT) }),
  move: shape<Calls['move'][0]>({ agent: text, to: text }),
  pause: named,
  resume: named,
  fund: shape<Calls['fund'][0]>({ agent: text, amount: money }),
  upgrade: shape<Calls['upgrade'][0]>({ agent: text, module: bytes(MAX_FILE) }),
  retire: named,
  changeWitness: shape<Calls['changeWitness'][0]>({ agent: text, to: nullable(text) }),
  recover: shape<Calls['recover'][0]>({
    agent: text,
    to: optional(text),
    force: optional(flag),
    witness: optional(nullable(text)),
  }),
  export: shape<Calls['export'][0]>({ agent: text, to: optional(text), ready: optional(bytes(MAX_READY)) }),
  import: shape<Calls['import'][0]>({
    file: bytes(MAX_FILE),
    keys: optional(seeds),
    force: optional(flag),
    witness: optional(nullable(text)),
  }),
  passport: named,
  replay: named,
  exportKeys: nothing,
  importKeys: shape<Calls['importKeys'][0]>({ seeds }),
  stop: nothing,
  watch: named,
  logs: shape<Streams['logs'][0]>({ agent: text, lines, follow: flag }),
}
