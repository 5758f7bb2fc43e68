/**
 * Value types and what was refused about them.
 *
 * @module
 */
import { SandboxError } from './errors.ts'
import { MAX_ARITY } from './limits.ts'
import { exceeds, malformed, type Reader } from './reader.ts'

/** Codes of the value types, https://webassembly.github.io/spec/core/binary/types.html */
export const ValType = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b, funcref: 0x70, externref: 0x6f } as const

export type ValTypeName = keyof typeof ValType

const NAMES: ReadonlyMap<number, ValTypeName> = new Map(
  Object.entries(ValType).map(([name, code]) => [code, name as ValTypeName]),
)

export function typeName(code: number): ValTypeName {
  return NAMES.get(code) ?? 'i32'
}

export function isReference(code: number): boolean {
  return code === ValType.funcref || code === ValType.externref
}

/** Parameters and results, as codes. */
export interface FuncType {
  readonly params: Uint8Array
  readonly results: Uint8Array
}

export function unsupported(feature: string, offset: number): SandboxError {
  return new SandboxError('UNSUPPORTED_FEATURE', `the module uses ${feature}, which is not supported`, { feature, offset })
}

/** Throws unless `code`, read at `offset`, is a value type of WebAssembly 2.0. */
export function checkValType(code: number, offset: number): void {
  if ((code >= 0x7b && code <= 0x7f) || code === 0x70 || code === 0x6f) return
  throw refusedType(code, offset)
}

function refusedType(code: number, offset: number): SandboxError {
  // 0x69 exnref, 0x74 noexn; 0x75 nocont and 0x68 contref belong to stack switching.
  if (code === 0x69 || code === 0x74) return unsupported('exceptions', offset)
  if (code === 0x68 || code === 0x75) return unsupported('stack switching', offset)
  if (code === 0x63 || code === 0x64) return unsupported('typed function references', offset)
  if ((code >= 0x6a && code <= 0x6e) || (code >= 0x71 && code <= 0x73) || code === 0x77 || code === 0x78) {
    return unsupported('garbage collection', offset)
  }
  return malformed(`unknown value type 0x${code.toString(16)}`, offset)
}

export function readValType(reader: Reader): number {
  const at = reader.pos
  const code = reader.byte()
  checkValType(code, at)
  return code
}

export function readRefType(reader: Reader): number {
  const at = reader.pos
  const code = readValType(reader)
  if (!isReference(code)) throw malformed('a reference type was expected', at)
  return code
}

/** What `ref.null` names: here no more than the two reference types. */
export function readHeapType(reader: Reader): number {
  const at = reader.pos
  // A type index is a number of 33 bits that is not negative; the reference types are one-byte negative ones.
  if (at < reader.end && ((reader.bytes[at] as number) & 0xc0) !== 0x40) throw unsupported('typed function references', at)
  return readRefType(reader)
}

function readValTypes(reader: Reader, what: string): Uint8Array {
  const at = reader.pos
  const count = reader.u32()
  if (count > MAX_ARITY) throw exceeds(`${what} in one type`, count, MAX_ARITY, 'MAX_ARITY', at)
  const types = new Uint8Array(count)
  for (let i = 0; i < count; i++) types[i] = readValType(reader)
  return types
}

export function readFuncType(reader: Reader): FuncType {
  const at = reader.pos
  const form = reader.byte()
  if (form === 0x5e || form === 0x5f || form === 0x4e || form === 0x4f || form === 0x50) {
    throw unsupported('garbage collection', at)
  }
  if (form === 0x5d) throw unsupported('stack switching', at)
  if (form !== 0x60) throw malformed(`unknown form of type 0x${form.toString(16)}`, at)
  return { params: readValTypes(reader, 'parameters'), results: readValTypes(reader, 'results') }
}

/** What limits of a memory or table may say beyond WebAssembly 2.0. */
export interface Limits {
  readonly minimum: number
  readonly maximum: number | undefined
}

export function readLimits(reader: Reader): Limits {
  const at = reader.pos
  const flags = reader.byte()
  if (flags > 0x0f) throw malformed(`unknown flags of limits 0x${flags.toString(16)}`, at)
  if ((flags & 2) !== 0) throw unsupported('threads (shared memory)', at)
  if ((flags & 4) !== 0) throw unsupported('memory64', at)
  if ((flags & 8) !== 0) throw unsupported('custom page sizes', at)
  const minimum = reader.u32()
  const maximum = (flags & 1) === 0 ? undefined : reader.u32()
  if (maximum !== undefined && maximum < minimum) throw malformed('a maximum is below its minimum', at)
  return { minimum, maximum }
}
