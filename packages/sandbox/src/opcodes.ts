/**
 * The instructions of WebAssembly 2.0: which immediates follow each opcode, what it does to the height of the
 * operand stack, and by what name the others are refused. Source: the index of instructions,
 * https://webassembly.github.io/spec/core/appendix/index-instructions.html, and the proposals' own tables.
 *
 * @module
 */

/** What follows an opcode. Plain numbers, since the walker's inner loop switches on them. */
export const Imm = {
  none: 0,
  block: 1,
  else: 2,
  end: 3,
  label: 4,
  branchTable: 5,
  call: 6,
  callIndirect: 7,
  selectTyped: 8,
  local: 9,
  global: 10,
  table: 11,
  memarg: 12,
  memory: 13,
  i32: 14,
  i64: 15,
  f32: 16,
  f64: 17,
  refNull: 18,
  refFunc: 19,
  prefixFc: 20,
  prefixFd: 21,
  /** memory.init: segment, memory. */
  dataMemory: 22,
  /** data.drop: segment. */
  data: 23,
  /** elem.drop: segment. */
  elem: 24,
  /** memory.copy: memory, memory. */
  memoryMemory: 25,
  lane: 26,
  memargLane: 27,
  bytes16: 28,
  /** unreachable, return: nothing follows, and what comes after cannot be reached. */
  noReturn: 29,
  refused: 30,
} as const

/** Opcodes that code here speaks of. Prefixed ones are `prefix << 8 | number`. */
export const Op = {
  unreachable: 0x00,
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  else: 0x05,
  end: 0x0b,
  br: 0x0c,
  brIf: 0x0d,
  brTable: 0x0e,
  return: 0x0f,
  call: 0x10,
  callIndirect: 0x11,
  select: 0x1b,
  selectTyped: 0x1c,
  localGet: 0x20,
  localSet: 0x21,
  localTee: 0x22,
  globalGet: 0x23,
  globalSet: 0x24,
  memoryGrow: 0x40,
  i32Const: 0x41,
  i64Const: 0x42,
  f32Const: 0x43,
  f64Const: 0x44,
  i32LtS: 0x48,
  i64LtS: 0x53,
  i32Add: 0x6a,
  i32Sub: 0x6b,
  i64Sub: 0x7d,
  i64ShrU: 0x88,
  i64ExtendI32U: 0xad,
  refNull: 0xd0,
  refFunc: 0xd2,
  memoryInit: 0xfc08,
  dataDrop: 0xfc09,
  memoryCopy: 0xfc0a,
  memoryFill: 0xfc0b,
  v128Const: 0xfd0c,
} as const

/** Immediates by one-byte opcode. */
export const IMMEDIATES: Uint8Array = new Uint8Array(256).fill(Imm.refused)
/** Immediates after 0xfc. */
export const IMMEDIATES_FC: Uint8Array = new Uint8Array(18).fill(Imm.refused)
/** Immediates after 0xfd. */
export const IMMEDIATES_FD: Uint8Array = new Uint8Array(256).fill(Imm.refused)

/** Operands pushed less operands popped. Calls and blocks go by their types instead. */
export const EFFECT: Int8Array = new Int8Array(256)
export const EFFECT_FC: Int8Array = new Int8Array(18)
export const EFFECT_FD: Int8Array = new Int8Array(256)

function set(imm: Uint8Array, effects: Int8Array, from: number, to: number, immediate: number, effect: number): void {
  imm.fill(immediate, from, to + 1)
  effects.fill(effect, from, to + 1)
}

