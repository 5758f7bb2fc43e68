/**
 * Decodes all of a module but its function bodies, refusing what lies outside of the profile.
 * Source: https://webassembly.github.io/spec/core/binary/modules.html
 *
 * @module
 */
import { SandboxError } from './errors.ts'
import * as limits from './limits.ts'
import { Op } from './opcodes.ts'
import { exceeds, malformed, Reader } from './reader.ts'
import {
  type FuncType,
  isReference,
  type Limits,
  readFuncType,
  readHeapType,
  readLimits,
  readRefType,
  readValType,
  typeName,
  unsupported,
  ValType,
} from './types.ts'

export const Section = {
  custom: 0,
  type: 1,
  import: 2,
  function: 3,
  table: 4,
  memory: 5,
  global: 6,
  export: 7,
  start: 8,
  element: 9,
  code: 10,
  data: 11,
  dataCount: 12,
  tag: 13,
} as const

/** The kinds of imports and exports, by their code. */
export const KINDS = ['function', 'table', 'memory', 'global'] as const
export type ExternKind = (typeof KINDS)[number]

export interface Range {
  readonly start: number
  readonly end: number
}

export interface ModuleImport {
  readonly module: string
  readonly name: string
  /** Index into `types`. */
  readonly type: number
  readonly offset: number
}

export interface ModuleExport {
  readonly name: string
  readonly kind: ExternKind
  readonly index: number
  readonly offset: number
}

export interface ModuleGlobal {
  readonly type: number
  readonly mutable: boolean
}

export interface DataSegment {
  /** Where an active segment goes, as an unsigned address; undefined: passive. */
  readonly address: number | undefined
  readonly bytes: number
}

export interface ParsedModule {
  readonly bytes: Uint8Array
  /** Contents of each section, without its header. */
  readonly sections: ReadonlyMap<number, Range>
  readonly types: readonly FuncType[]
  readonly imports: readonly ModuleImport[]
  /** Type index of every function, the imported ones first. */
  readonly functions: Uint32Array
  readonly tables: readonly number[]
  readonly memory: Limits
  readonly globals: readonly ModuleGlobal[]
  readonly exports: readonly ModuleExport[]
  readonly start: number | undefined
  readonly elements: number
  readonly data: readonly DataSegment[]
  /** There is a data count section, so bodies may name data segments. */
  readonly hasDataCount: boolean
  /** The contents of the first custom section called `name`, header of the section left out. */
  readonly names: Range | undefined
}

/** The order in which sections must stand. Data count stands before code, which needs it. */
const ORDER: readonly number[] = [
  Section.type,
  Section.import,
  Section.function,
  Section.table,
  Section.memory,
  Section.global,
  Section.export,
  Section.start,
  Section.element,
  Section.dataCount,
  Section.code,
  Section.data,
]

function readHeader(bytes: Uint8Array): void {
  const start = Array.from(bytes.subarray(0, 8))
  const magic = [0x00, 0x61, 0x73, 0x6d]
  if (magic.some((byte, i) => start[i] !== byte)) {
    throw new SandboxError('NOT_WASM', 'not a WebAssembly module: it does not start with "\\0asm"', { offset: 0 })
  }
  if (start[4] === 0x0d && start[6] === 1) throw unsupported('the component model', 4)
  if ([1, 0, 0, 0].some((byte, i) => start[4 + i] !== byte)) {
    throw new SandboxError('NOT_WASM', 'not a WebAssembly module: its version is not 1', { offset: 4 })
  }
}

/** Finds every section and checks sizes and order, before anything within is looked at. */
function readSections(bytes: Uint8Array): { sections: Map<number, Range>; names: Range | undefined } {
  const reader = new Reader(bytes, 8)
  const sections = new Map<number, Range>()
  let names: Range | undefined
  let reached = -1
  while (reader.pos < bytes.length) {
    const at = reader.pos
    const id = reader.byte()
    const size = reader.u32()
    const start = reader.pos
    if (size > bytes.length - start) throw malformed(`section ${id} claims ${size} bytes but ends too soon`, at)
    const end = start + size
    if (id === Section.custom) {
      const name = new Reader(bytes, start, end).name()
      if (name === 'name') names ??= { start, end }
    } else {
      if (id === Section.tag) throw unsupported('exceptions', at)
      const place = ORDER.indexOf(id)
      if (place < 0) throw malformed(`unknown section ${id}`, at)
      if (place <= reached) throw malformed(`section ${id} stands twice or in the wrong place`, at)
      reached = place
      sections.set(id, { start, end })
    }
    reader.pos = end
  }
  return { sections, names }
}

