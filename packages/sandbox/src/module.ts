/**
 * Decodes all of a module but its function bodies, refusing what lies outside of the profile.
 * Source: https://webassembly.github.io/spec/core/binary/modules.html
 *
 * @module
 */
import { type DataSegment, type ModuleGlobal, readData, readElements, readGlobals } from './contents.ts'
import { SandboxError } from './errors.ts'
import * as limits from './limits.ts'
import type { Reader } from './reader.ts'
import { exceeds, malformed } from './reader.ts'
import { type Decoding, type Range, readHeader, readSections, Section, section } from './sections.ts'
import {
  type FuncType,
  isReference,
  type Limits,
  readFuncType,
  readLimits,
  readRefType,
  typeName,
  unsupported,
  ValType,
} from './types.ts'

/** The kinds of imports and exports, by their code. */
export const KINDS = ['function', 'table', 'memory', 'global'] as const
export type ExternKind = (typeof KINDS)[number]

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