const one = (from: number, to: number, immediate: number, effect: number) => set(IMMEDIATES, EFFECT, from, to, immediate, effect)
one(0x00, 0x00, Imm.noReturn, 0) // unreachable
one(0x01, 0x01, Imm.none, 0) // nop
one(0x02, 0x03, Imm.block, 0) // block, loop
one(0x04, 0x04, Imm.block, -1) // if
one(0x05, 0x05, Imm.else, 0)
one(0x0b, 0x0b, Imm.end, 0)
one(0x0c, 0x0c, Imm.label, 0) // br
one(0x0d, 0x0d, Imm.label, -1) // br_if
one(0x0e, 0x0e, Imm.branchTable, 0)
one(0x0f, 0x0f, Imm.noReturn, 0) // return
one(0x10, 0x10, Imm.call, 0)
one(0x11, 0x11, Imm.callIndirect, -1)
one(0x1a, 0x1a, Imm.none, -1) // drop
one(0x1b, 0x1b, Imm.none, -2) // select
one(0x1c, 0x1c, Imm.selectTyped, -2)
one(0x20, 0x20, Imm.local, 1) // local.get
one(0x21, 0x21, Imm.local, -1) // local.set
one(0x22, 0x22, Imm.local, 0) // local.tee
one(0x23, 0x23, Imm.global, 1) // global.get
one(0x24, 0x24, Imm.global, -1) // global.set
one(0x25, 0x25, Imm.table, 0) // table.get; table.set (0x26) is refused
one(0x28, 0x35, Imm.memarg, 0) // loads
one(0x36, 0x3e, Imm.memarg, -2) // stores
one(0x3f, 0x3f, Imm.memory, 1) // memory.size
one(0x40, 0x40, Imm.memory, 0) // memory.grow
one(0x41, 0x41, Imm.i32, 1)
one(0x42, 0x42, Imm.i64, 1)
one(0x43, 0x43, Imm.f32, 1)
one(0x44, 0x44, Imm.f64, 1)
one(0x45, 0x45, Imm.none, 0) // i32.eqz
one(0x46, 0x4f, Imm.none, -1) // i32 comparisons
one(0x50, 0x50, Imm.none, 0) // i64.eqz
one(0x51, 0x66, Imm.none, -1) // i64, f32, f64 comparisons
one(0x67, 0x69, Imm.none, 0) // i32 clz, ctz, popcnt
one(0x6a, 0x78, Imm.none, -1) // i32 binary
one(0x79, 0x7b, Imm.none, 0) // i64 clz, ctz, popcnt
one(0x7c, 0x8a, Imm.none, -1) // i64 binary
one(0x8b, 0x91, Imm.none, 0) // f32 unary
one(0x92, 0x98, Imm.none, -1) // f32 binary
one(0x99, 0x9f, Imm.none, 0) // f64 unary
one(0xa0, 0xa6, Imm.none, -1) // f64 binary
one(0xa7, 0xc4, Imm.none, 0) // conversions, sign extensions
one(0xd0, 0xd0, Imm.refNull, 1)
one(0xd1, 0xd1, Imm.none, 0) // ref.is_null
one(0xd2, 0xd2, Imm.refFunc, 1)
one(0xfc, 0xfc, Imm.prefixFc, 0)
one(0xfd, 0xfd, Imm.prefixFd, 0)

const fc = (from: number, to: number, immediate: number, effect: number) =>
  set(IMMEDIATES_FC, EFFECT_FC, from, to, immediate, effect)
fc(0, 7, Imm.none, 0) // saturating truncations
fc(8, 8, Imm.dataMemory, -3) // memory.init
fc(9, 9, Imm.data, 0) // data.drop
fc(10, 10, Imm.memoryMemory, -3) // memory.copy
fc(11, 11, Imm.memory, -3) // memory.fill
// Nothing can observe elem.drop, since table.init is refused.
fc(13, 13, Imm.elem, 0)
fc(16, 16, Imm.table, 1) // table.size

const fd = (from: number, to: number, immediate: number, effect: number) =>
  set(IMMEDIATES_FD, EFFECT_FD, from, to, immediate, effect)
