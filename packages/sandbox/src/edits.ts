/**
 * What is to be changed in one function body: a list of edits in order, which are written once the whole body was seen.
 *
 * @module
 */

/** The kinds of edits. `value` is what each needs. */
export const Edit = {
  /** Function entry: takes the fuel into the local and checks it. */
  enter: 0,
  /** The same without the check. */
  enterUnchecked: 1,
  /** Charges `value` to the local. */
  charge: 2,
  /** Charges `value` and leaves the rest in the global, where a callee or the caller finds it. */
  flush: 3,
  /** The same, and the local stays right, since the body may go on. */
  flushAndKeep: 4,
  /** After a call: takes the fuel back into the local. */
  reload: 5,
  /** Stops here when nothing is left. */
  check: 6,
  /** In place of `memory.grow`. */
  grow: 7,
  /** Behind `data.drop`: notes it in the global `value`. */
  drop: 8,
} as const

/** The edits of one body, by growing arrays that are used again for the next. */
export class EditList {
  count = 0
  kind = new Uint8Array(1024)
  /** Where it is written; what lies between the edit before and here is copied. */
  at = new Uint32Array(1024)
  /** Where copying goes on: behind what it replaces. */
  next = new Uint32Array(1024)
  value = new Uint32Array(1024)

  clear(): void {
    this.count = 0
  }

  push(kind: number, at: number, next: number, value: number): void {
    if (this.count === this.kind.length) this.#grow()
    const i = this.count++
    this.kind[i] = kind
    this.at[i] = at
    this.next[i] = next
    this.value[i] = value
  }

  #grow(): void {
    const length = this.count * 2
    const grown = <T extends Uint8Array | Uint32Array>(to: T, from: T): T => {
      to.set(from)
      return to
    }
    this.kind = grown(new Uint8Array(length), this.kind)
    this.at = grown(new Uint32Array(length), this.at)
    this.next = grown(new Uint32Array(length), this.next)
    this.value = grown(new Uint32Array(length), this.value)
  }
}
