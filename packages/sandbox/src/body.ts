/**
 * Walks function bodies instruction by instruction: checks immediates, indexes and nesting, refuses what lies
 * outside of the profile, measures the operand stack, and shows each instruction to a visitor, which may edit.
 * Types of operands are left to the engine's own validation.
 *
 * @module
 */
import type { SandboxError } from './errors.ts'
import { Frames } from './frames.ts'
import { checkTable, NO_RESULT, readBlockType, readMemarg, readMemoryZero } from './immediates.ts'
import * as limits from './limits.ts'
import type { ParsedModule } from './module.ts'
import { EFFECT, EFFECT_FC, EFFECT_FD, featureOf, IMMEDIATES, IMMEDIATES_FC, IMMEDIATES_FD, Imm, Op } from './opcodes.ts'
import { exceeds, malformed, Reader } from './reader.ts'
import { readHeapType, readValType, unsupported } from './types.ts'

/** One function's body within the module's bytes. */
export interface Body {
  /** Index of the function, imported ones counted. */
  readonly index: number
  /** Where its locals are declared: a count of groups, then the groups. */
  readonly localsAt: number
  readonly groups: number
  /** Where the first group starts. */
  readonly groupsAt: number
  /** Parameters and locals: the index of the next local that a visitor may add. */
  readonly locals: number
  /** Its first instruction. */
  readonly codeAt: number
  /** Behind its last `end`. */
  readonly end: number
}

/** Sees every body and every instruction, in order. Offsets are into the module's bytes. */
export interface Visitor {
  enter(body: Body): void
  /**
   * @param op one byte, or `prefix << 8 | number`
   * @param at where the instruction starts, and `end` where the next one does
   * @param immediate its first index, depth or constant (0 if it has none, or none that fits 32 bits); of a `br_table`
   * the outermost target
   * @param depth how many blocks of the function are open before it; 0 at the function's last `end`
   * @param height operands on the stack before it
   */
  instruction(op: number, at: number, end: number, immediate: number, depth: number, height: number): void
  /** @param height most operands that were on the stack at once */
  leave(body: Body, height: number): void
}

/** Walks the bodies of one module. */
export class BodyWalker {
  readonly #module: ParsedModule
  readonly #visitor: Visitor
  readonly #frames: Frames
  /** Parameters and results of each type, flat, for the inner loop. */
  readonly #params: Uint16Array
  readonly #results: Uint16Array
  #merges = 0
  /** Of the last `br_table`. */
  #outermost = 0

  constructor(module: ParsedModule, visitor: Visitor, frames: Frames = new Frames()) {
    this.#module = module
    this.#frames = frames
    this.#visitor = visitor
    this.#params = Uint16Array.from(module.types, (type) => type.params.length)
    this.#results = Uint16Array.from(module.types, (type) => type.results.length)
  }

  /** Walks the body whose size the reader stands at. */
  walk(reader: Reader, index: number): void {
    const at = reader.pos
    const size = reader.u32()
    const start = reader.pos
    if (size > limits.MAX_BODY_BYTES) {
      throw exceeds(`bytes in function ${index}`, size, limits.MAX_BODY_BYTES, 'MAX_BODY_BYTES', at)
    }
    reader.skip(size)
    const body = this.#locals(new Reader(reader.bytes, start, reader.pos), index)
    this.#visitor.enter(body)
    const height = this.#code(new Reader(reader.bytes, body.codeAt, body.end), body)
    this.#visitor.leave(body, height)
  }