fd(0x00, 0x0a, Imm.memarg, 0) // loads
fd(0x0b, 0x0b, Imm.memarg, -2) // store
fd(0x0c, 0x0c, Imm.bytes16, 1) // const
fd(0x0d, 0x0d, Imm.bytes16, -1) // shuffle
fd(0x0e, 0x0e, Imm.none, -1) // swizzle
fd(0x0f, 0x14, Imm.none, 0) // splats
for (const extract of [0x15, 0x16, 0x18, 0x19, 0x1b, 0x1d, 0x1f, 0x21]) fd(extract, extract, Imm.lane, 0)
for (const replace of [0x17, 0x1a, 0x1c, 0x1e, 0x20, 0x22]) fd(replace, replace, Imm.lane, -1)
fd(0x23, 0x4c, Imm.none, -1) // comparisons
fd(0x4d, 0x4d, Imm.none, 0) // not
fd(0x4e, 0x51, Imm.none, -1) // and, andnot, or, xor
fd(0x52, 0x52, Imm.none, -2) // bitselect
fd(0x53, 0x53, Imm.none, 0) // any_true
fd(0x54, 0x57, Imm.memargLane, -1) // load lane
fd(0x58, 0x5b, Imm.memargLane, -2) // store lane
fd(0x5c, 0x5d, Imm.memarg, 0) // load zero
fd(0x5e, 0xff, Imm.none, -1)
for (const [from, to] of [
  [0x5e, 0x64], // demote, promote; i8x16 abs, neg, popcnt, all_true, bitmask
  [0x67, 0x6a], // f32x4 roundings
  [0x74, 0x75],
  [0x7a, 0x7a],
  [0x7c, 0x81], // extadd_pairwise; i16x8 abs, neg
  [0x83, 0x84],
  [0x87, 0x8a], // extends
  [0x94, 0x94],
  [0xa0, 0xa4],
  [0xa7, 0xaa],
  [0xc0, 0xc4],
  [0xc7, 0xca],
  [0xe0, 0xe3],
  [0xec, 0xef],
  [0xf8, 0xff], // conversions
] as const) {
  fd(from, to, Imm.none, 0)
}
for (const gap of [
  0x9a, 0xa2, 0xa5, 0xa6, 0xaf, 0xb0, 0xb2, 0xb3, 0xb4, 0xbb, 0xc2, 0xc5, 0xc6, 0xcf, 0xd0, 0xd2, 0xd3, 0xd4, 0xe2, 0xee,
]) {
  fd(gap, gap, Imm.refused, 0)
}

/** Instructions behind 0xfc that change a table. */
const TABLE_INSTRUCTIONS: ReadonlyMap<number, string> = new Map([
  [12, 'table.init'],
  [14, 'table.copy'],
  [15, 'table.grow'],
  [17, 'table.fill'],
])
const EXCEPTIONS = 'exceptions'
const TAIL_CALLS = 'tail calls'
const FUNCTION_REFERENCES = 'typed function references'

/** The feature that a refused opcode belongs to, with the instruction's name; undefined: no such instruction. */
export function featureOf(op: number, sub = 0): string | undefined {
  switch (op) {
    case 0x06:
    case 0x07:
    case 0x08:
    case 0x09:
    case 0x0a:
    case 0x18:
    case 0x19:
    case 0x1f:
      return EXCEPTIONS
    case 0x12:
    case 0x13:
      return TAIL_CALLS
    case 0x14:
    case 0xd4:
    case 0xd5:
    case 0xd6:
      return FUNCTION_REFERENCES
    case 0x15:
      return `${TAIL_CALLS} (return_call_ref)`
    case 0x26:
      return 'mutable tables (table.set)'
    case 0xd3:
    case 0xfb:
      return 'garbage collection'
    case 0xe0:
    case 0xe1:
    case 0xe2:
    case 0xe3:
    case 0xe4:
    case 0xe5:
    case 0xe6:
      return 'stack switching'
    case 0xfe:
      return 'threads'
    case 0xfc: {
      const table = TABLE_INSTRUCTIONS.get(sub)
      if (table !== undefined) return `mutable tables (${table})`
      return sub === 18 ? 'memory control' : sub >= 19 && sub <= 22 ? 'wide arithmetic' : undefined
    }
    case 0xfd:
      return sub >= 0x100 && sub <= 0x12f ? 'relaxed SIMD' : undefined
    default:
      return undefined
  }
}