interface Decoding {
  readonly bytes: Uint8Array
  readonly sections: ReadonlyMap<number, Range>
}

/** Runs `read` over a section and checks that it used all of it. An absent section is skipped. */
function section(from: Decoding, id: number, read: (reader: Reader) => void): void {
  const range = from.sections.get(id)
  if (range === undefined) return
  const reader = new Reader(from.bytes, range.start, range.end)
  read(reader)
  if (reader.pos !== range.end) throw malformed(`section ${id} is longer than its contents`, reader.pos)
}

function readTypes(from: Decoding): FuncType[] {
  const types: FuncType[] = []
  section(from, Section.type, (reader) => {
    const count = reader.count('types', limits.MAX_TYPES, 'MAX_TYPES')
    for (let i = 0; i < count; i++) types.push(readFuncType(reader))
  })
  return types
}

function readTypeIndex(reader: Reader, types: readonly FuncType[]): number {
  const at = reader.pos
  const index = reader.u32()
  if (index >= types.length) throw malformed(`type ${index} does not exist`, at)
  return index
}

function readImports(from: Decoding, types: readonly FuncType[]): ModuleImport[] {
  const imports: ModuleImport[] = []
  section(from, Section.import, (reader) => {
    const count = reader.count('imports', limits.MAX_IMPORTS, 'MAX_IMPORTS')
    for (let i = 0; i < count; i++) {
      const offset = reader.pos
      const module = reader.name()
      const name = reader.name()
      const at = reader.pos
      const kind = reader.byte()
      if (kind === 4) throw unsupported('exceptions', at)
      if (kind > 4) throw malformed(`unknown kind of import 0x${kind.toString(16)}`, at)
      if (kind !== 0) {
        const what = KINDS[kind] as ExternKind
        throw new SandboxError(
          'IMPORT_REFUSED',
          `the module imports the ${what} "${module}.${name}"; only functions may be imported`,
          {
            offset,
            feature: `imported ${what}`,
          },
        )
      }
      const type = readTypeIndex(reader, types)
      const { params, results } = types[type] as FuncType
      for (const code of [...params, ...results]) {
        if (code === ValType.v128 || isReference(code)) {
          throw unsupported(`${typeName(code)} in the signature of the import "${module}.${name}"`, offset)
        }
      }
      imports.push({ module, name, type, offset })
    }
  })
  return imports
}

function readFunctions(from: Decoding, types: readonly FuncType[], imports: readonly ModuleImport[]): Uint32Array {
  let functions = Uint32Array.from(imports, (entry) => entry.type)
  section(from, Section.function, (reader) => {
    const count = reader.count('functions', limits.MAX_FUNCTIONS, 'MAX_FUNCTIONS')
    const all = new Uint32Array(imports.length + count)
    all.set(functions)
    for (let i = imports.length; i < all.length; i++) all[i] = readTypeIndex(reader, types)
    functions = all
  })
  return functions
}

function readTables(from: Decoding): number[] {
  const tables: number[] = []
  let entries = 0
  section(from, Section.table, (reader) => {
    const count = reader.count('tables', limits.MAX_TABLES, 'MAX_TABLES')
    for (let i = 0; i < count; i++) {
      const at = reader.pos
      if (reader.bytes[at] === 0x40 && at < reader.end) throw unsupported('tables with an initial value', at)
      tables.push(readRefType(reader))
      entries += readLimits(reader).minimum
      if (entries > limits.MAX_TABLE_ENTRIES) {
        throw exceeds('table entries', entries, limits.MAX_TABLE_ENTRIES, 'MAX_TABLE_ENTRIES', at)
      }
    }
  })
  return tables
}