  #locals(reader: Reader, index: number): Body {
    const localsAt = reader.pos
    const type = this.#module.functions[index] as number
    const groups = reader.count('groups of locals', limits.MAX_LOCALS, 'MAX_LOCALS')
    const groupsAt = reader.pos
    let locals = this.#params[type] as number
    for (let i = 0; i < groups; i++) {
      const at = reader.pos
      locals += reader.u32()
      if (locals > limits.MAX_LOCALS) {
        throw exceeds(`locals in function ${index}`, locals, limits.MAX_LOCALS, 'MAX_LOCALS', at)
      }
      readValType(reader)
    }
    return { index, localsAt, groups, groupsAt, locals, codeAt: reader.pos, end: reader.end }
  }

  /** Returns the greatest height of the operand stack. */
  #code(reader: Reader, body: Body): number {
    const { bytes } = reader
    const module = this.#module
    const visitor = this.#visitor
    const frames = this.#frames
    const functionType = module.functions[body.index] as number
    const typeCount = this.#params.length
    frames.depth = 0
    frames.push(Op.block, 0, 0, this.#results[functionType] as number, body.codeAt)
    let base = 0
    let height = 0
    let highest = 0
    // Each is set to zero at every entry.
    let merges = body.locals

    while (frames.depth > 0) {
      const at = reader.pos
      if (at >= reader.end) throw malformed(`function ${body.index} ends within a block`, at)
      let op = bytes[at] as number
      reader.pos = at + 1
      let kind = IMMEDIATES[op] as number
      let effect = EFFECT[op] as number
      if (kind === Imm.prefixFc || kind === Imm.prefixFd) {
        const sub = reader.u32()
        const fc = kind === Imm.prefixFc
        const known = sub < (fc ? IMMEDIATES_FC : IMMEDIATES_FD).length
        kind = known ? ((fc ? IMMEDIATES_FC : IMMEDIATES_FD)[sub] as number) : Imm.refused
        if (kind === Imm.refused) throw refusedOp(op, sub, at)
        effect = (fc ? EFFECT_FC : EFFECT_FD)[sub] as number
        op = (op << 8) | sub
      }
      const depth = frames.depth - 1
      const before = height
      let immediate = 0
      height += effect
      // Below the block's own operands only after a branch (or in a body that the engine will refuse).
      if (height < base) height = base

      switch (kind) {
        case Imm.none:
          break
        case Imm.local:
          immediate = reader.u32()
          if (immediate >= body.locals) throw malformed(`local ${immediate} does not exist`, at)
          break
        case Imm.i32:
          immediate = reader.s32()
          break
        case Imm.memarg:
        case Imm.memargLane:
          readMemarg(reader)
          if (kind === Imm.memargLane) reader.byte()
          break
        case Imm.block: {
          const type = readBlockType(reader, typeCount)
          const params = type >= 0 ? (this.#params[type] as number) : 0
          const results = type >= 0 ? (this.#results[type] as number) : type === NO_RESULT ? 0 : 1
          base = Math.max(base, height - params)
          frames.push(op, base, params, results, at)
          height = base + params
          merges += body.locals + height
          break
        }
        case Imm.else: {
          if (frames.opcode[depth] !== Op.if) throw malformed('an else belongs to no if', at)
          frames.opcode[depth] = Op.else
          height = base + (frames.params[depth] as number)
          merges += body.locals + height
          break
        }
        case Imm.end:
          height = base + (frames.results[depth] as number)
          frames.depth = depth
          base = depth > 0 ? (frames.base[depth - 1] as number) : 0
          break
        case Imm.label:
          immediate = reader.u32()
          if (immediate > depth) throw malformed(`no block ${immediate} levels up`, at)
          merges += body.locals + height
          if (op === Op.br) height = base
          break
        case Imm.branchTable:
          merges += (body.locals + height) * this.#branchTable(reader, depth)
          immediate = this.#outermost
          height = base
          break
        case Imm.call: {
          immediate = reader.u32()
          const type = module.functions[immediate]
          if (type === undefined) throw malformed(`function ${immediate} does not exist`, at)
          height = Math.max(base, height - (this.#params[type] as number)) + (this.#results[type] as number)
          break
        }
        case Imm.callIndirect: {
          immediate = reader.u32()
          if (immediate >= typeCount) throw malformed(`type ${immediate} does not exist`, at)
          checkTable(reader.u32(), module, at)
          height = Math.max(base, height - (this.#params[immediate] as number)) + (this.#results[immediate] as number)
          break
        }
        case Imm.noReturn:
          height = base
          break
        case Imm.global:
          immediate = reader.u32()
          if (immediate >= module.globals.length) throw malformed(`global ${immediate} does not exist`, at)
          break
        default:
          immediate = this.#rare(kind, op, reader, at)
      }
      if (height > highest) highest = height
      visitor.instruction(op, at, reader.pos, immediate, depth, before)
    }
    if (reader.pos !== reader.end) throw malformed(`function ${body.index} goes on behind its last end`, reader.pos)
    this.#count(merges, body)
    return highest
  }

  /** Returns how many targets it has, the default counted. */
  #branchTable(reader: Reader, depth: number): number {
    const at = reader.pos
    const count = reader.count('targets in a br_table', limits.MAX_BRANCH_TARGETS, 'MAX_BRANCH_TARGETS') + 1
    const frames = this.#frames
    frames.tableNamesLoop = false
    this.#outermost = 0
    for (let i = 0; i < count; i++) {
      const target = reader.u32()
      if (target > depth) throw malformed(`no block ${target} levels up`, at)
      if (target > this.#outermost) this.#outermost = target
      if (frames.opcode[depth - target] === Op.loop) frames.tableNamesLoop = true
    }
    return count
  }

  #count(merges: number, body: Body): void {
    this.#merges += merges
    if (merges > limits.MAX_MERGES_PER_FUNCTION) {
      const what = `live values at the branches of function ${body.index}`
      throw exceeds(what, merges, limits.MAX_MERGES_PER_FUNCTION, 'MAX_MERGES_PER_FUNCTION', body.localsAt)
    }
    if (this.#merges > limits.MAX_MERGES) {
      throw exceeds('live values at branches', this.#merges, limits.MAX_MERGES, 'MAX_MERGES', body.localsAt)
    }
  }

  /** The immediates that are not on the fast path. */
  #rare(kind: number, op: number, reader: Reader, at: number): number {
    const module = this.#module
    let immediate = 0
    switch (kind) {
      case Imm.i64:
        reader.skipS64()
        return 0
      case Imm.f32:
        reader.skip(4)
        return 0
      case Imm.f64:
        reader.skip(8)
        return 0
      case Imm.bytes16:
        reader.skip(16)
        return 0
      case Imm.lane:
        return reader.byte()
      case Imm.memory:
        readMemoryZero(reader)
        return 0
      case Imm.memoryMemory:
        readMemoryZero(reader)
        readMemoryZero(reader)
        return 0
      case Imm.data:
      case Imm.dataMemory:
        immediate = reader.u32()
        if (!module.hasDataCount) throw malformed('a data segment is named without a data count section', at)
        if (immediate >= module.data.length) throw malformed(`data segment ${immediate} does not exist`, at)
        if (kind === Imm.dataMemory) readMemoryZero(reader)
        return immediate
      case Imm.elem:
        immediate = reader.u32()
        if (immediate >= module.elements) throw malformed(`element segment ${immediate} does not exist`, at)
        return immediate
      case Imm.table:
        return checkTable(reader.u32(), module, at)
      case Imm.refNull:
        return readHeapType(reader)
      case Imm.refFunc:
        immediate = reader.u32()
        if (immediate >= module.functions.length) throw malformed(`function ${immediate} does not exist`, at)
        return immediate
      case Imm.selectTyped:
        if (reader.u32() !== 1) throw malformed('a select must name one type', at)
        return readValType(reader)
      default:
        throw refusedOp(op, 0, at)
    }
  }
}

function refusedOp(op: number, sub: number, at: number): SandboxError {
  const feature = featureOf(op, sub)
  if (feature !== undefined) return unsupported(feature, at)
  const number = op === 0xfc || op === 0xfd ? ` ${sub}` : ''
  return malformed(`unknown instruction 0x${op.toString(16).padStart(2, '0')}${number}`, at)
}
