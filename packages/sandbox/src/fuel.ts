/**
 * Plans where a body pays for what it did. The cost of a run of instructions that can only be passed as a whole is
 * charged at its end; what is left is checked where a program could go on for ever: at loops and at entries of functions.
 * Between calls the fuel is in a local; a callee and the caller find it in the global.
 *
 * Two things save charges, which is most of what metering costs. What a forward branch skips is charged to both ways if
 * it is little. And the run at the head of a loop, up to the test that ends it, is paid by whoever goes there: before the
 * loop, and where it goes round.
 *
 * @module
 */
import { BULK_SHIFT, costOf, SMALL_COST } from './costs.ts'
import { Edit, type EditList, FROM_GLOBAL, TO_GLOBAL, TO_LOCAL } from './edits.ts'
import type { Frames } from './frames.ts'
import { Op } from './opcodes.ts'

/** What is known of an open block. */
interface Block {
  /** Ways that lead to its end, or from an `if` to its `else`, but for the one from what stands before. */
  branches: number
  /** Of a loop: the charge before it, and what those who go to its head pay for the run there. */
  before: number
  prepaid: number
  /** Most that any loop up to this block is prepaid. */
  mostPrepaid: number
}

/** A charge before a forward branch, which is not needed if what the branch skips is little. */
interface Soft {
  /** The edit; -1: there was nothing to charge. */
  readonly edit: number
  readonly cost: number
  /** Depth of the block to whose end the branch leads. */
  readonly target: number
}

