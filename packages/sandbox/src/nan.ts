/**
 * Plans where NaNs are made canonical: behind each instruction whose result may be a NaN with bits of the engine's
 * choice, unless all who take it are blind to them. A local that holds nothing but such results keeps them as they
 * are, and who reads it makes them canonical.
 *
 * @module
 */
import type { Body } from './body.ts'
import { Edit, type EditList, grown } from './edits.ts'
import type { Frames } from './frames.ts'
import type { ParsedModule } from './module.ts'
import { GIVES, ROLES, Role, Shape, TAKES } from './nan-roles.ts'
import { EFFECT, EFFECT_FD, Op } from './opcodes.ts'
import { Reader } from './reader.ts'
import { type FuncType, ValType } from './types.ts'

/** In place of an edit: the operand is no NaN. */
const NUMBER = -1

/** Chains of copies are followed so far; beyond it, copies count as bits that are kept as they are. */
const MAX_ROUNDS = 8

export class NanPlan {
  readonly #module: ParsedModule
  readonly #edits: EditList
  readonly #frames: Frames
  /** By height on the stack: one more than the edit that would make the operand canonical, or 0. */
  #makers = new Int32Array(1024)
  /** No function so far has had such an operand. */
  #idle = true
  #params = 0
  /** Whether the body has a local that is a vector. */
  hasVectors = false
  /** Types of the locals, and whether each may hold bits that are not the engine's choice. */
  #types = new Uint8Array(1024)
  #exact = new Uint8Array(1024)
  /** The results that were put into locals: edit and local by turns. */
  readonly #kept: number[] = []
  /** What was copied from one local to another, by turns. */
  readonly #copies: number[] = []

  constructor(module: ParsedModule, edits: EditList, frames: Frames) {
    this.#module = module
    this.#edits = edits
    this.#frames = frames
  }

