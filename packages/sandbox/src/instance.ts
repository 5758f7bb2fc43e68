/**
 * Compiles, instantiates, calls, and keeps and sets the state of an instrumented module.
 *
 * @module
 */

import { privateNames } from './additions.ts'
import { CHUNK_BYTES } from './chunks.ts'
import { SandboxError } from './errors.ts'
import { accessor, badImage, dropAccessor, restoreGlobals } from './globals.ts'
import type { Instrumented } from './instrument.ts'
import { PAGE_BYTES } from './limits.ts'
import { asTrap, isStackOverflow, trap } from './traps.ts'

export interface Compiled {
  readonly module: WebAssembly.Module
  readonly instrumented: Instrumented
}

/** What goes in and out of a WebAssembly function here: i32, f32 and f64 are numbers, i64 bigint. */
export type Value = number | bigint

/** Throw `Trap` to refuse; whatever else it throws reaches the caller of `call` as it is. */
// biome-ignore lint/suspicious/noConfusingVoidType: what a function without a result returns.
export type HostFunction = (...args: never[]) => Value | void

export type Imports = Readonly<Record<string, Readonly<Record<string, HostFunction>>>>

/** The whole state of an instance. */
export interface StateImage {
  /** Length of the memory; a multiple of 64 KiB. */
  readonly memoryBytes: number
  /** Chunks of `CHUNK_BYTES`; what is left out is zero. Ascending order is not needed; the last one of an index counts. */
  readonly chunks: Iterable<readonly [index: number, bytes: Uint8Array]>
  /** As `Instance.globals` gave them. */
  readonly globals: readonly Uint8Array[]
}

export interface Instance {
  /** A fresh view of the linear memory: `memory.grow` detaches earlier ones. */
  memory(): Uint8Array
  /** Whether the module exports a function of this name. */
  has(name: string): boolean
  /**
   * Calls an exported function.
   *
   * @throws {Trap} the program trapped, ran out of stack or fuel, or a host function refused
   * @throws {SandboxError} `MISSING_EXPORT`, `BAD_CALL`, `HOST_MEMORY` and `HOST_STACK` (this host has less than the program
   * may use: drop the instance, it is no fault of the program's); anything else was thrown by a host function
   */
  call(name: string, ...args: readonly Value[]): Value | undefined
  /**
   * Gives calls this much fuel, together, until it is set again. Before the first time there is no limit.
   *
   * @param limit 0 to 2^63 - 1
   * @throws {SandboxError} `BAD_CALL`
   */
  setFuel(limit: bigint): void
  /** What is left: exact after a call that returned, and the same in every engine; 0 when it was used up. */
  fuel(): bigint
  /**
   * Takes fuel as if the program had used it. For host functions, before they do anything: the program goes on with what is left.
   *
   * @param amount a whole number, 0 to 2^53 - 1
   * @throws {Trap} `out-of-fuel`; let it pass
   * @throws {SandboxError} `BAD_CALL`
   */
  charge(amount: number): void
  /** Runs the module's start function, if it has one. It does not run by itself. */
  start(): void
  /**
   * Exact bits of every mutable global, little-endian, in index order: 4, 8 or 16 bytes. If the module drops
   * passive data segments, one entry more: a bit for each that says whether it was dropped.
   */
  globals(): Uint8Array[]
  /**
   * Makes this fresh instance the one that the image was taken of. After an error drop the instance.
   *
   * @throws {SandboxError} `BAD_IMAGE`, `HOST_MEMORY`
   */
  restore(image: StateImage): void
  /**
   * Changes what the image names and leaves the rest of the memory as it is: a chunk that became zero has to be
   * named. The memory may be larger than before, never smaller; segments stay dropped. After an error drop the instance.
   *
   * @throws {SandboxError} `BAD_IMAGE`, `HOST_MEMORY`
   */
  patch(image: StateImage): void
}

/**
 * Compiles what `instrument` made.
 *
 * @throws {SandboxError} `ENGINE_REFUSED`, `HOST_MEMORY`
 */
