/**
 * Rewrites function bodies: each is walked once, which plans its edits, and then written.
 *
 * @module
 */
import { type Additions, addGrow } from './additions.ts'
import { type Body, BodyWalker, type Visitor } from './body.ts'
import { Edit, EditList } from './edits.ts'
import { BodyWriter, type SharedGlobals } from './emit.ts'
import { Frames } from './frames.ts'
import { FuelPlan } from './fuel.ts'
import * as limits from './limits.ts'
import type { ParsedModule } from './module.ts'
import { NanPlan } from './nan.ts'
import { Op } from './opcodes.ts'
import { exceeds, malformed, Reader } from './reader.ts'
import { Section } from './sections.ts'
import type { FuncType } from './types.ts'
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
  readonly globals: SharedGlobals
  readonly out: Writer
}

/** Bytes of a frame beside its slots. */
const FRAME_BYTES = 48

/**
 * Bytes that a function takes of the stack: a slot for each local and operand, and those of the parameters again, since the
 * caller keeps them too. Measured as what V8's quick compiler takes, which is the most.
 */
function frameBytes(slots: number, vectors: boolean): number {
  return FRAME_BYTES + slots * (vectors ? 16 : 8)
}

class BodyEditor implements Visitor {
  readonly #context: Context
  readonly #edits = new EditList()
  readonly #fuel: FuelPlan
  readonly #nan: NanPlan
  readonly #writer: BodyWriter
  readonly dropped = new Map<number, number>()
  #grow: number | undefined
  /** Depth of the block whose rest cannot be reached; -1: this can. */
  #dead = -1
  #vectors = false

  constructor(context: Context, frames: Frames) {
    const { module, additions, out, globals } = context
    this.#context = context
    this.#fuel = new FuelPlan(this.#edits, frames, module.imports.length)
    this.#nan = new NanPlan(module, this.#edits, frames)
    this.#writer = new BodyWriter(module.bytes, out, globals, ({ params, results }) => additions.type(params, results))
  }

  get grows(): boolean {
    return this.#grow !== undefined
  }

  enter(body: Body): void {
    this.#dead = -1
    this.#vectors = false
    this.#edits.clear()
    this.#fuel.enter()
    this.#nan.enter(body)
  }

  instruction(op: number, at: number, end: number, immediate: number, depth: number, height: number): void {
    const live = this.#dead < 0
    if (!live) {
      if (depth !== this.#dead || (op !== Op.end && op !== Op.else)) return
      this.#dead = -1
    }
    this.#fuel.instruction(op, at, end, immediate, depth, live)
    this.#nan.instruction(op, end, immediate, depth, height)
    if (op > 0xff) {
      if (op === Op.dataDrop) this.#drop(immediate, at, end)
      else if (op >> 8 === 0xfd) this.#vectors = true
    } else if (op === Op.memoryGrow) {
      this.#grow ??= addGrow(this.#context.additions, this.#context.maximumPages, this.#context.globals.fuel)
      this.#edits.push(Edit.grow, at, end, this.#grow)
    } else if (op === Op.br || op === Op.brTable || op === Op.return || op === Op.unreachable) this.#dead = depth
  }

  leave(body: Body, height: number): void {
    const { module, out } = this.#context
    this.#nan.leave()
    const type = module.types[module.functions[body.index] as number] as FuncType
    const vectors = this.#vectors || this.#nan.hasVectors
    const frame = frameBytes(body.locals + height + type.params.length, vectors)
    const { calls, total, leavesEarly } = this.#fuel
    const start = out.length
    this.#writer.write(body, type, this.#edits, {
      checksFuel: calls || total > limits.MAX_LEAF_FUEL,
      frame: calls || frame > limits.MAX_LEAF_FRAME_BYTES ? frame : 0,
      leavesEarly,
    })
    const size = out.length - start
    if (size > limits.MAX_OUTPUT_BODY_BYTES) {
      const what = `bytes in function ${body.index} once it is rewritten`
      throw exceeds(what, size, limits.MAX_OUTPUT_BODY_BYTES, 'MAX_OUTPUT_BODY_BYTES', body.localsAt)
    }
    if (out.length > limits.MAX_OUTPUT_BYTES) {
      throw exceeds('bytes once it is rewritten', out.length, limits.MAX_OUTPUT_BYTES, 'MAX_OUTPUT_BYTES', body.localsAt)
    }
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
  const frames = new Frames()
  const editor = new BodyEditor(context, frames)
  const walker = new BodyWalker(module, editor, frames)
  const own = module.functions.length - module.imports.length
  const range = module.sections.get(Section.code)
  const reader = new Reader(module.bytes, range?.start ?? 0, range?.end ?? 0)
  const count = range === undefined ? 0 : reader.count('bodies', limits.MAX_FUNCTIONS, 'MAX_FUNCTIONS')
  if (count !== own) throw malformed(`it declares ${own} functions but has ${count} bodies`, range?.start ?? 0)
  for (let i = 0; i < count; i++) out.sized(() => walker.walk(reader, module.imports.length + i))
  if (reader.pos !== reader.end) throw malformed('section 10 is longer than its contents', reader.pos)
  return { dropped: editor.dropped, grows: editor.grows }
}
