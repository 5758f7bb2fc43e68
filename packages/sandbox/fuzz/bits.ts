/**
 * Calls WebAssembly functions of any signature and sees the bits of what they return: by a module that imports the function,
 * makes its arguments of integers and stores its results. JavaScript itself neither knows v128 nor keeps NaNs.
 *
 * @module
 */
import { leb, section, text, vector } from '../src/testing/bytes.ts'

export type NumberType = 'i32' | 'i64' | 'f32' | 'f64' | 'v128'

const CODE: Readonly<Record<NumberType, number>> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b }
const SIZE: Readonly<Record<NumberType, number>> = { i32: 4, i64: 8, f32: 4, f64: 8, v128: 16 }
/** Loads and stores without alignment. */
const LOAD: Readonly<Record<NumberType, readonly number[]>> = {
  i32: [0x28],
  i64: [0x29],
  f32: [0x2a],
  f64: [0x2b],
  v128: [0xfd, 0x00],
}
const STORE: Readonly<Record<NumberType, readonly number[]>> = {
  i32: [0x36],
  i64: [0x37],
  f32: [0x38],
  f64: [0x39],
  v128: [0xfd, 0x0b],
}

export interface BitsSignature {
  readonly params: readonly NumberType[]
  readonly results: readonly NumberType[]
}

/** Results are laid out behind the parameters. */
function moduleFor({ params, results }: BitsSignature): WebAssembly.Module {
  const code: number[] = []
  let at = params.reduce((sum, type) => sum + SIZE[type], 0)
  const places = results.map((type) => {
    const place = at
    at += SIZE[type]
    return place
  })
  let from = 0
  for (const type of params) {
    code.push(0x41, 0, ...LOAD[type], 0, ...leb(from))
    from += SIZE[type]
  }
  code.push(0x10, 0)
  // Results come off the stack last first, and a store wants its address below.
  for (let i = results.length - 1; i >= 0; i--) code.push(0x21, ...leb(i))
  for (const [i, type] of results.entries()) code.push(0x41, 0, 0x20, ...leb(i), ...STORE[type], 0, ...leb(places[i] as number))
  const body = [...vector(...results.map((type) => [1, CODE[type]])), ...code, 0x0b]
  const types = [params, results].map((list) => vector(...list.map((type) => [CODE[type]])))
  const pages = Math.ceil((at + 1) / 65536)
  return new WebAssembly.Module(
    Uint8Array.from([
      ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      ...section(1, vector([0x60, ...types.flat()], [0x60, 0, 0])),
      ...section(2, vector([...text('m'), ...text('f'), 0, 0])),
      ...section(3, vector([1])),
      ...section(5, vector([0, ...leb(pages)])),
      ...section(7, vector([...text('call'), 0, 1], [...text('memory'), 2, 0])),
      ...section(10, vector([...leb(body.length), ...body])),
    ]),
  )
}

const modules = new Map<string, WebAssembly.Module>()

/** Returns the bits of the results, little-endian, one after the other. */
export function callBits(target: unknown, signature: BitsSignature, args: Uint8Array): Uint8Array {
  const key = `${signature.params}:${signature.results}`
  let module = modules.get(key)
  if (module === undefined) {
    module = moduleFor(signature)
    modules.set(key, module)
  }
  const { call, memory } = new WebAssembly.Instance(module, { m: { f: target as WebAssembly.ExportValue } }).exports
  const bytes = new Uint8Array((memory as WebAssembly.Memory).buffer)
  bytes.set(args)
  ;(call as () => void)()
  const length = signature.results.reduce((sum, type) => sum + SIZE[type], 0)
  return bytes.slice(args.length, args.length + length)
}

export function sizeOf(type: NumberType): number {
  return SIZE[type]
}