  enter(body: Body): void {
    this.#kept.length = 0
    this.#copies.length = 0
    if (!this.#idle) {
      this.#makers.fill(0)
      this.#idle = true
    }
    const { params } = this.#module.types[this.#module.functions[body.index] as number] as { params: Uint8Array }
    this.#params = params.length
    if (body.locals > this.#types.length) {
      this.#types = new Uint8Array(body.locals * 2)
      this.#exact = new Uint8Array(body.locals * 2)
    }
    this.hasVectors = params.includes(ValType.v128)
    this.#types.set(params)
    this.#exact.fill(1, 0, this.#params)
    this.#exact.fill(0, this.#params, body.locals)
    const reader = new Reader(this.#module.bytes, body.groupsAt, body.codeAt)
    let local = this.#params
    for (let i = 0; i < body.groups; i++) {
      const count = reader.u32()
      const type = reader.byte()
      if (type === ValType.v128) this.hasVectors = true
      this.#types.fill(type, local, local + count)
      local += count
    }
  }

  /** Code that cannot be reached is not to be shown to it. `height` is that before the instruction. */
  instruction(op: number, end: number, immediate: number, depth: number, height: number): void {
    if (op > 255) {
      if (op >> 8 === 0xfd) this.#vector(op & 0xff, end, height)
      return
    }
    const role = ROLES[op] as number
    if (role === Role.none) return
    const top = height - 1
    const makers = this.#makers
    switch (role) {
      case Role.exact:
        if (!this.#idle) makers[top + (EFFECT[op] as number)] = 0
        break
      case Role.f32:
      case Role.f64: {
        makers[top] = 0
        this.#give(role === Role.f32 ? Edit.canonicalF32 : Edit.canonicalF64, end, top + (EFFECT[op] as number))
        break
      }
      case Role.blind:
        makers[top] = 0
        makers[top + (EFFECT[op] as number)] = 0
        break
      case Role.seesOne:
        this.#see(top)
        break
      case Role.seesTwo: {
        const behind = op === Op.select || op === Op.selectTyped ? 1 : 0
        this.#see(top - behind)
        this.#see(top - behind - 1)
        break
      }
      case Role.drop:
        makers[top] = 0
        break
      case Role.localGet:
        this.#get(immediate, end, height)
        break
      case Role.number:
        this.#place(NUMBER, top)
        break
      case Role.constant:
        this.#place(this.#isNan(op, end) ? 0 : NUMBER, height)
        break
      case Role.localSet:
        this.#set(immediate, top)
        makers[top] = 0
        break
      case Role.localTee:
        this.#set(immediate, top)
        break
      case Role.control:
        if (!this.#idle) this.#control(op, immediate, depth, height)
        break
    }
  }

  /** Says which edits are needed after all. */
  leave(): void {
    this.#spread()
    const { needed, kind, value, count } = this.#edits
    for (let i = 0; i < count; i++) {
      // What a local holds as it is needs no edit where it is read.
      if (isRead(kind[i] as number) && this.#exact[value[i] as number] === 1) needed[i] = 0
    }
    for (let i = 0; i < this.#kept.length; i += 2) {
      if (this.#exact[this.#kept[i + 1] as number] === 1) needed[this.#kept[i] as number] = 1
    }
  }

  /** What is copied from a local that holds bits as they are is such bits, too. */
  #spread(): void {
    const copies = this.#copies
    let changed = copies.length > 0
    for (let round = 0; changed; round++) {
      changed = false
      for (let i = 0; i < copies.length; i += 2) {
        const to = copies[i + 1] as number
        if (this.#exact[to] === 1 || (round < MAX_ROUNDS && this.#exact[copies[i] as number] === 0)) continue
        this.#exact[to] = 1
        changed = true
      }
    }
  }

  /** The NaNs of the operand at `slot` are of the engine's choice, unless the edit is made. */
  #give(kind: number, end: number, slot: number, value = 0): void {
    this.#place(this.#edits.push(kind, end, end, value, 0, 0) + 1, slot)
  }

  #place(maker: number, slot: number): void {
    this.#idle = false
    if (slot + 4 >= this.#makers.length) this.#makers = grown(this.#makers, slot * 2)
    this.#makers[slot] = maker
  }

  /** Whether the constant that ends at `end` is a NaN. */
  #isNan(op: number, end: number): boolean {
    const { bytes } = this.#module
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    return Number.isNaN(op === Op.f32Const ? view.getFloat32(end - 4, true) : view.getFloat64(end - 8, true))
  }

  #see(slot: number): void {
    const maker = this.#makers[slot] as number
    if (maker > 0) {
      this.#edits.needed[maker - 1] = 1
      this.#makers[slot] = 0
    }
  }

  #seeFrom(from: number, count: number): void {
    for (let slot = from; slot < from + count; slot++) this.#see(slot)
  }

  #get(local: number, end: number, slot: number): void {
    const type = this.#types[local]
    if (this.#exact[local] === 0 && type === ValType.f32) this.#give(Edit.readF32, end, slot, local)
    else if (this.#exact[local] === 0 && type === ValType.f64) this.#give(Edit.readF64, end, slot, local)
    else if (!this.#idle) this.#makers[slot] = 0
  }

  #set(local: number, slot: number): void {
    const type = this.#types[local]
    if (type !== ValType.f32 && type !== ValType.f64) {
      if (type === ValType.v128) this.#see(slot)
      return
    }
    const maker = this.#makers[slot] as number
    if (maker === NUMBER) return
    if (maker === 0) {
      this.#exact[local] = 1
      return
    }
    this.#kept.push(maker - 1, local)
    const { kind, value } = this.#edits
    if (isRead(kind[maker - 1] as number)) this.#copies.push(value[maker - 1] as number, local)
  }

  #control(op: number, immediate: number, depth: number, height: number): void {
    const frames = this.#frames
    switch (op) {
      case Op.block:
      case Op.loop:
      case Op.if: {
        const base = frames.base[depth + 1] as number
        this.#seeFrom(base, frames.params[depth + 1] as number)
        break
      }
      case Op.else:
      case Op.end: {
        const count = Math.max(frames.results[depth] as number, frames.params[depth] as number)
        this.#seeFrom(frames.base[depth] as number, count)
        break
      }
      case Op.br:
      case Op.return: {
        const arity = frames.arity(op === Op.return ? 0 : depth - immediate)
        this.#seeFrom(height - arity, arity)
        break
      }
      case Op.brIf:
      case Op.brTable: {
        const arity = frames.arity(depth - immediate)
        this.#seeFrom(height - 1 - arity, arity)
        break
      }
      case Op.call:
        this.#call(this.#module.functions[immediate] as number, height)
        break
      case Op.callIndirect:
        this.#call(immediate, height - 1)
        break
    }
  }

  #call(type: number, height: number): void {
    const { params, results } = this.#module.types[type] as FuncType
    const from = height - params.length
    this.#seeFrom(from, params.length)
    this.#makers.fill(0, from, from + results.length)
  }

  #vector(op: number, end: number, height: number): void {
    const effect = EFFECT_FD[op] as number
    const gives = GIVES[op] as number
    if (this.#idle && gives === Shape.none) return
    const blindTo = TAKES[op] as number
    // A constant takes none, an instruction that gives one and takes one leaves the height, and so on. A store takes one less.
    const first = effect > 0 ? height : height - 1 + effect
    for (let slot = height - 1; slot >= first; slot--) {
      const maker = this.#makers[slot] as number
      if (maker > 0 && this.#edits.kind[maker - 1] !== SHAPE_EDIT[blindTo]) this.#see(slot)
      this.#makers[slot] = 0
    }
    if (gives !== Shape.none) this.#give(SHAPE_EDIT[gives] as number, end, first)
  }
}

const isRead = (kind: number): boolean => kind === Edit.readF32 || kind === Edit.readF64

/** The edit that makes lanes of a shape canonical. */
const SHAPE_EDIT: readonly (number | undefined)[] = [undefined, Edit.canonicalF32x4, Edit.canonicalF64x2]
