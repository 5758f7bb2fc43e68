/**
 * What is to be changed in one function body: a list of edits in order, written once the whole body was seen.
 *
 * @module
 */

/** The kinds of edits. `value` is what each needs. */
export const Edit = {
  /** Charges `value`; `FROM_GLOBAL`, `TO_LOCAL` and `TO_GLOBAL` say where the fuel is before and after. */
  charge: 0,
  /** Stops here when nothing is left. The fuel is in the local. */
  check: 1,
  /** Charges for a bulk instruction by its length, the top operand, shifted right by `value`. The fuel is in the local. */
  bulk: 2,
  /** In place of `memory.grow`: calls the function `value`. */
  grow: 3,
  /** Behind `data.drop`: notes it in the global `value`. */
  drop: 4,
  /** In place of `return`: leaves the block around the body, `value` levels up. */
  leave: 5,
  /** Behind arithmetic: makes a NaN the canonical one. */
  canonicalF32: 6,
  canonicalF64: 7,
  canonicalF32x4: 8,
  canonicalF64x2: 9,
  /** Behind `local.get`: the same, if all that the local `value` ever holds is results of arithmetic. */
  readF32: 10,
  readF64: 11,
  /** Before a host function: stops here when nothing is left. The fuel is in the global. */
  checkGlobal: 12,
} as const

export const FROM_GLOBAL = 1
export const TO_LOCAL = 2
export const TO_GLOBAL = 4

/** The edits of one body, in arrays that are used again for the next. */
export class EditList {
  count = 0
  kind = new Uint8Array(1024)
  flags = new Uint8Array(1024)
  /** Where it is written; what lies between the edit before and here is copied. */
  at = new Uint32Array(1024)
  /** Where copying goes on: behind what it replaces. */
  next = new Uint32Array(1024)
  value = new Int32Array(1024)
  /** 0: so far nothing asks for it. */
  needed = new Uint8Array(1024)

  clear(): void {
    this.count = 0
  }

  /** Returns its place in the list. */
  push(kind: number, at: number, next: number, value: number, flags = 0, needed = 1): number {
    if (this.count === this.kind.length) this.#grow()
    const i = this.count++
    this.kind[i] = kind
    this.flags[i] = flags
    this.at[i] = at
    this.next[i] = next
    this.value[i] = value
    this.needed[i] = needed
    return i
  }

  #grow(): void {
    const length = this.count * 2
    this.kind = grown(this.kind, length)
    this.flags = grown(this.flags, length)
    this.at = grown(this.at, length)
    this.next = grown(this.next, length)
    this.value = grown(this.value, length)
    this.needed = grown(this.needed, length)
  }
}

/** A copy with room for `length` elements. */
export function grown<T extends Uint8Array | Uint16Array | Uint32Array | Int32Array>(from: T, length: number): T {
  const to = new (from.constructor as new (length: number) => T)(length)
  to.set(from)
  return to
}
