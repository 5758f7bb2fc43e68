/**
 * Plans where a body pays for what it did. The cost of a run of instructions that can only be passed as a whole is
 * charged at its end; what is left is checked where a program could go on for ever: at loops and at entries of functions.
 * Between calls the fuel is in a local; a callee and the caller find it in the global.
 *
 * @module
 */
import { BULK_SHIFT, costOf } from './costs.ts'
import { Edit, type EditList, FROM_GLOBAL, TO_GLOBAL, TO_LOCAL } from './edits.ts'
import type { Frames } from './frames.ts'
import { Op } from './opcodes.ts'

export class FuelPlan {
  readonly #edits: EditList
  readonly #frames: Frames
  /** Cost of the instructions since the last charge. */
  #pending = 0
  /** `FROM_GLOBAL` after a call, until someone needs it in the local. */
  #place = FROM_GLOBAL
  /** Whether a branch leads to the end of each open block. */
  #targeted: boolean[] = []
  /** Frames up to here are targeted, too. */
  #targetedUpTo = -1
  /** What the whole body costs if each instruction runs once. */
  total = 0
  calls = false
  /** It leaves elsewhere than at its last `end`, too. */
  leavesEarly = false

  constructor(edits: EditList, frames: Frames) {
    this.#edits = edits
    this.#frames = frames
  }

  enter(): void {
    this.#pending = 0
    this.#place = FROM_GLOBAL
    this.#targeted.length = 0
    this.#targeted.push(false)
    this.#targetedUpTo = -1
    this.total = 0
    this.calls = false
    this.leavesEarly = false
  }

  instruction(op: number, at: number, end: number, immediate: number, depth: number): void {
    const cost = costOf(op)
    this.#pending += cost
    this.total += cost
    switch (op) {
      case Op.block:
        this.#targeted.push(false)
        break
      case Op.loop:
        this.#toLocal(at)
        this.#targeted.push(false)
        this.#edits.push(Edit.check, end, end, 0)
        break
      case Op.if:
        this.#toLocal(at)
        this.#targeted.push(false)
        break
      case Op.else:
        this.#toLocal(at)
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
        this.#charge(at, TO_GLOBAL)
        this.#place = 0
        this.leavesEarly = true
        this.#edits.push(Edit.leave, at, end, depth)
        break
      case Op.unreachable:
        this.#pending = 0
        this.#place = 0
        break
      case Op.call:
      case Op.callIndirect:
        this.calls = true
        this.#charge(at, TO_GLOBAL)
        break
      case Op.memoryGrow:
        this.#charge(at, TO_GLOBAL)
        break
      case Op.memoryFill:
      case Op.memoryCopy:
      case Op.memoryInit:
        this.#toLocal(at)
        this.#edits.push(Edit.bulk, at, at, BULK_SHIFT)
        break
    }
  }

  /** Where ways part or meet: there it is in the local. */
  #toLocal(at: number): void {
    if (this.#pending > 0 || this.#place === FROM_GLOBAL) this.#charge(at, TO_LOCAL)
  }

  #charge(at: number, to: number): void {
    if (this.#pending > 0 || to !== TO_GLOBAL || this.#place !== FROM_GLOBAL) {
      this.#edits.push(Edit.charge, at, at, this.#pending, this.#place | to)
    }
    this.#pending = 0
    this.#place = to === TO_GLOBAL ? FROM_GLOBAL : 0
  }

  #end(at: number, depth: number): void {
    const op = this.#frames.opcode[depth]
    const targeted = this.#targeted.pop() === true || depth <= this.#targetedUpTo
    this.#targetedUpTo = Math.min(this.#targetedUpTo, depth - 1)
    if (depth === 0) this.#charge(at, TO_GLOBAL)
    // Nothing but what comes before leads to the end of a loop, or of a block that no branch names.
    else if (op === Op.if || op === Op.else || (op === Op.block && targeted)) this.#toLocal(at)
  }

  #branch(op: number, at: number, immediate: number, depth: number): void {
    const outermost = depth - immediate
    if (op === Op.brTable) this.#targetedUpTo = depth
    else this.#targeted[outermost] = true
    if (outermost > 0) this.#toLocal(at)
    else {
      this.leavesEarly = true
      this.#charge(at, op === Op.br ? TO_GLOBAL : TO_GLOBAL | TO_LOCAL)
    }
    if (op !== Op.brIf) this.#place = 0
  }
}
