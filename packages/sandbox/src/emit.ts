/**
 * Writes a function body with its edits.
 *
 * @module
 */
import type { Body } from './body.ts'
import { Edit, type EditList, FROM_GLOBAL, TO_GLOBAL, TO_LOCAL } from './edits.ts'
import { Op } from './opcodes.ts'
import { type FuncType, ValType } from './types.ts'
import type { Writer } from './writer.ts'

/** Indexes of the globals that bodies share. */
export interface SharedGlobals {
  /** What is left of the fuel. */
  readonly fuel: number
  /** What is left of the stack. */
  readonly stack: number
}

/** What a body gets besides its edits. */
export interface Wrapping {
  /** It is stopped here when no fuel is left. */
  readonly checksFuel: boolean
  /** What it takes of the stack while it runs; 0: it is not counted. */
  readonly frame: number
  /** It leaves elsewhere than at its end, too. */
  readonly leavesEarly: boolean
}

/** Locals that edits need, in the order of their declaration. */
const EXTRA = [ValType.i64, ValType.i32, ValType.f32, ValType.f64, ValType.v128] as const
const FUEL = 0
const COUNT = 1
const F32 = 2
const F64 = 3
const V128 = 4

/** Bits of the canonical NaNs, https://webassembly.github.io/spec/core/syntax/values.html#canonical-nan */
const NAN_F32 = [0, 0, 0xc0, 0x7f]
const NAN_F64 = [0, 0, 0, 0, 0, 0, 0xf8, 0x7f]

export class BodyWriter {
  readonly #bytes: Uint8Array
  readonly #out: Writer
  readonly #globals: SharedGlobals
  readonly #typeIndex: (type: FuncType) => number
  /** Indexes of the extra locals of this body. */
  readonly #locals: number[] = [0, 0, 0, 0, 0]

  constructor(bytes: Uint8Array, out: Writer, globals: SharedGlobals, typeIndex: (type: FuncType) => number) {
    this.#bytes = bytes
    this.#out = out
    this.#globals = globals
    this.#typeIndex = typeIndex
  }

  /** `edits` has only what is needed, `type` is the function's. */
  write(body: Body, type: FuncType, edits: EditList, wrapping: Wrapping): void {
    this.#declare(body, edits, wrapping)
    this.#enter(wrapping)
    const block = wrapping.frame > 0 && wrapping.leavesEarly
    if (block) this.#openBlock(type)
    const { count, at, next } = edits
    const out = this.#out
    let copied = body.codeAt
    for (let i = 0; i < count; i++) {
      if (edits.needed[i] === 0) continue
      // Without the block a return is one.
      if (edits.kind[i] === Edit.leave && !block) continue
      const from = at[i] as number
      if (from > copied) out.copy(this.#bytes, copied, from)
      this.#edit(edits.kind[i] as number, edits.value[i] as number, edits.flags[i] as number)
      copied = next[i] as number
    }
    out.copy(this.#bytes, copied, body.end - 1)
    if (block) out.byte(Op.end)
    if (wrapping.frame > 0) {
      out.op(Op.globalGet, this.#globals.stack)
      out.constant(Op.i32Const, wrapping.frame)
      out.byte(Op.i32Add)
      out.op(Op.globalSet, this.#globals.stack)
    }
    out.byte(Op.end)
  }

  #declare(body: Body, edits: EditList, wrapping: Wrapping): void {
    let used = wrapping.frame > 0 ? 1 << COUNT : 0
    for (let i = 0; i < edits.count; i++) {
      if (edits.needed[i] === 0) continue
      switch (edits.kind[i]) {
        case Edit.charge:
          if ((edits.flags[i] as number) !== (FROM_GLOBAL | TO_GLOBAL)) used |= 1 << FUEL
          break
        case Edit.check:
          used |= 1 << FUEL
          break
        case Edit.bulk:
          used |= (1 << FUEL) | (1 << COUNT)
          break
        case Edit.canonicalF32:
        case Edit.readF32:
          used |= 1 << F32
          break
        case Edit.canonicalF64:
        case Edit.readF64:
          used |= 1 << F64
          break
        case Edit.canonicalF32x4:
        case Edit.canonicalF64x2:
          used |= 1 << V128
          break
      }
    }
    let groups = body.groups
    for (let extra = 0; extra < EXTRA.length; extra++) groups += (used >> extra) & 1
    this.#out.u32(groups)
    this.#out.copy(this.#bytes, body.groupsAt, body.codeAt)
    let local = body.locals
    EXTRA.forEach((type, extra) => {
      if (((used >> extra) & 1) === 0) return
      this.#locals[extra] = local++
      this.#out.put(1, type)
    })
  }

  #enter({ checksFuel, frame }: Wrapping): void {
    const out = this.#out
    const { stack } = this.#globals
    if (frame > 0) {
      const rest = this.#locals[COUNT] as number
      out.op(Op.globalGet, stack)
      out.constant(Op.i32Const, frame)
      out.byte(Op.i32Sub)
      out.op(Op.localTee, rest)
      out.op(Op.globalSet, stack)
      out.op(Op.localGet, rest)
      out.put(Op.i32Const, 0, Op.i32LtS, Op.if, 0x40, Op.unreachable, Op.end)
    }
    if (checksFuel) this.#stopIfGlobalSpent()
  }

  #stopIfGlobalSpent(): void {
    this.#out.op(Op.globalGet, this.#globals.fuel)
    this.#out.put(Op.i64Const, 0, Op.i64LtS, Op.if, 0x40, Op.unreachable, Op.end)
  }

  /** Around the whole body, with its results: a branch that left the function leaves the block. */
  #openBlock({ results }: FuncType): void {
    this.#out.byte(Op.block)
    if (results.length === 0) this.#out.byte(0x40)
    else if (results.length === 1) this.#out.byte(results[0] as number)
    else this.#out.s32(this.#typeIndex({ params: new Uint8Array(0), results }))
  }

