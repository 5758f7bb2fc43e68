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
import { Edit, type EditList, FROM_GLOBAL, grown, TO_GLOBAL, TO_LOCAL } from './edits.ts'
import type { Frames } from './frames.ts'
import { Op } from './opcodes.ts'

/** What is known of the open blocks, by their depth. */
class Blocks {
  /** Ways that lead to the block's end, or from an `if` to its `else`, but for the one from what stands before. */
  branches: Uint32Array = new Uint32Array(256)
  /** Of a loop: the charge before it, and what those who go to its head pay for the run there. */
  before: Int32Array = new Int32Array(256)
  prepaid: Int32Array = new Int32Array(256)
  /** Most that any loop up to this block is prepaid. */
  mostPrepaid: Int32Array = new Int32Array(256)

  open(depth: number, branches: number): void {
    if (depth === this.branches.length) {
      this.branches = grown(this.branches, depth * 2)
      this.before = grown(this.before, depth * 2)
      this.prepaid = grown(this.prepaid, depth * 2)
      this.mostPrepaid = grown(this.mostPrepaid, depth * 2)
    }
    this.branches[depth] = branches
    this.prepaid[depth] = 0
    this.mostPrepaid[depth] = depth === 0 ? 0 : (this.mostPrepaid[depth - 1] as number)
  }
}

/**
 * Charges before forward branches since the last that stays. One is not needed if what its branch skips is little.
 */
class SoftCharges {
  length = 0
  /** The edit; -1: there was nothing to charge. */
  edit: Int32Array = new Int32Array(64)
  cost: Int32Array = new Int32Array(64)
  /** Depth of the block to whose end the branch leads. */
  target: Int32Array = new Int32Array(64)

  push(edit: number, cost: number, target: number): void {
    const i = this.length++
    if (i === this.edit.length) {
      this.edit = grown(this.edit, i * 2)
      this.cost = grown(this.cost, i * 2)
      this.target = grown(this.target, i * 2)
    }
    this.edit[i] = edit
    this.cost[i] = cost
    this.target[i] = target
  }
}

export class FuelPlan {
  readonly #edits: EditList
  readonly #frames: Frames
  /** Functions below this index are the host's. */
  readonly #imports: number
  /** Cost of the instructions since the last charge; below zero after a way back that was paid and not taken. */
  #pending = 0
  /** `FROM_GLOBAL` after a call, until someone needs it in the local. */
  #place = FROM_GLOBAL
  readonly #blocks = new Blocks()
  /** Frames up to here are targets of a `br_table`. */
  #targetedUpTo = -1
  readonly #soft = new SoftCharges()
  /** Depth of the loop at whose head this run started; -1: it started elsewhere. */
  #head = -1
  /** What the whole body costs if each instruction runs once. */
  total = 0
  calls = false
  /** It leaves elsewhere than at its last `end`, too. */
  leavesEarly = false

  constructor(edits: EditList, frames: Frames, imports: number) {
    this.#imports = imports
    this.#edits = edits
    this.#frames = frames
  }

  enter(): void {
    this.#pending = 0
    this.#place = FROM_GLOBAL
    this.#targetedUpTo = -1
    this.#soft.length = 0
    this.#head = -1
    this.#blocks.open(0, 0)
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
        this.#blocks.open(depth + 1, 0)
        break
      case Op.loop:
        this.#loop(at, end, depth)
        break
      case Op.if:
        this.#blocks.open(depth + 1, 1)
        this.#split(at, depth + 1, depth + 1)
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
        // Nothing is asked of the host by who cannot pay for the way there.
        if (op === Op.call && immediate < this.#imports) this.#edits.push(Edit.checkGlobal, at, at, 0)
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
  #split(at: number, target: number, depth: number): void {
    this.#prepay(depth)
    if (this.#place === FROM_GLOBAL) {
      this.#toLocal(at)
      this.#soft.push(-1, 0, target)
      return
    }
    const cost = this.#pending
    const edit = cost === 0 ? -1 : this.#edits.push(Edit.charge, at, at, cost, TO_LOCAL)
    this.#soft.push(edit, cost, target)
    this.#pending = 0
  }

  /** If this is the run at a loop's head, those who go there pay it. */
  #prepay(depth: number): void {
    const head = this.#head
    this.#head = -1
    if (head < 0 || this.#pending <= 0 || this.#place === FROM_GLOBAL) return
    const { prepaid, mostPrepaid, before } = this.#blocks
    const { needed, value } = this.#edits
    const charge = before[head] as number
    prepaid[head] = this.#pending
    for (let i = head; i <= depth; i++) mostPrepaid[i] = Math.max(mostPrepaid[i] as number, this.#pending)
    needed[charge] = 1
    value[charge] = (value[charge] as number) + this.#pending
    this.#pending = 0
  }

  #loop(at: number, end: number, depth: number): void {
    const pending = this.#pending
    const needed = pending !== 0 || this.#place === FROM_GLOBAL ? 1 : 0
    this.#soft.length = 0
    this.#blocks.open(depth + 1, 0)
    this.#blocks.before[depth + 1] = this.#edits.push(Edit.charge, at, at, pending, this.#place | TO_LOCAL, needed)
    this.#pending = 0
    this.#place = 0
    this.#head = depth + 1
    this.#edits.push(Edit.check, end, end, 0)
  }

  #else(at: number, depth: number, live: boolean): void {
    if (!live) return
    this.#blocks.branches[depth] = (this.#blocks.branches[depth] as number) + 1
    this.#split(at, depth, depth)
  }

  #end(at: number, depth: number, live: boolean): void {
    const branches = this.#blocks.branches[depth] as number
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
      if (soft.target[i] !== depth) return false
      if (i > first) skipped += soft.cost[i] as number
      if (skipped > SMALL_COST) return false
    }
    this.#pending = skipped + (soft.cost[first] as number)
    for (let i = first; i < soft.length; i++) {
      const edit = soft.edit[i] as number
      if (edit >= 0) this.#edits.needed[edit] = 0
    }
    soft.length = first
    return true
  }

  #branch(op: number, at: number, immediate: number, depth: number): void {
    const outermost = depth - immediate
    const back = op !== Op.brTable && this.#frames.opcode[outermost] === Op.loop
    if (op !== Op.brTable) this.#blocks.branches[outermost] = (this.#blocks.branches[outermost] as number) + 1
    if (outermost === 0) {
      this.leavesEarly = true
      if (op === Op.brTable) this.#payTable(depth)
      this.#charge(at, op === Op.br ? TO_GLOBAL : TO_GLOBAL | TO_LOCAL)
    } else if (op === Op.brTable) {
      this.#prepay(depth)
      this.#payTable(depth)
      this.#toLocal(at)
    } else if (back) {
      const prepaid = this.#blocks.prepaid[outermost] as number
      this.#pending += prepaid
      this.#toLocal(at)
      // Who does not go round gets it back.
      if (op === Op.brIf) this.#pending = -prepaid
    } else if (op === Op.brIf) this.#split(at, outermost, depth)
    else this.#toLocal(at)
    if (op === Op.brTable) this.#targetedUpTo = depth
    if (op !== Op.brIf) {
      this.#place = 0
      this.#pending = 0
    }
  }

  /** A table may lead to any of the loops that are open. */
  #payTable(depth: number): void {
    if (!this.#frames.tableNamesLoop) return
    this.#pending += this.#blocks.mostPrepaid[depth] as number
  }
}
