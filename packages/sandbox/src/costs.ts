/**
 * What each instruction costs, in fuel. The weights follow what `bench/cost.bench.ts` measures: instructions that compilers
 * make nothing of are free, one that a processor does in a cycle costs 1.
 *
 * @module
 */
import { Op } from './opcodes.ts'

/** Fuel by one-byte opcode, and by number behind 0xfc and 0xfd. */
export const COST: Uint8Array = new Uint8Array(256).fill(1)
export const COST_FC: Uint8Array = new Uint8Array(18).fill(3)
export const COST_FD: Uint8Array = new Uint8Array(256).fill(1)

const set = (table: Uint8Array, cost: number, ...ranges: readonly (readonly [from: number, to: number])[]) => {
  for (const [from, to] of ranges) table.fill(cost, from, to + 1)
}
const one = (op: number): readonly [number, number] => [op, op]

// Control: what can be predicted is cheap.
set(COST, 0, one(Op.unreachable), one(0x01), one(Op.block), one(Op.loop), one(Op.else), one(Op.end))
set(COST, 2, one(Op.if), one(Op.brIf))
set(COST, 6, one(Op.brTable), one(Op.call))
set(COST, 10, one(Op.callIndirect))
// Operands that are in registers, or part of an instruction.
set(COST, 0, one(Op.localGet), one(0x1a), [Op.i32Const, Op.f64Const], one(Op.refNull))
set(COST, 2, one(Op.select), one(Op.selectTyped), one(Op.globalSet), [0x28, 0x3e]) // loads, stores
set(COST, 3, one(0x25)) // table.get
set(COST, 250, one(Op.memoryGrow))
// Integers.
set(COST, 2, one(0x6c), one(0x7e)) // multiplications
set(COST, 12, [0x6d, 0x70]) // 32-bit divisions
set(COST, 14, [0x7f, 0x82])
// Floats: additions, roundings, comparisons, then what takes longer.
set(COST, 2, [0x5b, 0x66], [0x8b, 0xa6], [0xb2, 0xbf])
set(COST, 3, [0xa8, 0xab], [0xae, 0xb1], [0x96, 0x97], [0xa4, 0xa5]) // to integers, min, max
set(COST, 16, one(0x95), one(0xa3)) // div
set(COST, 20, one(0x91), one(0x9f)) // sqrt
// Bulk instructions cost their start, and more by their length.
set(COST_FC, 10, [8, 11])
set(COST_FC, 1, one(16))
set(COST_FD, 2, [0x00, 0x0b], [0x54, 0x5d], [0xe4, 0xe6], [0xf0, 0xf2]) // loads, stores, float arithmetic
set(COST_FD, 0, one(Op.v128Const & 0xff))
set(COST_FD, 15, one(0xe7), one(0xf3)) // div
set(COST_FD, 20, one(0xe3), one(0xef)) // sqrt

/** memory.fill, copy and init cost one more for each 2^this bytes. */
export const BULK_SHIFT = 2

/**
 * What a forward branch skips is charged all the same if it costs no more than this: it saves the charge at the branch,
 * which costs more.
 */
export const SMALL_COST = 16

/** A page that `memory.grow` adds: the host clears it when it is touched first. */
export const PAGE_COST = 16_384

/** Fuel of an instruction as the walker names it. */
export function costOf(op: number): number {
  if (op < 256) return COST[op] as number
  return (op >> 8 === 0xfc ? COST_FC : COST_FD)[op & 0xff] as number
}
