/**
 * Checks a module and rewrites it, in one pass over its bodies: types, functions, globals and exports are
 * appended, so that no index in the module shifts.
 *
 * @module
 */
import { Additions, addAccessors, addDropAccessors, addFuel, privateNames } from './additions.ts'
import { assemble } from './assemble.ts'
import {
  capMemory,
  checkExports,
  checkImports,
  checkOptions,
  type InstrumentOptions,
  type Signature,
  signatureOf,
} from './checks.ts'
import { SandboxError } from './errors.ts'
import * as limits from './limits.ts'
import { type ExternKind, parse } from './module.ts'
import { rewriteBodies } from './rewrite.ts'
import { typeName, type ValTypeName } from './types.ts'
import { CURRENT, type Version } from './versions.ts'
import { Writer } from './writer.ts'

/** What `instantiate` must know of a module and its bytes do not say plainly. */
export interface Layout {
  /** Type of each mutable global, in index order. */
  readonly globals: readonly ValTypeName[]
  readonly hasStart: boolean
  /** Passive data segments that the module may drop. */
  readonly droppable: number
  /** It can tell whether the host refused it memory under the cap. */
  readonly grows: boolean
  /** What active data segments write at instantiation: [start, end), bytes. */
  readonly preset: readonly (readonly [start: number, end: number])[]
}

/** Plain data: may be stored and posted to a worker. */
export interface Instrumented {
  readonly bytes: Uint8Array
  readonly imports: readonly ({ readonly module: string; readonly name: string } & Signature)[]
  /** The module's own exports, and `memory`. */
  readonly exports: readonly { readonly name: string; readonly kind: ExternKind }[]
  readonly memory: { readonly initialBytes: number; readonly maximumBytes: number }
  readonly version: Version
  readonly layout: Layout
}

/**
 * Checks a module against the deterministic profile and rewrites it so that `instantiate` can keep and set its
 * whole state. Deterministic: the same bytes and cap give the same result everywhere.
 *
 * The profile is WebAssembly 2.0 with one memory of the module's own, imports of functions alone, and tables
 * that do not change.
 *
 * @throws {SandboxError} the module is refused; nothing of it has run. `offset` is into `bytes`.
 */
export function instrument(bytes: Uint8Array, options: InstrumentOptions): Instrumented {
  const cap = checkOptions(options)
  const module = parse(bytes)
  checkImports(module, options)
  checkExports(module, options)
  const memory = capMemory(module, cap)

  const additions = new Additions(module)
  const bodies = new Writer(bytes.length)
  const globals = addFuel(additions)
  const { dropped, grows } = rewriteBodies({ module, additions, maximumPages: memory.maximum, globals, out: bodies })
  // After our own checks, which name what is wrong: the engine's only say that something is.
  if (!WebAssembly.validate(bytes as Uint8Array<ArrayBuffer>)) {
    throw new SandboxError('MALFORMED', 'not a valid WebAssembly module: the types of its instructions do not fit')
  }

  const mutables: number[] = []
  module.globals.forEach(({ mutable, type }, index) => {
    if (mutable) addAccessors(additions, mutables.push(type) - 1, index, type)
  })
  addDropAccessors(additions, dropped)
  if (module.start !== undefined) {
    additions.exports.push({ name: privateNames.start, kind: 'function', index: module.start })
  }
  const exports = module.exports.map(({ name, kind }) => ({ name, kind }))
  if (!exports.some(({ name }) => name === 'memory')) {
    additions.exports.push({ name: 'memory', kind: 'memory', index: 0 })
    exports.push({ name: 'memory', kind: 'memory' })
  }

  const out = new Writer(bytes.length + bodies.length)
  assemble({ module, additions, out }, memory, bodies.view())
  return {
    bytes: out.view().slice(),
    imports: module.imports.map(({ module: from, name, type }) => ({ module: from, name, ...signatureOf(module.types[type]) })),
    exports,
    memory: { initialBytes: memory.initial * limits.PAGE_BYTES, maximumBytes: memory.maximum * limits.PAGE_BYTES },
    version: options.version ?? CURRENT,
    layout: {
      globals: mutables.map(typeName),
      hasStart: module.start !== undefined,
      droppable: dropped.size,
      grows,
      preset: module.data.flatMap(({ address, bytes: length }) =>
        address === undefined || length === 0 ? [] : [[address, address + length] as const],
      ),
    },
  }
}