export async function compile(instrumented: Instrumented): Promise<Compiled> {
  try {
    return { module: await WebAssembly.compile(instrumented.bytes as Uint8Array<ArrayBuffer>), instrumented }
  } catch (cause) {
    if (cause instanceof RangeError) throw new SandboxError('HOST_MEMORY', 'no memory to compile the module', { cause })
    throw new SandboxError('ENGINE_REFUSED', `this engine does not compile the module: ${String(cause)}`, { cause })
  }
}

/** Engines may keep a NaN's bits on their way through JavaScript, where nothing tells them apart: hand on the canonical one. */
function withCanonicalNan(value: HostFunction): HostFunction {
  return (...args) => {
    const result = value(...args)
    return Number.isNaN(result) ? Number.NaN : result
  }
}

function collectImports(instrumented: Instrumented, imports: Imports): Record<string, Record<string, HostFunction>> {
  const collected: Record<string, Record<string, HostFunction>> = Object.create(null)
  for (const { module, name, results } of instrumented.imports) {
    const from = Object.hasOwn(imports, module) ? imports[module] : undefined
    const value = from !== undefined && Object.hasOwn(from, name) ? from[name] : undefined
    if (typeof value !== 'function') {
      throw new SandboxError('MISSING_IMPORT', `the module imports the function "${module}.${name}", which it was not handed`)
    }
    collected[module] ??= Object.create(null) as Record<string, HostFunction>
    const float = results[0] === 'f32' || results[0] === 'f64'
    ;(collected[module] as Record<string, HostFunction>)[name] = float ? withCanonicalNan(value) : value
  }
  return collected
}

function createInstance(compiled: Compiled, imports: Imports): WebAssembly.Instance {
  const collected = collectImports(compiled.instrumented, imports)
  try {
    return new WebAssembly.Instance(compiled.module, collected as WebAssembly.Imports)
  } catch (cause) {
    // An active segment that lies outside of its memory or table.
    if (cause instanceof WebAssembly.RuntimeError) throw asTrap(cause)
    if (cause instanceof RangeError) throw new SandboxError('HOST_MEMORY', 'no memory for another instance', { cause })
    throw new SandboxError('ENGINE_REFUSED', `this engine does not instantiate the module: ${String(cause)}`, { cause })
  }
}

const MAX_FUEL = 2n ** 63n - 1n

type WasmFunction = (...args: readonly Value[]) => unknown

function sizeMemory(memory: WebAssembly.Memory, instrumented: Instrumented, memoryBytes: number): Uint8Array {
  const { initialBytes, maximumBytes } = instrumented.memory
  const now = memory.buffer.byteLength
  if (memoryBytes % PAGE_BYTES !== 0 || memoryBytes < initialBytes || memoryBytes > maximumBytes) {
    throw badImage(`a memory of ${memoryBytes} bytes; it has ${initialBytes} to ${maximumBytes}, in pages of ${PAGE_BYTES}`)
  }
  if (memoryBytes < now) throw badImage(`the memory has grown to ${now} bytes and cannot shrink; restore into a fresh instance`)
  if (memoryBytes > now) {
    try {
      memory.grow((memoryBytes - now) / PAGE_BYTES)
    } catch (cause) {
      throw new SandboxError('HOST_MEMORY', `no memory for an instance of ${memoryBytes} bytes`, { cause })
    }
  }
  return new Uint8Array(memory.buffer)
}

function writeChunks(view: Uint8Array, chunks: StateImage['chunks']): void {
  const count = view.length / CHUNK_BYTES
  for (const [index, bytes] of chunks) {
    if (!Number.isInteger(index) || index < 0 || index >= count) throw badImage(`chunk ${index} of ${count}`)
    if (bytes.length !== CHUNK_BYTES) throw badImage(`chunk ${index} has ${bytes.length} bytes instead of ${CHUNK_BYTES}`)
    view.set(bytes, index * CHUNK_BYTES)
  }
}

/**
 * Makes an instance. Nothing of the module's code runs; its active segments are in place.
 *
 * @throws {SandboxError} `MISSING_IMPORT`, `HOST_MEMORY`, `ENGINE_REFUSED`
 * @throws {Trap} an active segment lies outside of its memory or table
 */
