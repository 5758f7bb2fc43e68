/**
 * Plans where a body pays for what it did. The cost of a run of instructions that can only be passed as a whole is
 * charged at its end; what is left is checked where a program could go on for ever: at loops and at entries of functions.
 *
 * @module
 */
import type { Body } from './body.ts'
import { costOf } from './costs.ts'
import { Edit, type EditList } from './edits.ts'
import { Op } from './opcodes.ts'

export class FuelPlan {
  readonly #edits: EditList
  /** Cost of the instructions since the last charge. */
  #pending = 0
  /** Opcode of each open block, `else` for an `if` that is in its second arm. */
  #frames: number[] = []
  /** Whether a branch leads to the end of each open block. */
  #targeted: boolean[] = []
  /** Frames up to here are targeted, too. */
  #targetedUpTo = -1

  constructor(edits: EditList) {
    this.#edits = edits
  }

  enter(body: Body): void {
    this.#pending = 0
    this.#frames.length = 0
    this.#targeted.length = 0
    this.#targetedUpTo = -1
    this.#open(Op.block)
    this.#edits.push(Edit.enter, body.codeAt, body.codeAt, 0)
  }

  instruction(op: number, at: number, end: number, immediate: number, depth: number): void {
    this.#pending += costOf(op)
    switch (op) {
      case Op.block:
        this.#open(op)
        break
      case Op.loop:
        this.#charge(at)
        this.#open(op)
        this.#edits.push(Edit.check, end, end, 0)
        break
      case Op.if:
        this.#charge(at)
        this.#open(op)
        break
      case Op.else:
        this.#charge(at)
        this.#frames[depth] = op
        break
      case Op.end:
        this.#end(at, depth)
        break
      case Op.br:
      case Op.brIf:
      case Op.brTable:
        this.#branch(op, at, immediate, depth)
        break
      case Op.return:
        this.#leave(Edit.flush, at)
        break
      case Op.unreachable:
        this.#pending = 0
        break
      case Op.call:
      case Op.callIndirect:
        this.#leave(Edit.flush, at)
        this.#edits.push(Edit.reload, end, end, 0)
        break
    }
  }

  #open(op: number): void {
    this.#frames.push(op)
    this.#targeted.push(false)
  }

  #charge(at: number): void {
    if (this.#pending > 0) this.#edits.push(Edit.charge, at, at, this.#pending)
    this.#pending = 0
  }

  /** Charges where the fuel has to be in the global. */
  #leave(kind: number, at: number): void {
    this.#edits.push(kind, at, at, this.#pending)
    this.#pending = 0
  }

  #end(at: number, depth: number): void {
    const op = this.#frames.pop()
    const targeted = this.#targeted.pop() === true || depth <= this.#targetedUpTo
    this.#targetedUpTo = Math.min(this.#targetedUpTo, depth - 1)
    if (depth === 0) this.#leave(Edit.flush, at)
    // Nothing but what comes before leads to the end of a loop, or of a block that no branch names.
    else if (op === Op.if || op === Op.else || (op === Op.block && targeted)) this.#charge(at)
  }

  #branch(op: number, at: number, immediate: number, depth: number): void {
    const outermost = depth - immediate
    if (op === Op.brTable) this.#targetedUpTo = depth
    else this.#targeted[outermost] = true
    if (outermost === 0) this.#leave(op === Op.br ? Edit.flush : Edit.flushAndKeep, at)
    else this.#charge(at)
  }
}
