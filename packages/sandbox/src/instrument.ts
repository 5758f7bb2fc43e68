/**
 * Checks a module and rewrites it, in one pass over its bodies: types, functions, globals and exports are
 * appended, so that no index in the module shifts.
 *
 * @module
 */
import { type Body, BodyWalker, type Visitor } from './body.ts'
import { SandboxError } from './errors.ts'
import * as limits from './limits.ts'
import { type ExternKind, KINDS, type ModuleExport, type ParsedModule, parse, Section } from './module.ts'
import { Op } from './opcodes.ts'
import { malformed, Reader } from './reader.ts'
import { type FuncType, typeName, ValType, type ValTypeName } from './types.ts'
import { Writer } from './writer.ts'

/** Changes whenever the same module would be rewritten to other bytes. */
export const INSTRUMENT_VERSION = 1

/** Names that the instrumentation exports begin with it; modules may not use it. */
export const PRIVATE_PREFIX = 'sandbox:'

/** A function's type in words. */
export interface Signature {
  readonly params: readonly ValTypeName[]
  readonly results: readonly ValTypeName[]
}

export interface RequiredExport {
  readonly name: string
  readonly kind: ExternKind
  /** Of a function; not checked if left out. */
  readonly params?: readonly ValTypeName[]
  readonly results?: readonly ValTypeName[]
  /** It may be absent, but if it is there it must fit. */
  readonly optional?: boolean
}

export interface InstrumentOptions {
  /** Cap of the linear memory in bytes, rounded down to pages of 64 KiB; at most 4 GiB. */
  readonly maxMemoryBytes: number
  /** true, or why not, for people. */
  allowImport(module: string, name: string, signature: Signature): true | string
  readonly requiredExports?: readonly RequiredExport[]
}

/** What `instantiate` must know of a module and its bytes do not say plainly. */
export interface Layout {
  /** Type of each mutable global, in index order. */
  readonly globals: readonly ValTypeName[]
  readonly hasStart: boolean
  /** Passive data segments that the module may drop. */
  readonly droppable: number
  /** What active data segments write at instantiation: [start, end), bytes. */
  readonly preset: readonly (readonly [start: number, end: number])[]
}

/** Plain data: may be stored and posted to a worker. */
export interface Instrumented {
  readonly bytes: Uint8Array
  readonly imports: readonly ({ readonly module: string; readonly name: string } & Signature)[]
  /** The module's own exports, and `memory`. */
  readonly exports: readonly { readonly name: string; readonly kind: ExternKind }[]
  readonly memory: { readonly initialBytes: number; readonly maximumBytes: number }
  readonly version: number
  readonly layout: Layout
}

/** Names of what the instrumentation exports. */
export const privateNames = {
  start: `${PRIVATE_PREFIX}start`,
  /** Reads half `lane` of the mutable global `n` as an integer. */
  get: (n: number, lane: number) => `${PRIVATE_PREFIX}get${n}${lane === 0 ? '' : 'h'}`,
  set: (n: number) => `${PRIVATE_PREFIX}set${n}`,
  dropped: (n: number) => `${PRIVATE_PREFIX}dropped${n}`,
  drop: (n: number) => `${PRIVATE_PREFIX}drop${n}`,
} as const

function signatureOf(type: FuncType | undefined): Signature {
  return { params: Array.from(type?.params ?? [], typeName), results: Array.from(type?.results ?? [], typeName) }
}

/** What is added to a module. */
class Additions {
  readonly #module: ParsedModule
  readonly types: FuncType[] = []
  readonly #typeIndex = new Map<string, number>()
  readonly functions: { readonly type: number; readonly code: readonly number[] }[] = []
  readonly exports: { readonly name: string; readonly kind: ExternKind; readonly index: number }[] = []
  /** i32 globals, zero at first. */
  globals = 0

  constructor(module: ParsedModule) {
    this.#module = module
  }