  #edit(kind: number, value: number, flags: number): void {
    const out = this.#out
    switch (kind) {
      case Edit.charge:
        this.#charge(value, flags)
        break
      case Edit.check:
        this.#stopIfSpent()
        break
      case Edit.checkGlobal:
        this.#stopIfGlobalSpent()
        break
      case Edit.bulk: {
        const length = this.#locals[COUNT] as number
        const fuel = this.#locals[FUEL] as number
        out.op(Op.localTee, length)
        out.op(Op.localGet, fuel)
        out.op(Op.localGet, length)
        out.byte(Op.i64ExtendI32U)
        out.constant(Op.i64Const, value)
        out.put(Op.i64ShrU, Op.i64Sub)
        out.op(Op.localSet, fuel)
        this.#stopIfSpent()
        break
      }
      case Edit.grow:
        out.op(Op.call, value)
        break
      case Edit.drop:
        out.put(Op.i32Const, 1)
        out.op(Op.globalSet, value)
        break
      case Edit.leave:
        out.op(Op.br, value)
        break
      case Edit.canonicalF32:
      case Edit.readF32:
        this.#canonical(this.#locals[F32] as number, 0x5b, Op.f32Const, NAN_F32)
        break
      case Edit.canonicalF64:
      case Edit.readF64:
        this.#canonical(this.#locals[F64] as number, 0x61, Op.f64Const, NAN_F64)
        break
      case Edit.canonicalF32x4:
        this.#canonicalLanes(0x41, [...NAN_F32, ...NAN_F32, ...NAN_F32, ...NAN_F32])
        break
      case Edit.canonicalF64x2:
        this.#canonicalLanes(0x47, [...NAN_F64, ...NAN_F64])
        break
    }
  }

  #charge(cost: number, flags: number): void {
    const out = this.#out
    const fuel = this.#locals[FUEL] as number
    if ((flags & FROM_GLOBAL) !== 0) out.op(Op.globalGet, this.#globals.fuel)
    else out.op(Op.localGet, fuel)
    if (cost !== 0) {
      out.constant(Op.i64Const, cost)
      out.byte(Op.i64Sub)
    }
    if ((flags & TO_GLOBAL) === 0) out.op(Op.localSet, fuel)
    else {
      if ((flags & TO_LOCAL) !== 0) out.op(Op.localTee, fuel)
      out.op(Op.globalSet, this.#globals.fuel)
    }
  }

  #stopIfSpent(): void {
    const out = this.#out
    const fuel = this.#locals[FUEL] as number
    out.op(Op.localGet, fuel)
    out.put(Op.i64Const, 0, Op.i64LtS, Op.if, 0x40)
    out.op(Op.localGet, fuel)
    out.op(Op.globalSet, this.#globals.fuel)
    out.put(Op.unreachable, Op.end)
  }

  /** A float that differs from itself is a NaN. */
  #canonical(local: number, equals: number, constant: number, bits: readonly number[]): void {
    const out = this.#out
    out.op(Op.localTee, local)
    out.put(constant, ...bits)
    out.op(Op.localGet, local)
    out.op(Op.localGet, local)
    out.put(equals, Op.select)
  }

  #canonicalLanes(equals: number, bits: readonly number[]): void {
    const out = this.#out
    const local = this.#locals[V128] as number
    out.op(Op.localTee, local)
    out.put(0xfd, 0x0c, ...bits)
    out.op(Op.localGet, local)
    out.op(Op.localGet, local)
    out.put(0xfd, equals, 0xfd, 0x52) // bitselect
  }
}
