/**
 * Writes the instrumented module.
 *
 * @module
 */
import type { Additions } from './additions.ts'
import { KINDS, type ParsedModule } from './module.ts'
import { Op } from './opcodes.ts'
import { Reader } from './reader.ts'
import { Section } from './sections.ts'
import type { Writer } from './writer.ts'

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

/**
 * Writes the module: its sections as they were, with the additions behind each, the memory's limits in pages,
 * these bodies, and no start function.
 */
export function assemble(output: Output, memory: { initial: number; maximum: number }, bodies: Uint8Array): void {
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
  extend(output, Section.global, additions.globals.length, () => {
    for (const { type, initial } of additions.globals) out.put(type, 1, ...initial, Op.end)
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
        out.u32(code.length)
        out.copy(code)
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
