/**
 * What the instrumentation adds to a module: types, functions, globals and exports behind those that it has.
 *
 * @module
 */
import { PAGE_COST } from './costs.ts'
import type { SharedGlobals } from './emit.ts'
import { MAX_STACK_BYTES } from './limits.ts'
import type { ExternKind, ParsedModule } from './module.ts'
import { Op } from './opcodes.ts'
import { type FuncType, ValType } from './types.ts'
import { Writer } from './writer.ts'

/** Names that the instrumentation exports begin with it; modules may not use it. */
export const PRIVATE_PREFIX = 'sandbox:'

/** Names of what the instrumentation exports. */
export const privateNames = {
  start: `${PRIVATE_PREFIX}start`,
  /** Reads half `lane` of the mutable global `n` as an integer. */
  get: (n: number, lane: number) => `${PRIVATE_PREFIX}get${n}${lane === 0 ? '' : 'h'}`,
  set: (n: number) => `${PRIVATE_PREFIX}set${n}`,
  dropped: (n: number) => `${PRIVATE_PREFIX}dropped${n}`,
  drop: (n: number) => `${PRIVATE_PREFIX}drop${n}`,
  /** Sets and reads what is left of the fuel. */
  setFuel: `${PRIVATE_PREFIX}setFuel`,
  fuel: `${PRIVATE_PREFIX}fuel`,
  /** Whether more was used than there was. */
  spent: `${PRIVATE_PREFIX}spent`,
  /** Whether it recursed deeper than it may. */
  overflowed: `${PRIVATE_PREFIX}overflowed`,
  /** Gives back what a call that did not return took of the stack. */
  unwind: `${PRIVATE_PREFIX}unwind`,
  /** Whether the host refused memory that was under the cap. */
  starved: `${PRIVATE_PREFIX}starved`,
} as const

/** What is added to a module. */
export class Additions {
  readonly #module: ParsedModule
  readonly types: FuncType[] = []
  readonly #typeIndex = new Map<string, number>()
  /** Type index, and body with its locals and last `end`. */
  readonly functions: { readonly type: number; readonly code: Uint8Array }[] = []
  readonly exports: { readonly name: string; readonly kind: ExternKind; readonly index: number }[] = []
  /** Mutable globals. */
  readonly globals: { readonly type: number; readonly initial: readonly number[] }[] = []

  constructor(module: ParsedModule) {
    this.#module = module
  }

  /** Index of a type, added if it is new. */
  type(params: ArrayLike<number> & Iterable<number>, results: ArrayLike<number> & Iterable<number>): number {
    const key = `${[...params]}:${[...results]}`
    let index = this.#typeIndex.get(key)
    if (index === undefined) {
      index = this.#module.types.length + this.types.length
      this.types.push({ params: Uint8Array.from(params), results: Uint8Array.from(results) })
      this.#typeIndex.set(key, index)
    }
    return index
  }

  /** Adds a function and returns its index. */
  function(
    params: readonly number[],
    results: readonly number[],
    locals: readonly number[],
    code: (out: Writer) => void,
  ): number {
    const out = new Writer(32)
    out.u32(locals.length)
    for (const local of locals) out.put(1, local)
    code(out)
    out.byte(Op.end)
    this.functions.push({ type: this.type(params, results), code: out.view() })
    return this.#module.functions.length + this.functions.length - 1
  }

  exportFunction(name: string, params: readonly number[], results: readonly number[], code: (out: Writer) => void): void {
    this.exports.push({ name, kind: 'function', index: this.function(params, results, [], code) })
  }

  /** Returns the index of a new mutable global; `initial` is a constant instruction. */
  global(type: number = ValType.i32, initial: readonly number[] = [Op.i32Const, 0]): number {
    return this.#module.globals.length + this.globals.push({ type, initial }) - 1
  }
}

