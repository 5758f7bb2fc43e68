/**
 * Rewrites function bodies: each is walked once, which plans its edits, and then written.
 *
 * @module
 */
import { type Additions, addGrow } from './additions.ts'
import { type Body, BodyWalker, type Visitor } from './body.ts'
import { Edit, EditList } from './edits.ts'
import { FuelPlan } from './fuel.ts'
import * as limits from './limits.ts'
import type { ParsedModule } from './module.ts'
import { Op } from './opcodes.ts'
import { exceeds, malformed, Reader } from './reader.ts'
import { Section } from './sections.ts'
import { ValType } from './types.ts'
import type { Writer } from './writer.ts'

/** What the bodies need besides themselves. */
export interface Rewritten {
  /** Global that says whether a passive segment was dropped, by segment. */
  readonly dropped: ReadonlyMap<number, number>
  /** `memory.grow` was replaced. */
  readonly grows: boolean
}

interface Context {
  readonly module: ParsedModule
  readonly additions: Additions
  readonly maximumPages: number
  /** Global that has what is left of the fuel. */
  readonly fuel: number
  readonly out: Writer
}

class BodyEditor implements Visitor {
  readonly #context: Context
  readonly #edits = new EditList()
  readonly #fuel = new FuelPlan(this.#edits)
  readonly dropped = new Map<number, number>()
  #grow: number | undefined

  constructor(context: Context) {
    this.#context = context
  }

  get grows(): boolean {
    return this.#grow !== undefined
  }

  enter(body: Body): void {
    this.#edits.clear()
    this.#fuel.enter(body)
  }

  instruction(op: number, at: number, end: number, immediate: number, depth: number): void {
    this.#fuel.instruction(op, at, end, immediate, depth)
    if (op === Op.dataDrop) this.#drop(immediate, at, end)
    else if (op === Op.memoryGrow) {
      this.#grow ??= addGrow(this.#context.additions, this.#context.maximumPages)
      this.#edits.push(Edit.grow, at, end, this.#grow)
    }
  }

  leave(body: Body): void {
    const { out, module } = this.#context
    out.u32(body.groups + 1)
    out.copy(module.bytes, body.groupsAt, body.codeAt)
    out.put(1, ValType.i64)
    const { count, at, next, kind, value } = this.#edits
    let copied = body.codeAt
    for (let i = 0; i < count; i++) {
      const from = at[i] as number
      if (from > copied) out.copy(module.bytes, copied, from)
      this.#write(kind[i] as number, value[i] as number, body.locals)
      copied = next[i] as number
    }
    out.copy(module.bytes, copied, body.end)
  }

  #write(kind: number, value: number, local: number): void {
    const { out, fuel } = this.#context
    switch (kind) {
      case Edit.enter:
        out.op(Op.globalGet, fuel)
        out.op(Op.localTee, local)
        out.put(Op.i64Const, 0, Op.i64LtS, Op.if, 0x40, Op.unreachable, Op.end)
        break
      case Edit.charge:
        this.#subtract(value, local)
        out.op(Op.localSet, local)
        break
      case Edit.flush:
        this.#subtract(value, local)
        out.op(Op.globalSet, fuel)
        break
      case Edit.flushAndKeep:
        this.#subtract(value, local)
        out.op(Op.localTee, local)
        out.op(Op.globalSet, fuel)
        break
      case Edit.reload:
        out.op(Op.globalGet, fuel)
        out.op(Op.localSet, local)
        break
      case Edit.check:
        out.op(Op.localGet, local)
        out.put(Op.i64Const, 0, Op.i64LtS, Op.if, 0x40)
        out.op(Op.localGet, local)
        out.op(Op.globalSet, fuel)
        out.put(Op.unreachable, Op.end)
        break
      case Edit.grow:
        out.op(Op.call, value)
        break
      case Edit.drop:
        out.put(Op.i32Const, 1)
        out.op(Op.globalSet, value)
        break
    }
  }

  #subtract(cost: number, local: number): void {
    const { out } = this.#context
    out.op(Op.localGet, local)
    if (cost === 0) return
    out.byte(Op.i64Const)
    out.s32(cost)
    out.byte(Op.i64Sub)
  }

  /** Whether a segment was dropped is state that no one can ask for: note it in a global. */
  #drop(segment: number, at: number, end: number): void {
    // An active one is dropped from the start.
    if (this.#context.module.data[segment]?.address !== undefined) return
    let global = this.dropped.get(segment)
    if (global === undefined) {
      global = this.#context.additions.global()
      this.dropped.set(segment, global)
      if (this.dropped.size > limits.MAX_DROPPED_SEGMENTS) {
        throw exceeds('data segments that it drops', this.dropped.size, limits.MAX_DROPPED_SEGMENTS, 'MAX_DROPPED_SEGMENTS', at)
      }
    }
    this.#edits.push(Edit.drop, end, end, global)
  }
}

/** Writes the module's bodies into `out`, each with its size. */
export function rewriteBodies(context: Context): Rewritten {
  const { module, out } = context
  const editor = new BodyEditor(context)
  const walker = new BodyWalker(module, editor)
  const own = module.functions.length - module.imports.length
  const range = module.sections.get(Section.code)
  const reader = new Reader(module.bytes, range?.start ?? 0, range?.end ?? 0)
  const count = range === undefined ? 0 : reader.count('bodies', limits.MAX_FUNCTIONS, 'MAX_FUNCTIONS')
  if (count !== own) throw malformed(`it declares ${own} functions but has ${count} bodies`, range?.start ?? 0)
  for (let i = 0; i < count; i++) out.sized(() => walker.walk(reader, module.imports.length + i))
  if (reader.pos !== reader.end) throw malformed('section 10 is longer than its contents', reader.pos)
  return { dropped: editor.dropped, grows: editor.grows }
}
