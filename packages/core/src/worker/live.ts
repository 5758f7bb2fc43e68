/**
 * A live instance of an agent's module: made, filled with a boundary, begun, and asked for what an upgrade carries over.
 *
 * @module
 */
import { type Compiled, type Instance, instantiate, Trap } from '@igor/sandbox'
import { WASI } from './capabilities.ts'
import { chargesCalls } from './hostcall-costs.ts'
import { igorImports } from './hostcalls.ts'
import type { Boundary } from './image.ts'
import type { Session } from './session.ts'
import { wasiImports } from './wasi.ts'

/** An instance and the session that its hostcalls answer from. */
export interface Live {
  readonly compiled: Compiled
  readonly instance: Instance
  readonly use: (session: Session) => void
}

export const createLive = (compiled: Compiled, granted: readonly string[]): Live => {
  let current: Session | undefined
  let instance: Instance | undefined
  const there = (): Instance => {
    if (instance === undefined) throw new Error('a hostcall before the instance stood')
    return instance
  }
  const host = {
    memory: () => there().memory(),
    charge: chargesCalls(compiled.instrumented.version) ? (fuel: number) => there().charge(fuel) : () => {},
    session: () => {
      if (current === undefined) throw new Error('a hostcall outside of a tick')
      return current
    },
  }
  instance = instantiate(compiled, { igor: igorImports(host, granted), [WASI]: wasiImports(host, granted) })
  return {
    compiled,
    instance,
    use: (session) => {
      current = session
    },
  }
}

/**
 * Making an instance costs several times as much as filling one, and engines are slow to give memories
 * back. Restoring overwrites all that a program can see, but cannot shrink a memory or undo a dropped segment.
 */
export const fits = ({ compiled, instance }: Live, wanted: Compiled, boundary: Boundary): boolean =>
  compiled === wanted && compiled.instrumented.layout.droppable === 0 && instance.memory().length <= boundary.memory.bytes

export const fill = ({ instance }: Live, boundary: Boundary): void => {
  const { memory, globals } = boundary
  instance.restore({ memoryBytes: memory.bytes, chunks: [...memory.chunks], globals })
}

/** Start function and constructors. */
export const begin = (instance: Instance, onstep: (name: string) => void = () => {}): void => {
  onstep('its start function')
  instance.start()
  callIf(instance, instance.has('_initialize') ? '_initialize' : '_start', onstep)
}

export const callIf = (instance: Instance, name: string, onstep: (name: string) => void): void => {
  onstep(name)
  if (instance.has(name)) instance.call(name)
}

const number = (instance: Instance, name: string, ...args: readonly number[]): number => {
  if (!instance.has(name)) throw new Trap(`the module does not export ${name}: it cannot take part in an upgrade`)
  const value = instance.call(name, ...args)
  return typeof value === 'number' ? value >>> 0 : 0
}

/** What the old module hands over. @throws Trap */
export const takeCheckpoint = (instance: Instance): Uint8Array => {
  const length = number(instance, 'agent_checkpoint')
  const at = number(instance, 'agent_checkpoint_ptr')
  const memory = instance.memory()
  if (at + length > memory.length) throw new Trap('what agent_checkpoint names lies outside of the memory')
  return memory.slice(at, at + length)
}

/** Gives it to the new one. @throws Trap */
export const resumeFrom = (instance: Instance, bytes: Uint8Array): void => {
  const at = number(instance, 'malloc', bytes.length)
  const memory = instance.memory()
  if (at + bytes.length > memory.length) throw new Trap('what malloc gave lies outside of the memory')
  memory.set(bytes, at)
  number(instance, 'agent_resume', at, bytes.length)
}
