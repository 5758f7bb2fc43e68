/**
 * Decodes what a module holds at its start: globals, element and data segments, and the constant expressions in them.
 *
 * @module
 */
import * as limits from './limits.ts'
import { Op } from './opcodes.ts'
import { exceeds, malformed, type Reader } from './reader.ts'
import { type Decoding, Section, section } from './sections.ts'
import { isReference, readHeapType, readRefType, readValType, unsupported } from './types.ts'

export interface ModuleGlobal {
  readonly type: number
  readonly mutable: boolean
}

export interface DataSegment {
  /** Where an active segment goes, as an unsigned address; undefined: passive. */
  readonly address: number | undefined
  readonly bytes: number
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

export function readGlobals(from: Decoding, functions: number): ModuleGlobal[] {
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

/** Returns how many there are. */
export function readElements(from: Decoding, tables: readonly number[], functions: number): number {
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

export function readData(from: Decoding, functions: number): DataSegment[] {
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
