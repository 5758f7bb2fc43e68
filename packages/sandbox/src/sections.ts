/**
 * Finds the sections of a module. Source: https://webassembly.github.io/spec/core/binary/modules.html
 *
 * @module
 */
import { SandboxError } from './errors.ts'
import { malformed, Reader } from './reader.ts'
import { unsupported } from './types.ts'

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

export interface Range {
  readonly start: number
  readonly end: number
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

export function readHeader(bytes: Uint8Array): void {
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
export function readSections(bytes: Uint8Array): { sections: Map<number, Range>; names: Range | undefined } {
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

export interface Decoding {
  readonly bytes: Uint8Array
  readonly sections: ReadonlyMap<number, Range>
}

/** Runs `read` over a section and checks that it used all of it. An absent section is skipped. */
export function section(from: Decoding, id: number, read: (reader: Reader) => void): void {
  const range = from.sections.get(id)
  if (range === undefined) return
  const reader = new Reader(from.bytes, range.start, range.end)
  read(reader)
  if (reader.pos !== range.end) throw malformed(`section ${id} is longer than its contents`, reader.pos)
}
