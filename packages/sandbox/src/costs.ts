/**
 * What each instruction costs, in fuel.
 *
 * @module
 */
import { Op } from './opcodes.ts'

/** Changes whenever the same call would cost another amount of fuel. */
export const COST_TABLE_VERSION = 1

/** Fuel by one-byte opcode, and by number behind 0xfc and 0xfd. */
export const COST: Uint8Array = new Uint8Array(256).fill(1)
export const COST_FC: Uint8Array = new Uint8Array(18).fill(1)
export const COST_FD: Uint8Array = new Uint8Array(256).fill(1)

for (const free of [Op.block, Op.loop, Op.else, Op.end, Op.unreachable]) COST[free] = 0

/** memory.fill, copy and init cost one more for each 2^this bytes. */
export const BULK_SHIFT = 3

/**
 * What a forward branch skips is charged all the same if it costs no more than this: it saves the charge at the branch,
 * which costs more.
 */
export const SMALL_COST = 16

/** A page that `memory.grow` adds. */
export const PAGE_COST = 1000

/** Fuel of an instruction as the walker names it. */
export function costOf(op: number): number {
  if (op < 256) return COST[op] as number
  return (op >> 8 === 0xfc ? COST_FC : COST_FD)[op & 0xff] as number
}