export function instantiate(compiled: Compiled, imports: Imports): Instance {
  const { instrumented } = compiled
  const { layout } = instrumented
  const { exports } = createInstance(compiled, imports)
  const memory = exports.memory as WebAssembly.Memory
  const functions = new Map<string, WasmFunction>()
  for (const { name, kind } of instrumented.exports) {
    if (kind === 'function') functions.set(name, exports[name] as WasmFunction)
  }
  const accessors = layout.globals.map((type, n) => accessor(exports, type, n))
  if (layout.droppable > 0) accessors.push(dropAccessor(exports, layout.droppable))
  const readFuel = exports[privateNames.fuel] as () => bigint
  const writeFuel = exports[privateNames.setFuel] as (limit: bigint) => void
  const spent = exports[privateNames.spent] as () => number
  const unwind = exports[privateNames.unwind] as () => void
  const overflowed = exports[privateNames.overflowed] as () => number
  let view = new Uint8Array(memory.buffer)
  let fresh = true
  /** Calls that are under way: a host function may call back. */
  let open = 0

  /** What a call that did not return is to be called. */
  const faultOf = (error: unknown): unknown => {
    if (isStackOverflow(error))
      return new SandboxError('HOST_STACK', 'this host has less stack than the program may use', { cause: error })
    if (!(error instanceof WebAssembly.RuntimeError)) return error
    if (layout.grows && (exports[privateNames.starved] as WasmFunction)() === 1) {
      return new SandboxError('HOST_MEMORY', 'no memory for what the program may have', { cause: error })
    }
    // Whatever came of it: a run that used more than it had is one that ran out.
    if (spent() === 1) return trap('out-of-fuel', error)
    return overflowed() === 1 ? trap('stack-overflow', error) : asTrap(error)
  }
  const run = (target: WasmFunction, args: readonly Value[]): unknown => {
    fresh = false
    open++
    try {
      const result = target(...args)
      if (spent() === 1) throw trap('out-of-fuel')
      return result
    } catch (error) {
      const fault = faultOf(error)
      if (open === 1) unwind()
      throw fault
    } finally {
      open--
    }
  }
  return {
    memory: () => {
      fresh = false
      if (view.buffer !== memory.buffer) view = new Uint8Array(memory.buffer)
      return view
    },
    has: (name) => functions.has(name),
    call: (name, ...args: Value[]) => {
      const target = functions.get(name)
      if (target === undefined) throw new SandboxError('MISSING_EXPORT', `the module exports no function "${name}"`)
      for (let i = 0; i < args.length; i++) if (Number.isNaN(args[i])) args[i] = Number.NaN
      const result = run(target, args)
      if (result === undefined || typeof result === 'number' || typeof result === 'bigint') return result
      throw new SandboxError('BAD_CALL', `the function "${name}" returns something else than one number`)
    },
    setFuel: (limit) => {
      if (limit < 0n || limit > MAX_FUEL) throw new SandboxError('BAD_CALL', `fuel is 0 to 2^63 - 1, not ${limit}`)
      writeFuel(limit)
    },
    fuel: () => {
      const left = readFuel()
      return left < 0n ? 0n : left
    },
    charge: (amount) => {
      if (!Number.isSafeInteger(amount) || amount < 0)
        throw new SandboxError('BAD_CALL', `fuel is charged in whole numbers, not ${amount}`)
      const left = readFuel() - BigInt(amount)
      writeFuel(left)
      if (left < 0n) throw trap('out-of-fuel')
    },
    start: () => {
      if (layout.hasStart) run(exports[privateNames.start] as WasmFunction, [])
    },
    globals: () => accessors.map((entry) => entry.read()),
    restore: (image) => {
      const bytes = sizeMemory(memory, instrumented, image.memoryBytes)
      // A page that is not touched costs nothing: clear no more than what can differ from zero.
      if (fresh) for (const [start, end] of layout.preset) bytes.fill(0, start, end)
      else bytes.fill(0)
      writeChunks(bytes, image.chunks)
      restoreGlobals(accessors, image.globals)
      fresh = false
    },
    patch: (image) => {
      writeChunks(sizeMemory(memory, instrumented, image.memoryBytes), image.chunks)
      restoreGlobals(accessors, image.globals)
      fresh = false
    },
  }
}
