/**
 * Reads the immediates of instructions that are more than a number.
 *
 * @module
 */
import type { ParsedModule } from './module.ts'
import { malformed, type Reader } from './reader.ts'
import { readValType, unsupported } from './types.ts'

/** A block type without results; other negative numbers stand for one result. */
export const NO_RESULT = -64

export function readBlockType(reader: Reader, types: number): number {
  const at = reader.pos
  const first = reader.byte()
  if (first === 0x40) return NO_RESULT
  reader.pos = at
  // A value type is a one-byte negative number.
  if ((first & 0xc0) === 0x40) {
    readValType(reader)
    return -1
  }
  const type = reader.s33()
  if (type < 0 || type >= types) throw malformed('a block has an unknown type', at)
  return type
}

/** Alignment is an exponent of at most 4 (v128); its bit 6 says that a memory index follows. */
export function readMemarg(reader: Reader): void {
  const at = reader.pos
  const align = reader.u32()
  if (align >= 0x40 && align < 0x80) throw unsupported('multi-memory', at)
  if (align > 4) throw malformed('an alignment is too large', at)
  reader.u32()
}

export function readMemoryZero(reader: Reader): void {
  const at = reader.pos
  if (reader.byte() !== 0) throw unsupported('multi-memory', at)
}

export function checkTable(index: number, module: ParsedModule, at: number): number {
  if (index >= module.tables.length) throw malformed(`table ${index} does not exist`, at)
  return index
}