  #type(params: readonly number[], results: readonly number[]): number {
    const key = `${params}:${results}`
    let index = this.#typeIndex.get(key)
    if (index === undefined) {
      index = this.#module.types.length + this.types.length
      this.types.push({ params: Uint8Array.from(params), results: Uint8Array.from(results) })
      this.#typeIndex.set(key, index)
    }
    return index
  }

  /** A function without locals, exported under `name`. */
  exportFunction(name: string, params: readonly number[], results: readonly number[], code: (out: Writer) => void): void {
    const out = new Writer(32)
    code(out)
    const index = this.#module.functions.length + this.functions.length
    this.functions.push({ type: this.#type(params, results), code: Array.from(out.view()) })
    this.exports.push({ name, kind: 'function', index })
  }

  /** Returns the index of a new i32 global. */
  global(): number {
    return this.#module.globals.length + this.globals++
  }
}

/** Accessors that carry the exact bits of the global with this index; `n` counts mutable globals. */
function addAccessors(additions: Additions, n: number, index: number, type: number): void {
  const bits = type === ValType.i32 || type === ValType.f32 ? ValType.i32 : ValType.i64
  const lanes = type === ValType.v128 ? [0, 1] : [0]
  for (const lane of lanes) {
    additions.exportFunction(privateNames.get(n, lane), [], [bits], (out) => {
      out.byte(Op.globalGet)
      out.u32(index)
      if (type === ValType.f32) out.byte(0xbc) // i32.reinterpret_f32
      if (type === ValType.f64) out.byte(0xbd) // i64.reinterpret_f64
      if (type === ValType.v128) out.put(0xfd, 0x1d, lane) // i64x2.extract_lane
    })
  }
  additions.exportFunction(
    privateNames.set(n),
    lanes.map(() => bits),
    [],
    (out) => {
      out.put(Op.localGet, 0)
      if (type === ValType.f32) out.byte(0xbe) // f32.reinterpret_i32
      if (type === ValType.f64) out.byte(0xbf) // f64.reinterpret_i64
      if (type === ValType.v128) out.put(0xfd, 0x12, Op.localGet, 1, 0xfd, 0x1e, 1) // i64x2.splat, replace_lane 1
      out.byte(Op.globalSet)
      out.u32(index)
    },
  )
}

/** Writes bodies, copying what is not edited. */
class BodyEditor implements Visitor {
  readonly #out: Writer
  readonly #source: Uint8Array
  readonly #module: ParsedModule
  /** Global that says whether a passive segment was dropped, by segment. */
  readonly dropped = new Map<number, number>()
  readonly #additions: Additions
  #copied = 0

  constructor(module: ParsedModule, additions: Additions, out: Writer) {
    this.#module = module
    this.#source = module.bytes
    this.#additions = additions
    this.#out = out
  }

  enter(body: Body): void {
    this.#copied = body.localsAt
  }

  instruction(op: number, at: number, end: number, immediate: number): void {
    if (op === Op.dataDrop && this.#module.data[immediate]?.address === undefined) this.#drop(immediate, at, end)
  }

  leave(body: Body): void {
    this.#out.copy(this.#source, this.#copied, body.end)
  }

  /** Whether a segment was dropped is state that no one can ask for: note it in a global. */
  #drop(segment: number, at: number, end: number): void {
    let global = this.dropped.get(segment)
    if (global === undefined) {
      if (this.dropped.size >= limits.MAX_DROPPED_SEGMENTS) {
        throw new SandboxError('LIMIT_EXCEEDED', `the module drops more than ${limits.MAX_DROPPED_SEGMENTS} data segments`, {
          offset: at,
          feature: 'MAX_DROPPED_SEGMENTS',
        })
      }
      global = this.#additions.global()
      this.dropped.set(segment, global)
    }
    this.#out.copy(this.#source, this.#copied, end)
    this.#copied = end
    this.#out.put(Op.i32Const, 1, Op.globalSet)
    this.#out.u32(global)
  }
}

function addDropAccessors(additions: Additions, dropped: ReadonlyMap<number, number>): void {
  const segments = [...dropped.keys()].sort((a, b) => a - b)
  segments.forEach((segment, n) => {
    const global = dropped.get(segment) as number
    additions.exportFunction(privateNames.dropped(n), [], [ValType.i32], (out) => {
      out.byte(Op.globalGet)
      out.u32(global)
    })
    additions.exportFunction(privateNames.drop(n), [], [], (out) => {
      out.put(0xfc, 0x09)
      out.u32(segment)
      out.put(Op.i32Const, 1, Op.globalSet)
      out.u32(global)
    })
  })
}

/** Writes the code section's bodies into `out` and returns what they need besides. */
function rewriteBodies(module: ParsedModule, additions: Additions, out: Writer): ReadonlyMap<number, number> {
  const editor = new BodyEditor(module, additions, out)
  const walker = new BodyWalker(module, editor)
  const own = module.functions.length - module.imports.length
  const range = module.sections.get(Section.code)
  const reader = new Reader(module.bytes, range?.start ?? 0, range?.end ?? 0)
  const count = range === undefined ? 0 : reader.count('bodies', limits.MAX_FUNCTIONS, 'MAX_FUNCTIONS')
  if (count !== own) throw malformed(`it declares ${own} functions but has ${count} bodies`, range?.start ?? 0)
  for (let i = 0; i < count; i++) out.sized(() => walker.walk(reader, module.imports.length + i))
  if (reader.pos !== reader.end) throw malformed('section 10 is longer than its contents', reader.pos)
  return editor.dropped
}

function checkOptions(options: InstrumentOptions): number {
  const { maxMemoryBytes } = options
  if (!Number.isSafeInteger(maxMemoryBytes) || maxMemoryBytes < 0 || maxMemoryBytes > limits.MAX_MEMORY_BYTES) {
    throw new SandboxError('BAD_OPTION', `maxMemoryBytes must be a whole number from 0 to ${limits.MAX_MEMORY_BYTES}`)
  }
  return Math.floor(maxMemoryBytes / limits.PAGE_BYTES)
}

function checkImports(module: ParsedModule, options: InstrumentOptions): void {
  for (const { module: from, name, type, offset } of module.imports) {
    const answer = options.allowImport(from, name, signatureOf(module.types[type]))
    if (answer !== true) {
      throw new SandboxError('IMPORT_REFUSED', `the import "${from}.${name}" is refused: ${answer}`, {
        offset,
        feature: `${from}.${name}`,
      })
    }
  }
}

function checkExports(module: ParsedModule, options: InstrumentOptions): void {
  const byName = new Map<string, ModuleExport>()
  for (const entry of module.exports) {
    byName.set(entry.name, entry)
    if (entry.name.startsWith(PRIVATE_PREFIX)) {
      throw new SandboxError('RESERVED_NAME', `the export "${entry.name}" begins with "${PRIVATE_PREFIX}", which is reserved`, {
        offset: entry.offset,
      })
    }
  }
  const memory = byName.get('memory')
  if (memory !== undefined && memory.kind !== 'memory') {
    throw new SandboxError('WRONG_EXPORT', `the export "memory" is a ${memory.kind}; it must be the memory`, {
      offset: memory.offset,
    })
  }
  for (const wanted of options.requiredExports ?? []) {
    const found = byName.get(wanted.name)
    if (found === undefined) {
      if (wanted.optional === true || wanted.name === 'memory') continue
      throw new SandboxError('MISSING_EXPORT', `the module must export the ${wanted.kind} "${wanted.name}"`, {
        feature: wanted.name,
      })
    }
    if (found.kind !== wanted.kind) {
      throw new SandboxError('WRONG_EXPORT', `the export "${wanted.name}" is a ${found.kind}; it must be a ${wanted.kind}`, {
        offset: found.offset,
        feature: wanted.name,
      })
    }
    if (found.kind === 'function') checkSignature(module, found, wanted)
  }
}

function checkSignature(module: ParsedModule, found: ModuleExport, wanted: RequiredExport): void {
  const is = signatureOf(module.types[module.functions[found.index] as number])
  const params = wanted.params ?? is.params
  const results = wanted.results ?? is.results
  if (is.params.join() === params.join() && is.results.join() === results.join()) return
  const words = (signature: Signature) => `(${signature.params.join(', ')}) -> (${signature.results.join(', ')})`
  throw new SandboxError(
    'WRONG_EXPORT',
    `the function "${found.name}" is ${words(is)}; it must be ${words({ params, results })}`,
    {
      offset: found.offset,
      feature: found.name,
    },
  )
}

/** Lowers the memory's maximum to the cap. Returns pages. */
function capMemory(module: ParsedModule, cap: number): { initial: number; maximum: number } {
  const { minimum, maximum } = module.memory
  if (minimum > cap) {
    const bytes = (pages: number) => `${pages * limits.PAGE_BYTES} bytes`
    throw new SandboxError('MEMORY_LIMIT', `the memory starts with ${bytes(minimum)}; the cap is ${bytes(cap)}`, {
      offset: module.sections.get(Section.memory)?.start,
    })
  }
  return { initial: minimum, maximum: Math.min(maximum ?? cap, cap) }
}

/** How many entries a section of `bytes` has, and where the first stands. */
function entriesOf(module: ParsedModule, id: number): { count: number; start: number; end: number } {
  const range = module.sections.get(id)
  if (range === undefined) return { count: 0, start: 0, end: 0 }
  const reader = new Reader(module.bytes, range.start, range.end)
  const count = reader.u32()
  return { count, start: reader.pos, end: range.end }
}

interface Output {
  readonly module: ParsedModule
  readonly additions: Additions
  readonly out: Writer
}

/** A section with what the module had and `extra` more entries. */
function extend({ module, out }: Output, id: number, extra: number, write: () => void): void {
  const { count, start, end } = entriesOf(module, id)
  if (count + extra === 0) return
  out.byte(id)
  out.sized(() => {
    out.u32(count + extra)
    out.copy(module.bytes, start, end)
    write()
  })
}

function keep({ module, out }: Output, id: number): void {
  const range = module.sections.get(id)
  if (range === undefined) return
  out.byte(id)
  out.u32(range.end - range.start)
  out.copy(module.bytes, range.start, range.end)
}

function assemble(output: Output, memory: { initial: number; maximum: number }, bodies: Uint8Array): void {
  const { module, additions, out } = output
  out.copy(module.bytes, 0, 8)
  extend(output, Section.type, additions.types.length, () => {
    for (const { params, results } of additions.types) {
      out.byte(0x60)
      for (const types of [params, results]) {
        out.u32(types.length)
        out.copy(types)
      }
    }
  })
  keep(output, Section.import)
  extend(output, Section.function, additions.functions.length, () => {
    for (const { type } of additions.functions) out.u32(type)
  })
  keep(output, Section.table)
  out.byte(Section.memory)
  out.sized(() => {
    out.put(1, 1)
    out.u32(memory.initial)
    out.u32(memory.maximum)
  })
  extend(output, Section.global, additions.globals, () => {
    for (let i = 0; i < additions.globals; i++) out.put(ValType.i32, 1, Op.i32Const, 0, Op.end)
  })
  extend(output, Section.export, additions.exports.length, () => {
    for (const { name, kind, index } of additions.exports) {
      out.name(name)
      out.byte(KINDS.indexOf(kind))
      out.u32(index)
    }
  })
  keep(output, Section.element)
  keep(output, Section.dataCount)
  const own = module.functions.length - module.imports.length
  if (own + additions.functions.length > 0) {
    out.byte(Section.code)
    out.sized(() => {
      out.u32(own + additions.functions.length)
      out.copy(bodies)
      for (const { code } of additions.functions) {
        out.u32(code.length + 2)
        out.byte(0) // no locals
        out.put(...code)
        out.byte(Op.end)
      }
    })
  }
  keep(output, Section.data)
  if (module.names !== undefined) {
    out.byte(Section.custom)
    out.u32(module.names.end - module.names.start)
    out.copy(module.bytes, module.names.start, module.names.end)
  }
}

/**
 * Checks a module against the deterministic profile and rewrites it so that `instantiate` can keep and set its
 * whole state. Deterministic: the same bytes and cap give the same result everywhere.
 *
 * The profile is WebAssembly 2.0 with one memory of the module's own, imports of functions alone, and tables
 * that do not change.
 *
 * @throws {SandboxError} the module is refused; nothing of it has run. `offset` is into `bytes`.
 */
export function instrument(bytes: Uint8Array, options: InstrumentOptions): Instrumented {
  const cap = checkOptions(options)
  const module = parse(bytes)
  checkImports(module, options)
  checkExports(module, options)
  const memory = capMemory(module, cap)

  const additions = new Additions(module)
  const bodies = new Writer(bytes.length)
  const dropped = rewriteBodies(module, additions, bodies)
  // After our own checks, which name what is wrong: the engine's only say that something is.
  if (!WebAssembly.validate(bytes as Uint8Array<ArrayBuffer>)) {
    throw new SandboxError('MALFORMED', 'not a valid WebAssembly module: the types of its instructions do not fit')
  }

  const mutables: number[] = []
  module.globals.forEach(({ mutable, type }, index) => {
    if (mutable) addAccessors(additions, mutables.push(type) - 1, index, type)
  })
  addDropAccessors(additions, dropped)
  if (module.start !== undefined) {
    additions.exports.push({ name: privateNames.start, kind: 'function', index: module.start })
  }
  const exports = module.exports.map(({ name, kind }) => ({ name, kind }))
  if (!exports.some(({ name }) => name === 'memory')) {
    additions.exports.push({ name: 'memory', kind: 'memory', index: 0 })
    exports.push({ name: 'memory', kind: 'memory' })
  }

  const out = new Writer(bytes.length + bodies.length)
  assemble({ module, additions, out }, memory, bodies.view())
  return {
    bytes: out.view().slice(),
    imports: module.imports.map(({ module: from, name, type }) => ({ module: from, name, ...signatureOf(module.types[type]) })),
    exports,
    memory: { initialBytes: memory.initial * limits.PAGE_BYTES, maximumBytes: memory.maximum * limits.PAGE_BYTES },
    version: INSTRUMENT_VERSION,
    layout: {
      globals: mutables.map(typeName),
      hasStart: module.start !== undefined,
      droppable: dropped.size,
      preset: module.data.flatMap(({ address, bytes: length }) =>
        address === undefined || length === 0 ? [] : [[address, address + length] as const],
      ),
    },
  }
}
