/**
 * Runs a program for some thousand ticks and says what every engine must say alike: the instrumented module, the
 * fuel and the outcome of each tick, the state at some of them. From an image, it goes on.
 *
 * It drives the sandbox itself, as a worker does (`worker/agent.ts`), so that nothing is between a tick and its fuel.
 *
 * @module
 */
import { buildMemory, cborCid, encodeState } from '@igor/lineage'
import { type Compiled, compile, type Instance, type InstrumentOptions, instantiate, instrument, Trap } from '@igor/sandbox'
import { encode } from '@ipld/dag-cbor'
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js'
import { CAPABILITIES, judgeImport, WASI } from '../worker/capabilities.ts'
import { igorImports } from '../worker/hostcalls.ts'
import { nonZeroChunks } from '../worker/image.ts'
import { emptyKv, type Kv, kvEntries, kvOf } from '../worker/kv.ts'
import type { Image } from '../worker/protocol.ts'
import { createSession, type Session } from '../worker/session.ts'
import { wasiImports } from '../worker/wasi.ts'
import { type Case, MARKS, MIDDLE, TICKS } from './cases.ts'

/** At a tick boundary. Strings, so that a table of them can be compared and committed. */
export interface Mark {
  readonly tick: number
  /** CID of the state block. */
  readonly state: string
  /** Of all ticks so far. */
  readonly fuel: string
  /** SHA-256 over every tick so far: its outcome, its fuel, its log. Hex. */
  readonly history: string
}

export interface Outcome {
  /** SHA-256 of the module and of what `instrument` made of it, hex. */
  readonly module: string
  readonly instrumented: string
  readonly marks: readonly Mark[]
  /** How often each kind of trap ended a tick. */
  readonly traps: Readonly<Record<string, number>>
}

/** What another engine needs to go on. */
export interface Middle {
  readonly image: Image
  readonly mark: Mark
}

interface State {
  readonly memory: Uint8Array
  readonly globals: readonly Uint8Array[]
  readonly kv: Kv
}

/** A life's totals. */
interface Books {
  fuel: bigint
  history: Uint8Array
  traps: Record<string, number>
}

const ROOT = new Uint8Array(32).fill(7)
const START = 1_790_000_000_000_000_000n
const NS_PER_SECOND = 1_000_000_000n

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

const sessionAt = (spec: Case, init: Uint8Array, kv: Kv, tick: number): Session =>
  createSession(
    {
      tick,
      time: START + BigInt(tick) * NS_PER_SECOND,
      root: ROOT,
      messages: tick === 0 ? [] : spec.says(tick).map(utf8),
      limit: spec.limit,
      price: 0n,
      balance: 0n,
      receipts: [],
    },
    init,
    kv,
    sha256,
  )

const imageOf = ({ memory, globals, kv }: State): Image => ({
  memoryBytes: memory.length,
  chunks: nonZeroChunks(memory),
  globals,
  kv: kvEntries(kv),
})

const stateCid = (state: State): string => {
  const chunks = nonZeroChunks(state.memory).map(([index, bytes]) => [index, sha256(bytes)] as const)
  const memory = buildMemory(state.memory.length, chunks)
  const host = cborCid(encode(kvEntries(state.kv)))
  return encodeState({ version: 1, memory, globals: state.globals, host }).cid.toString()
}

const note = (books: Books, outcome: string, fuel: bigint, logs: Session['logs']): void => {
  books.fuel += fuel
  books.history = sha256(encode([books.history, outcome, fuel, logs.map(({ text }) => text)]))
}

const allowImport: InstrumentOptions['allowImport'] = (module, name, type) => {
  const verdict = judgeImport(module, name, type, CAPABILITIES)
  return verdict.ok || verdict.reason
}

/** One program in one engine. */
const createLife = (spec: Case, compiled: Compiled, init: Uint8Array, from?: Middle) => {
  let session: Session | undefined
  let instance: Instance
  let kv = (from === undefined ? emptyKv : kvOf(from.image.kv)) as Kv
  const books: Books = {
    fuel: BigInt(from?.mark.fuel ?? 0),
    history: from === undefined ? new Uint8Array(32) : hexToBytes(from.mark.history),
    traps: {},
  }
  const host = {
    memory: () => instance.memory(),
    session: () => session as Session,
    charge: (fuel: number) => instance.charge(fuel),
  }
  const fresh = (): void => {
    instance = instantiate(compiled, { igor: igorImports(host, CAPABILITIES), [WASI]: wasiImports(host, CAPABILITIES) })
  }
  const restore = (image: Image): void => {
    fresh()
    instance.restore(image)
  }
  const now = (): State => ({ memory: instance.memory(), globals: instance.globals(), kv })

  const begin = (tick: number): Session => {
    session = sessionAt(spec, init, kv, tick)
    session.begin(tick)
    instance.setFuel(spec.limit)
    return session
  }
  const commit = (current: Session, outcome: string): void => {
    current.end()
    kv = current.kv.settle()
    note(books, outcome, spec.limit - instance.fuel(), current.logs)
  }

  const spawn = (): void => {
    fresh()
    const current = begin(0)
    instance.start()
    for (const name of ['_initialize', 'agent_init']) if (instance.has(name)) instance.call(name)
    commit(current, 'born')
  }

  const tick = (n: number): void => {
    const risky = spec.says(n).length > 0
    const before = risky ? { ...now(), memory: instance.memory().slice() } : undefined
    const current = begin(n)
    try {
      commit(current, instance.call('agent_tick') === 0 ? 'done' : 'more')
    } catch (error) {
      if (!(error instanceof Trap) || before === undefined) throw error
      books.traps[error.kind] = (books.traps[error.kind] ?? 0) + 1
      // As it is billed: the limit, and no log.
      note(books, error.kind, spec.limit, [])
      restore(imageOf(before))
    }
  }
  return { spawn, restore, tick, now, books, imageNow: (): Image => imageOf({ ...now(), memory: instance.memory().slice() }) }
}

/**
 * @param wasm the program
 * @param init its init bytes
 * @param from goes on from there; without, it is born
 * @throws whatever the sandbox refuses; a trap that nobody asked for
 */
export const runCase = async (
  spec: Case,
  wasm: Uint8Array,
  init: Uint8Array,
  from?: Middle,
): Promise<{ outcome: Outcome; middle: Middle }> => {
  const { maxMemoryBytes } = spec
  const compiled = await compile(instrument(wasm, { maxMemoryBytes, allowImport }))
  const life = createLife(spec, compiled, init, from)
  const marks: Mark[] = []
  let middle = from
  const mark = (tick: number): void => {
    const { fuel, history } = life.books
    const made = { tick, state: stateCid(life.now()), fuel: fuel.toString(), history: bytesToHex(history) }
    marks.push(made)
    if (tick === MIDDLE && from === undefined) middle = { image: life.imageNow(), mark: made }
  }
  if (from === undefined) life.spawn()
  else life.restore(from.image)
  const first = from?.mark.tick ?? 0
  mark(first)
  for (let tick = first + 1; tick <= TICKS; tick++) {
    life.tick(tick)
    if (MARKS.includes(tick)) mark(tick)
  }
  if (middle === undefined) throw new Error(`${spec.name} has no middle`)
  const outcome = {
    module: bytesToHex(sha256(wasm)),
    instrumented: bytesToHex(sha256(compiled.instrumented.bytes)),
    marks,
    traps: life.books.traps,
  }
  return { outcome, middle }
}
