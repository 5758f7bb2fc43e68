import { afterEach, beforeEach, expect, test } from 'vitest'
import { Trap } from './errors.ts'
import { refusal } from './testing/errors.ts'
import { run } from './testing/run.ts'

/** This package is compiled without Node's types. */
interface NodeProcess {
  getBuiltinModule(name: 'node:v8'): { setFlagsFromString(flag: string): void }
}
const v8 = (globalThis as unknown as { process: NodeProcess }).process.getBuiltinModule('node:v8')

/** Lets the engine hand out so many pages in each memory, whatever a module's limits say. */
const limitPages = (pages: number) => v8.setFlagsFromString(`--wasm-max-mem-pages=${pages}`)

beforeEach(() => limitPages(4))
afterEach(() => limitPages(65536))

const MODULE = `(module (memory 1 8)
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "abort") unreachable))`

test('memory that the module may have and the host has not is no -1, and no fault of the program', async () => {
  const instance = await run(MODULE)
  expect(instance.call('grow', 8)).toBe(-1)
  expect(instance.call('grow', -1)).toBe(-1)
  expect(instance.call('grow', 3)).toBe(1)
  expect(instance.call('grow', 5)).toBe(-1)
  expect(() => instance.call('abort')).toThrow(Trap)
  expect(refusal(() => instance.call('grow', 1)).code).toBe('HOST_MEMORY')
})

test('nor can an image be restored there', async () => {
  const image = (pages: number) => ({ memoryBytes: pages * 65536, chunks: [], globals: [] })
  const instance = await run(MODULE)
  instance.restore(image(4))
  expect(refusal(() => instance.restore(image(5))).code).toBe('HOST_MEMORY')
  expect(refusal(() => instance.restore(image(9))).code).toBe('BAD_IMAGE')
})
