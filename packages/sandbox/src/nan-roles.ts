/**
 * What each instruction means for NaNs. The bits of a NaN that arithmetic makes are the engine's choice; everything else
 * moves bits as they are. Source: https://webassembly.github.io/spec/core/exec/numerics.html#nan-propagation
 *
 * @module
 */
import { Op } from './opcodes.ts'

export const Role = {
  /** Neither takes nor gives floats. */
  none: 0,
  /** Gives a float whose bits are not the engine's choice. */
  exact: 1,
  /** Takes floats without letting their bits be seen (but those of a number), and gives one whose NaN is the engine's choice. */
  f32: 2,
  f64: 3,
  /** Takes floats without letting their bits be seen, and gives none. */
  blind: 4,
  /** Lets the bits of its last operand be seen. */
  seesOne: 5,
  /** Lets the bits of two operands be seen, behind which `select` has one more. */
  seesTwo: 6,
  drop: 7,
  localGet: 8,
  localSet: 9,
  localTee: 10,
  control: 11,
  /** SIMD, by the table below. */
  vector: 12,
  /** Gives a float that is no NaN. */
  number: 13,
  /** Gives the float that stands in it. */
  constant: 14,
} as const

/** Roles of one-byte opcodes. */
export const ROLES: Uint8Array = new Uint8Array(256)
const set = (role: number, ...ops: readonly number[]) => {
  for (const op of ops) ROLES[op] = role
}
set(Role.control, Op.block, Op.loop, Op.if, Op.else, Op.end, Op.br, Op.brIf, Op.brTable, Op.return, Op.call, Op.callIndirect)
set(Role.drop, 0x1a)
set(Role.seesTwo, 0x1b, 0x1c, 0x98, 0xa6) // select, copysign
set(Role.localGet, Op.localGet)
set(Role.localSet, Op.localSet)
set(Role.localTee, Op.localTee)
set(Role.exact, Op.globalGet, 0x2a, 0x2b, 0xbe, 0xbf) // loads, reinterpretations
set(Role.number, 0xb2, 0xb3, 0xb4, 0xb5, 0xb7, 0xb8, 0xb9, 0xba) // from integers
set(Role.constant, Op.f32Const, Op.f64Const)
set(Role.seesOne, Op.globalSet, 0x38, 0x39, 0xbc, 0xbd) // stores, reinterpretations
set(Role.seesOne, 0x8b, 0x8c, 0x99, 0x9a) // abs, neg
set(Role.blind, 0xa8, 0xa9, 0xaa, 0xab, 0xae, 0xaf, 0xb0, 0xb1) // to integers
for (let comparison = 0x5b; comparison <= 0x66; comparison++) set(Role.blind, comparison)
for (let op = 0x8d; op <= 0x97; op++) set(Role.f32, op) // ceil to max
for (let op = 0x9b; op <= 0xa5; op++) set(Role.f64, op)
set(Role.f32, 0xb6) // demote
set(Role.f64, 0xbb) // promote
set(Role.vector, 0xfd)

/** The shape of lanes that a SIMD instruction takes without letting their bits be seen; and gives with NaNs of the engine's choice. */
export const Shape = { none: 0, f32x4: 1, f64x2: 2 } as const
export const TAKES: Uint8Array = new Uint8Array(256)
export const GIVES: Uint8Array = new Uint8Array(256)
const lanes = (takes: number, gives: number, ...ops: readonly number[]) => {
  for (const op of ops) {
    TAKES[op] = takes
    GIVES[op] = gives
  }
}
lanes(Shape.f32x4, Shape.f32x4, 0x67, 0x68, 0x69, 0x6a) // ceil, floor, trunc, nearest
lanes(Shape.f64x2, Shape.f64x2, 0x74, 0x75, 0x7a, 0x94)
lanes(Shape.f32x4, Shape.f32x4, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9) // sqrt, add to max
lanes(Shape.f64x2, Shape.f64x2, 0xef, 0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5)
lanes(Shape.f64x2, Shape.f32x4, 0x5e) // demote
lanes(Shape.f32x4, Shape.f64x2, 0x5f) // promote
lanes(Shape.f32x4, Shape.none, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0xf8, 0xf9) // comparisons, to integers
lanes(Shape.f64x2, Shape.none, 0x47, 0x48, 0x49, 0x4a, 0x4b, 0x4c, 0xfc, 0xfd)