function readMemory(from: Decoding): Limits {
  let memory: Limits | undefined
  section(from, Section.memory, (reader) => {
    const at = reader.pos
    const count = reader.u32()
    if (count > 1) throw unsupported('multi-memory', at)
    if (count === 1) memory = readLimits(reader)
  })
  if (memory === undefined) {
    throw new SandboxError('NO_MEMORY', 'the module has no memory of its own; it must define one and export it as "memory"')
  }
  const most = limits.MAX_MEMORY_BYTES / limits.PAGE_BYTES
  if (memory.minimum > most || (memory.maximum ?? 0) > most) {
    throw malformed(`a memory may have ${most} pages`, from.sections.get(Section.memory)?.start ?? 0)
  }
  return memory
}

/**
 * Reads a constant expression. WebAssembly 2.0 allows one constant, or an imported global, which the profile
 * has not. Returns its value if it is an i32, as an unsigned number.
 */
function readConstant(reader: Reader, functions: number): number {
  const at = reader.pos
  const op = reader.byte()
  let value = 0
  if (op === Op.i32Const) value = reader.s32() >>> 0
  else if (op === Op.i64Const) reader.skipS64()
  else if (op === Op.f32Const) reader.skip(4)
  else if (op === Op.f64Const) reader.skip(8)
  else if (op === Op.refNull) readHeapType(reader)
  else if (op === Op.refFunc) {
    const index = reader.u32()
    if (index >= functions) throw malformed(`function ${index} does not exist`, at)
  } else if (op === 0xfd) {
    if (reader.u32() !== (Op.v128Const & 0xff)) throw unsupported('extended constant expressions', at)
    reader.skip(16)
  } else if (op === Op.globalGet) throw unsupported('extended constant expressions (global.get)', at)
  else if (op === Op.end) throw malformed('a constant expression is empty', at)
  else throw unsupported('extended constant expressions', at)
  const after = reader.pos
  const end = reader.byte()
  if (end !== Op.end) throw unsupported('extended constant expressions', after)
  return value
}

function readGlobals(from: Decoding, functions: number): ModuleGlobal[] {
  const globals: ModuleGlobal[] = []
  let mutables = 0
  section(from, Section.global, (reader) => {
    const count = reader.count('globals', limits.MAX_GLOBALS, 'MAX_GLOBALS')
    for (let i = 0; i < count; i++) {
      const at = reader.pos
      const type = readValType(reader)
      const flags = reader.byte()
      if (flags > 3) throw malformed('a global is neither mutable nor immutable', at + 1)
      if (flags > 1) throw unsupported('threads (shared global)', at)
      const mutable = flags === 1
      // A reference has no bits that could be kept.
      if (mutable && isReference(type)) throw unsupported('mutable globals that hold references', at)
      if (mutable && ++mutables > limits.MAX_MUTABLE_GLOBALS) {
        throw exceeds('mutable globals', mutables, limits.MAX_MUTABLE_GLOBALS, 'MAX_MUTABLE_GLOBALS', at)
      }
      readConstant(reader, functions)
      globals.push({ type, mutable })
    }
  })
  return globals
}

function readExports(from: Decoding, counts: readonly number[]): ModuleExport[] {
  const exports: ModuleExport[] = []
  const seen = new Set<string>()
  section(from, Section.export, (reader) => {
    const count = reader.count('exports', limits.MAX_EXPORTS, 'MAX_EXPORTS')
    for (let i = 0; i < count; i++) {
      const offset = reader.pos
      const name = reader.name()
      const at = reader.pos
      const code = reader.byte()
      if (code === 4) throw unsupported('exceptions', at)
      const kind = KINDS[code]
      if (kind === undefined) throw malformed(`unknown kind of export 0x${code.toString(16)}`, at)
      const index = reader.u32()
      if (index >= (counts[code] as number))
        throw malformed(`the export "${name}" names ${kind} ${index}, which does not exist`, at)
      if (seen.has(name)) throw malformed(`two exports are called "${name}"`, offset)
      seen.add(name)
      exports.push({ name, kind, index, offset })
    }
  })
  return exports
}