/** Accessors that carry the exact bits of the global with this index; `n` counts mutable globals. */
export function addAccessors(additions: Additions, n: number, index: number, type: number): void {
  const bits = type === ValType.i32 || type === ValType.f32 ? ValType.i32 : ValType.i64
  const lanes = type === ValType.v128 ? [0, 1] : [0]
  for (const lane of lanes) {
    additions.exportFunction(privateNames.get(n, lane), [], [bits], (out) => {
      out.byte(Op.globalGet)
      out.u32(index)
      if (type === ValType.f32) out.byte(0xbc) // i32.reinterpret_f32
      if (type === ValType.f64) out.byte(0xbd) // i64.reinterpret_f64
      if (type === ValType.v128) out.put(0xfd, 0x1d, lane) // i64x2.extract_lane
    })
  }
  additions.exportFunction(
    privateNames.set(n),
    lanes.map(() => bits),
    [],
    (out) => {
      out.put(Op.localGet, 0)
      if (type === ValType.f32) out.byte(0xbe) // f32.reinterpret_i32
      if (type === ValType.f64) out.byte(0xbf) // f64.reinterpret_i64
      if (type === ValType.v128) out.put(0xfd, 0x12, Op.localGet, 1, 0xfd, 0x1e, 1) // i64x2.splat, replace_lane 1
      out.byte(Op.globalSet)
      out.u32(index)
    },
  )
}

/** Reads and sets whether each of these passive segments was dropped; `dropped` has their globals. */
export function addDropAccessors(additions: Additions, dropped: ReadonlyMap<number, number>): void {
  const segments = [...dropped.keys()].sort((a, b) => a - b)
  segments.forEach((segment, n) => {
    const global = dropped.get(segment) as number
    additions.exportFunction(privateNames.dropped(n), [], [ValType.i32], (out) => {
      out.byte(Op.globalGet)
      out.u32(global)
    })
    additions.exportFunction(privateNames.drop(n), [], [], (out) => {
      out.put(0xfc, 0x09)
      out.u32(segment)
      out.put(Op.i32Const, 1, Op.globalSet)
      out.u32(global)
    })
  })
}

/** 2^63 - 1: no program uses it up. */
const UNLIMITED = [Op.i64Const, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00]

/** The globals that have what is left of fuel and stack, below zero when they were used up, and their accessors. */
export function addFuel(additions: Additions): SharedGlobals {
  const fuel = additions.global(ValType.i64, UNLIMITED)
  additions.exportFunction(privateNames.fuel, [], [ValType.i64], (out) => out.op(Op.globalGet, fuel))
  additions.exportFunction(privateNames.setFuel, [ValType.i64], [], (out) => {
    out.op(Op.localGet, 0)
    out.op(Op.globalSet, fuel)
  })
  additions.exportFunction(privateNames.spent, [], [ValType.i32], (out) => {
    out.op(Op.globalGet, fuel)
    out.put(Op.i64Const, 0, Op.i64LtS)
  })
  const full = new Writer(8)
  full.constant(Op.i32Const, MAX_STACK_BYTES)
  const stack = additions.global(ValType.i32, [...full.view()])
  additions.exportFunction(privateNames.overflowed, [], [ValType.i32], (out) => {
    out.op(Op.globalGet, stack)
    out.put(Op.i32Const, 0, Op.i32LtS)
  })
  additions.exportFunction(privateNames.unwind, [], [], (out) => {
    out.constant(Op.i32Const, MAX_STACK_BYTES)
    out.op(Op.globalSet, stack)
  })
  return { fuel, stack }
}

/**
 * A function that does what `memory.grow` does, but traps and leaves a note where the host has no memory for
 * what the limit allows: a program that saw -1 there would go on differently than on another machine.
 * Returns its index.
 */
export function addGrow(additions: Additions, maximumPages: number, fuel: number): number {
  const starved = additions.global()
  additions.exportFunction(privateNames.starved, [], [ValType.i32], (out) => {
    out.byte(Op.globalGet)
    out.u32(starved)
  })
  return additions.function([ValType.i32], [ValType.i32], [ValType.i32], (out) => {
    out.put(Op.localGet, 0, Op.memoryGrow, 0, Op.localTee, 1)
    out.put(Op.i32Const, 0x7f, 0x46, Op.if, 0x40) // it answered -1
    out.put(Op.localGet, 0, 0xad, 0x3f, 0, 0xad, 0x7c) // i64: pages asked for + memory.size
    out.byte(Op.i64Const)
    out.s32(maximumPages)
    out.put(0x58, Op.if, 0x40) // i64.le_u: it is under the limit
    out.put(Op.i32Const, 1, Op.globalSet)
    out.u32(starved)
    out.put(Op.unreachable, Op.end, Op.else) // it grew
    out.op(Op.globalGet, fuel)
    out.put(Op.localGet, 0, Op.i64ExtendI32U)
    out.constant(Op.i64Const, PAGE_COST)
    out.put(0x7e, Op.i64Sub) // i64.mul
    out.op(Op.globalSet, fuel)
    out.put(Op.end, Op.localGet, 1)
  })
}