export class FuelPlan {
  readonly #edits: EditList
  readonly #frames: Frames
  /** Cost of the instructions since the last charge; below zero after a way back that was paid and not taken. */
  #pending = 0
  /** `FROM_GLOBAL` after a call, until someone needs it in the local. */
  #place = FROM_GLOBAL
  readonly #blocks: Block[] = []
  /** Frames up to here are targets of a `br_table`. */
  #targetedUpTo = -1
  /** Charges since the last that stays. */
  readonly #soft: Soft[] = []
  /** Depth of the loop at whose head this run started; -1: it started elsewhere. */
  #head = -1
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
    this.#blocks.length = 0
    this.#targetedUpTo = -1
    this.#soft.length = 0
    this.#head = -1
    this.#open(0)
    this.total = 0
    this.calls = false
    this.leavesEarly = false
  }

  /** `live`: what stands before leads here. Only at `else` and `end` may it be false. */
  instruction(op: number, at: number, end: number, immediate: number, depth: number, live: boolean): void {
    const cost = costOf(op)
    this.#pending += cost
    this.total += cost
    switch (op) {
      case Op.block:
        this.#open(0)
        break
      case Op.loop:
        this.#loop(at, end, depth)
        break
      case Op.if:
        this.#open(1)
        this.#split(at, depth + 1)
        break
      case Op.else:
        this.#else(at, depth, live)
        break
      case Op.end:
        this.#end(at, depth, live)
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

  #open(branches: number): void {
    const mostPrepaid = this.#blocks.at(-1)?.mostPrepaid ?? 0
    this.#blocks.push({ branches, before: -1, prepaid: 0, mostPrepaid })
  }

  /** Where ways part or meet: there it is in the local. */
  #toLocal(at: number): void {
    if (this.#pending !== 0 || this.#place === FROM_GLOBAL) this.#charge(at, TO_LOCAL)
    this.#soft.length = 0
    this.#head = -1
  }

  #charge(at: number, to: number): void {
    if (this.#pending !== 0 || to !== TO_GLOBAL || this.#place !== FROM_GLOBAL) {
      this.#edits.push(Edit.charge, at, at, this.#pending, this.#place | to)
    }
    this.#pending = 0
    this.#place = to === TO_GLOBAL ? FROM_GLOBAL : 0
    this.#soft.length = 0
    this.#head = -1
  }

  /** A forward branch to the end of the block at this depth. */
  #split(at: number, target: number): void {
    this.#prepay()
    if (this.#place === FROM_GLOBAL) {
      this.#toLocal(at)
      this.#soft.push({ edit: -1, cost: 0, target })
      return
    }
    const cost = this.#pending
    const edit = cost === 0 ? -1 : this.#edits.push(Edit.charge, at, at, cost, TO_LOCAL)
    this.#soft.push({ edit, cost, target })
    this.#pending = 0
  }

  /** If this is the run at a loop's head, those who go there pay it. */
  #prepay(): void {
    const head = this.#head
    this.#head = -1
    if (head < 0 || this.#pending <= 0 || this.#place === FROM_GLOBAL) return
    const block = this.#blocks[head] as Block
    const { needed, value } = this.#edits
    block.prepaid = this.#pending
    for (let i = head; i < this.#blocks.length; i++) {
      const inner = this.#blocks[i] as Block
      inner.mostPrepaid = Math.max(inner.mostPrepaid, block.prepaid)
    }
    needed[block.before] = 1
    value[block.before] = (value[block.before] as number) + block.prepaid
    this.#pending = 0
  }

  #loop(at: number, end: number, depth: number): void {
    const pending = this.#pending
    const needed = pending !== 0 || this.#place === FROM_GLOBAL ? 1 : 0
    this.#soft.length = 0
    this.#open(0)
    const before = this.#edits.push(Edit.charge, at, at, pending, this.#place | TO_LOCAL, needed)
    ;(this.#blocks.at(-1) as Block).before = before
    this.#pending = 0
    this.#place = 0
    this.#head = depth + 1
    this.#edits.push(Edit.check, end, end, 0)
  }

  #else(at: number, depth: number, live: boolean): void {
    if (!live) return
    ;(this.#blocks[depth] as Block).branches++
    this.#split(at, depth)
  }

  #end(at: number, depth: number, live: boolean): void {
    const { branches } = this.#blocks.pop() as Block
    if (this.#head === depth) this.#head = -1
    const tabled = depth <= this.#targetedUpTo
    this.#targetedUpTo = Math.min(this.#targetedUpTo, depth - 1)
    if (depth === 0) {
      if (live) this.#charge(at, TO_GLOBAL)
      return
    }
    // Nothing but what stands before leads to the end of a loop, or of a block that no branch names.
    if (this.#frames.opcode[depth] === Op.loop || (branches === 0 && !tabled)) return
    if (!tabled && this.#join(branches, depth)) return
    if (live) this.#toLocal(at)
    this.#soft.length = 0
    this.#head = -1
  }

  /** Charges to all who come here what some of them skipped, if it is little. */
  #join(branches: number, depth: number): boolean {
    const soft = this.#soft
    const first = soft.length - branches
    if (first < 0 || this.#place === FROM_GLOBAL) return false
    let skipped = this.#pending
    for (let i = soft.length - 1; i >= first; i--) {
      const { target, cost } = soft[i] as Soft
      if (target !== depth) return false
      if (i > first) skipped += cost
      if (skipped > SMALL_COST) return false
    }
    this.#pending = skipped + (soft[first] as Soft).cost
    for (let i = first; i < soft.length; i++) {
      const { edit } = soft[i] as Soft
      if (edit >= 0) this.#edits.needed[edit] = 0
    }
    soft.length = first
    return true
  }

  #branch(op: number, at: number, immediate: number, depth: number): void {
    const outermost = depth - immediate
    const target = this.#blocks[outermost] as Block
    const back = op !== Op.brTable && this.#frames.opcode[outermost] === Op.loop
    if (op !== Op.brTable) target.branches++
    if (outermost === 0) {
      this.leavesEarly = true
      if (op === Op.brTable) this.#payTable(depth)
      this.#charge(at, op === Op.br ? TO_GLOBAL : TO_GLOBAL | TO_LOCAL)
    } else if (op === Op.brTable) {
      this.#prepay()
      this.#payTable(depth)
      this.#toLocal(at)
    } else if (back) {
      this.#pending += target.prepaid
      this.#toLocal(at)
      // Who does not go round gets it back.
      if (op === Op.brIf) this.#pending = -target.prepaid
    } else if (op === Op.brIf) this.#split(at, outermost)
    else this.#toLocal(at)
    if (op === Op.brTable) this.#targetedUpTo = depth
    if (op !== Op.brIf) {
      this.#place = 0
      this.#pending = 0
    }
  }

  /** A table may lead to any of the loops that are open. */
  #payTable(depth: number): void {
    this.#pending += (this.#blocks[depth] as Block).mostPrepaid
  }
}
