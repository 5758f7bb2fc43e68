/**
 * Rewrites function bodies.
 *
 * @module
 */
import { type Additions, addGrow } from './additions.ts'
import { type Body, BodyWalker, type Visitor } from './body.ts'
import * as limits from './limits.ts'
import type { ParsedModule } from './module.ts'
import { Op } from './opcodes.ts'
import { exceeds, malformed, Reader } from './reader.ts'
import { Section } from './sections.ts'
import type { Writer } from './writer.ts'

/** What the bodies need besides themselves. */
export interface Rewritten {
  /** Global that says whether a passive segment was dropped, by segment. */
  readonly dropped: ReadonlyMap<number, number>
  /** `memory.grow` was replaced. */
  readonly grows: boolean
}

/** Writes bodies: copies what lies between two edits. */
class BodyEditor implements Visitor {
  readonly #out: Writer
  readonly #module: ParsedModule
  readonly #additions: Additions
  readonly #maximumPages: number
  readonly dropped = new Map<number, number>()
  #grow: number | undefined
  /** What lies before was written already. */
  #copied = 0

  constructor(module: ParsedModule, additions: Additions, maximumPages: number, out: Writer) {
    this.#module = module
    this.#additions = additions
    this.#maximumPages = maximumPages
    this.#out = out
  }

  get grows(): boolean {
    return this.#grow !== undefined
  }

  enter(body: Body): void {
    this.#copied = body.localsAt
  }

  instruction(op: number, at: number, end: number, immediate: number): void {
    if (op === Op.dataDrop) this.#drop(immediate, at, end)
    else if (op === Op.memoryGrow) {
      this.#grow ??= addGrow(this.#additions, this.#maximumPages)
      this.#upTo(at, end)
      this.#out.byte(Op.call)
      this.#out.u32(this.#grow)
    }
  }

  leave(body: Body): void {
    this.#upTo(body.end, body.end)
  }

  /** Copies what comes before `at`; what comes before `next` is left out. */
  #upTo(at: number, next: number): void {
    this.#out.copy(this.#module.bytes, this.#copied, at)
    this.#copied = next
  }

  /** Whether a segment was dropped is state that no one can ask for: note it in a global. */
  #drop(segment: number, at: number, end: number): void {
    // An active one is dropped from the start.
    if (this.#module.data[segment]?.address !== undefined) return
    let global = this.dropped.get(segment)
    if (global === undefined) {
      global = this.#additions.global()
      this.dropped.set(segment, global)
      if (this.dropped.size > limits.MAX_DROPPED_SEGMENTS) {
        throw exceeds('data segments that it drops', this.dropped.size, limits.MAX_DROPPED_SEGMENTS, 'MAX_DROPPED_SEGMENTS', at)
      }
    }
    this.#upTo(end, end)
    this.#out.put(Op.i32Const, 1, Op.globalSet)
    this.#out.u32(global)
  }
}

/** Writes the module's bodies into `out`, each with its size. */
export function rewriteBodies(module: ParsedModule, additions: Additions, maximumPages: number, out: Writer): Rewritten {
  const editor = new BodyEditor(module, additions, maximumPages, out)
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