function readStart(from: Decoding, types: readonly FuncType[], functions: Uint32Array): number | undefined {
  let start: number | undefined
  section(from, Section.start, (reader) => {
    const at = reader.pos
    start = reader.u32()
    const type = types[functions[start] ?? types.length]
    if (type === undefined) throw malformed(`the start function ${start} does not exist`, at)
    if (type.params.length + type.results.length > 0) throw malformed('the start function has parameters or results', at)
  })
  return start
}

function readElements(from: Decoding, tables: readonly number[], functions: number): number {
  let count = 0
  section(from, Section.element, (reader) => {
    count = reader.count('element segments', limits.MAX_SEGMENTS, 'MAX_SEGMENTS')
    for (let i = 0; i < count; i++) {
      const at = reader.pos
      const flags = reader.u32()
      if (flags > 7) throw malformed(`unknown flags of an element segment ${flags}`, at)
      const passive = (flags & 1) !== 0
      const expressions = (flags & 4) !== 0
      if (!passive) {
        const table = (flags & 2) !== 0 ? reader.u32() : 0
        if (table >= tables.length) throw malformed(`table ${table} does not exist`, at)
        readConstant(reader, functions)
      }
      if ((flags & 3) !== 0) {
        if (expressions) readRefType(reader)
        else if (reader.byte() !== 0) throw malformed('unknown kind of element', reader.pos - 1)
      }
      const entries = reader.count('entries in an element segment', limits.MAX_TABLE_ENTRIES, 'MAX_TABLE_ENTRIES')
      for (let j = 0; j < entries; j++) {
        if (expressions) readConstant(reader, functions)
        else {
          const entry = reader.pos
          const index = reader.u32()
          if (index >= functions) throw malformed(`function ${index} does not exist`, entry)
        }
      }
    }
  })
  return count
}

function readData(from: Decoding, functions: number): DataSegment[] {
  const data: DataSegment[] = []
  section(from, Section.data, (reader) => {
    const count = reader.count('data segments', limits.MAX_SEGMENTS, 'MAX_SEGMENTS')
    for (let i = 0; i < count; i++) {
      const at = reader.pos
      const flags = reader.u32()
      if (flags > 2) throw malformed(`unknown flags of a data segment ${flags}`, at)
      if (flags === 2) {
        const memory = reader.u32()
        if (memory !== 0) throw unsupported('multi-memory', at)
      }
      const address = flags === 1 ? undefined : readConstant(reader, functions)
      const length = reader.u32()
      reader.skip(length)
      data.push({ address, bytes: length })
    }
  })
  return data
}

/** Decodes and checks a module. Throws `SandboxError`; checks every count against what is left before it allocates. */
export function parse(bytes: Uint8Array): ParsedModule {
  if (bytes.length > limits.MAX_MODULE_BYTES) {
    throw new SandboxError(
      'LIMIT_EXCEEDED',
      `the module has ${bytes.length} bytes; at most ${limits.MAX_MODULE_BYTES} are allowed`,
      {
        feature: 'MAX_MODULE_BYTES',
      },
    )
  }
  readHeader(bytes)
  const { sections, names } = readSections(bytes)
  const from: Decoding = { bytes, sections }
  const types = readTypes(from)
  const imports = readImports(from, types)
  const functions = readFunctions(from, types, imports)
  const tables = readTables(from)
  const memory = readMemory(from)
  const globals = readGlobals(from, functions.length)
  const exports = readExports(from, [functions.length, tables.length, 1, globals.length])
  const start = readStart(from, types, functions)
  const elements = readElements(from, tables, functions.length)
  const data = readData(from, functions.length)
  section(from, Section.dataCount, (reader) => {
    const at = reader.pos
    const count = reader.u32()
    if (count !== data.length) throw malformed(`the data count says ${count}, but there are ${data.length} segments`, at)
  })
  return {
    bytes,
    sections,
    types,
    imports,
    functions,
    tables,
    memory,
    globals,
    exports,
    start,
    elements,
    data,
    hasDataCount: sections.has(Section.dataCount),
    names,
  }
}
