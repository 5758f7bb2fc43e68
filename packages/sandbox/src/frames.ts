/**
 * The open blocks of a function body.
 *
 * @module
 */
import { grown } from './edits.ts'
import { MAX_NESTING } from './limits.ts'
import { Op } from './opcodes.ts'
import { exceeds } from './reader.ts'

/** Room for the frames of a body at first; it grows up to `MAX_NESTING`. */
const FIRST_FRAMES = 256

/** The walker keeps it; visitors read it. At an `end`, the frame that it closes can still be read. */
export class Frames {
  depth = 0
  /** Whether a target of the last `br_table` is a loop. */
  tableNamesLoop = false
  opcode: Uint8Array = new Uint8Array(FIRST_FRAMES)
  /** Height of the stack below the block's parameters. */
  base: Uint32Array = new Uint32Array(FIRST_FRAMES)
  params: Uint16Array = new Uint16Array(FIRST_FRAMES)
  results: Uint16Array = new Uint16Array(FIRST_FRAMES)

  push(opcode: number, base: number, params: number, results: number, at: number): void {
    if (this.depth >= MAX_NESTING) throw exceeds('blocks within blocks', this.depth + 1, MAX_NESTING, 'MAX_NESTING', at)
    if (this.depth === this.opcode.length) this.#grow()
    this.opcode[this.depth] = opcode
    this.base[this.depth] = base
    this.params[this.depth] = params
    this.results[this.depth] = results
    this.depth++
  }

  /** How many operands a branch to the frame at this depth carries. */
  arity(depth: number): number {
    return (this.opcode[depth] === Op.loop ? this.params[depth] : this.results[depth]) as number
  }

  #grow(): void {
    const length = this.depth * 2
    this.opcode = grown(this.opcode, length)
    this.base = grown(this.base, length)
    this.params = grown(this.params, length)
    this.results = grown(this.results, length)
  }
}
