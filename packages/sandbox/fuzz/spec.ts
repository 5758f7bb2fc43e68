/**
 * Runs the official tests of WebAssembly, which are not part of this repository, bare and instrumented side by side:
 *
 *     for f in testsuite/*.wast; do wast2json $f -o json/$(basename $f .wast).json; done
 *     node --conditions=source packages/sandbox/fuzz/spec.ts json
 *
 * https://github.com/WebAssembly/testsuite, wast2json of https://github.com/WebAssembly/wabt.
 *
 * @module
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { SandboxError } from '../src/errors.ts'
import { instrument } from '../src/instrument.ts'
import { leb, section, vector } from '../src/testing/bytes.ts'
import { callBits, type NumberType } from './bits.ts'

interface WastValue {
  readonly type: string
  readonly lane_type?: string
  readonly value?: string | readonly string[]
}
interface Action {
  readonly type: 'invoke' | 'get'
  readonly module?: string
  readonly field: string
  readonly args?: readonly WastValue[]
}
interface Command {
  readonly type: string
  readonly line: number
  readonly name?: string
  readonly as?: string
  readonly filename?: string
  readonly module_type?: string
  readonly action?: Action
  readonly expected?: readonly WastValue[]
  readonly text?: string
}

/** A module that has no memory gets one, since the profile wants it. */
function withMemory(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  let at = 8
  while (at < bytes.length) {
    const id = bytes[at] as number
    if (id === 5) return bytes as Uint8Array<ArrayBuffer>
    if (id > 5 && id !== 0) break
    let size = 0
    let pos = at + 1
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[pos++] as number
      size += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) break
    }
    at = pos + size
  }
  const memory = section(5, vector([0, ...leb(0)]))
  return Uint8Array.from([...bytes.subarray(0, at), ...memory, ...bytes.subarray(at)])
}

type Exports = Record<string, WebAssembly.ExportValue>
interface Side {
  readonly named: Map<string, Exports>
  readonly registered: Map<string, Exports>
  current: Exports | undefined
  /** A module was refused that would have changed what others share: only bare and instrumented are compared. */
  incomplete?: boolean
}
const side = (): Side => ({ named: new Map(), registered: new Map(), current: undefined })

const spectest: Exports = Object.fromEntries(
  ['print', 'print_i32', 'print_i64', 'print_f32', 'print_f64', 'print_i32_f32', 'print_f64_f64'].map((name) => [name, () => {}]),
)

const counts = { modules: 0, refused: 0, same: 0, skipped: 0, invalid: 0, failed: 0 }
const refusals = new Map<string, number>()
const failures: string[] = []

function fail(file: string, line: number, message: string): void {
  counts.failed++
  failures.push(`${file}:${line} ${message}`)
}

const scratch = new DataView(new ArrayBuffer(16))

function numberBits(type: string, value: string): Uint8Array {
  const bits = BigInt(value)
  scratch.setBigUint64(0, BigInt.asUintN(64, bits), true)
  return new Uint8Array(scratch.buffer.slice(0, type.endsWith('64') ? 8 : type === 'i8' ? 1 : type === 'i16' ? 2 : 4))
}

function bitsOf({ type, lane_type, value }: WastValue): Uint8Array | undefined {
  if (type === 'v128')
    return Uint8Array.from((value as readonly string[]).flatMap((lane) => [...numberBits(lane_type as string, lane)]))
  if (!/^[if](32|64)$/.test(type)) return undefined
  return numberBits(type, value as string)
}

/** Whether bits are what is expected; `nan:canonical` and `nan:arithmetic` both have to be the positive canonical one here. */
function fits(bits: Uint8Array, wanted: WastValue): boolean {
  const lanes = wanted.type === 'v128' ? (wanted.value as readonly string[]) : [wanted.value as string]
  const type = (wanted.type === 'v128' ? wanted.lane_type : wanted.type) as string
  const size = bits.length / lanes.length
  return lanes.every((lane, i) => {
    const got = bits.subarray(i * size, (i + 1) * size)
    if (lane.startsWith('nan:')) {
      const canonical = type === 'f32' ? [0, 0, 0xc0, 0x7f] : [0, 0, 0, 0, 0, 0, 0xf8, 0x7f]
      if (canonical.every((byte, at) => byte === got[at])) return true
      // What neither is arithmetic's (abs, neg, copysign, promote of a given NaN, pmin) keeps its bits.
      return size === 4
        ? ((got[3] as number) & 0x7f) === 0x7f && ((got[2] as number) & 0xc0) === 0xc0
        : ((got[6] as number) & 0xf8) === 0xf8
    }
    return numberBits(type, lane).every((byte, at) => byte === got[at])
  })
}

interface Outcome {
  readonly bits?: readonly Uint8Array[]
  readonly value?: unknown
  readonly trap?: string
}

function perform(exports: Exports | undefined, action: Action, expected: readonly WastValue[]): Outcome {
  const target = exports?.[action.field]
  if (target === undefined) throw new Error(`no export ${action.field}`)
  if (action.type === 'get') return { value: (target as WebAssembly.Global).value }
  const args = action.args ?? []
  const bits = args.map(bitsOf)
  const numeric =
    bits.every((entry) => entry !== undefined) && expected.every((wanted) => /^([if](32|64)|v128)$/.test(wanted.type))
  try {
    if (!numeric) {
      const values = args.map((arg, i) =>
        bits[i] === undefined ? (arg.value === 'null' ? null : Number(arg.value)) : Number(arg.value),
      )
      return { value: (target as (...args: unknown[]) => unknown)(...values) }
    }
    const signature = {
      params: args.map(({ type }) => type as NumberType),
      results: expected.map(({ type }) => type as NumberType),
    }
    const all = callBits(target, signature, Uint8Array.from(bits.flatMap((entry) => [...(entry as Uint8Array)])))
    let at = 0
    return {
      bits: signature.results.map((type) => {
        const size = type === 'v128' ? 16 : type.endsWith('64') ? 8 : 4
        at += size
        return all.subarray(at - size, at)
      }),
    }
  } catch (error) {
    if (error instanceof WebAssembly.LinkError) throw error
    if (error instanceof WebAssembly.RuntimeError) return { trap: error.message }
    if (error instanceof RangeError) return { trap: 'exhausted' }
    throw error
  }
}

function importsFor(module: WebAssembly.Module, from: Side): WebAssembly.Imports {
  const imports: WebAssembly.Imports = {}
  for (const { module: name, name: field } of WebAssembly.Module.imports(module)) {
    const value = name === 'spectest' ? spectest[field] : from.registered.get(name)?.[field]
    if (value === undefined) continue
    imports[name] ??= {}
    imports[name][field] = value
  }
  return imports
}

function instantiate(bytes: Uint8Array<ArrayBuffer>, from: Side, hasStart: boolean): Exports {
  const module = new WebAssembly.Module(bytes)
  const exports = new WebAssembly.Instance(module, importsFor(module, from)).exports as Exports
  if (hasStart) (exports['sandbox:start'] as () => void)()
  return exports
}

const attempt = (act: () => Exports): Exports | string => {
  try {
    return act()
  } catch (error) {
    return error instanceof WebAssembly.RuntimeError
      ? error.message
      : error instanceof WebAssembly.LinkError
        ? 'link'
        : String(error)
  }
}

function load(file: string, command: Command, bytes: Uint8Array, bare: Side, inside: Side): void {
  bare.current = undefined
  inside.current = undefined
  counts.modules++
  const module = withMemory(bytes)
  let instrumented: ReturnType<typeof instrument>
  try {
    instrumented = instrument(module, { maxMemoryBytes: 2 ** 32, allowImport: () => true })
  } catch (error) {
    if (!(error instanceof SandboxError)) throw error
    counts.refused++
    bare.incomplete = true
    const why = error.feature ?? error.code
    refusals.set(why, (refusals.get(why) ?? 0) + 1)
    if (error.code === 'MALFORMED' && WebAssembly.validate(module))
      fail(file, command.line, `refused though valid: ${error.message}`)
    return
  }
  const left = attempt(() => instantiate(module, bare, false))
  const right = attempt(() => instantiate(instrumented.bytes as Uint8Array<ArrayBuffer>, inside, instrumented.layout.hasStart))
  if (typeof left === 'string' || typeof right === 'string') {
    if (left !== right) fail(file, command.line, `instantiation: bare ${String(left)}, instrumented ${String(right)}`)
    return
  }
  bare.current = left
  inside.current = right
  if (command.name !== undefined) {
    bare.named.set(command.name, left)
    inside.named.set(command.name, right)
  }
}

function memoryOf(exports: Exports | undefined): Uint8Array | undefined {
  const memory = Object.values(exports ?? {}).find((value) => value instanceof WebAssembly.Memory)
  return memory && new Uint8Array((memory as WebAssembly.Memory).buffer)
}

function act(file: string, command: Command, bare: Side, inside: Side): void {
  const action = command.action as Action
  const pick = (from: Side) => (action.module === undefined ? from.current : from.named.get(action.module))
  if (pick(inside) === undefined || pick(bare) === undefined) {
    counts.skipped++
    return
  }
  const expected = command.expected ?? []
  const left = perform(pick(bare), action, expected)
  const right = perform(pick(inside), action, expected)
  // What traps does not give back what it took of the stack.
  ;(pick(inside) as Record<string, () => void>)['sandbox:unwind']?.()
  const where = `${action.field}(${(action.args ?? []).map(({ value }) => value)})`
  if (left.trap !== undefined || right.trap !== undefined) {
    const deep = left.trap === 'exhausted' && right.trap === 'unreachable'
    if (left.trap !== right.trap && !deep) fail(file, command.line, `${where}: bare ${left.trap}, instrumented ${right.trap}`)
    else if (command.type === 'assert_return' && !bare.incomplete) fail(file, command.line, `${where} trapped: ${right.trap}`)
    else counts.same++
    return
  }
  if (!Object.is(left.value, right.value) && typeof right.value !== 'function')
    fail(file, command.line, `${where}: ${left.value}, ${right.value}`)
  const judged = command.type === 'assert_return' && !bare.incomplete
  const wrong = expected.find((wanted, i) => judged && right.bits !== undefined && !fits(right.bits[i] as Uint8Array, wanted))
  if (wrong !== undefined)
    fail(file, command.line, `${where}: ${right.bits?.map((b) => [...b])} instead of ${JSON.stringify(wrong)}`)
  const memories = [memoryOf(pick(bare)), memoryOf(pick(inside))] as const
  if (memories[0] !== undefined && memories[1] !== undefined && memories[0].length <= 2 ** 24) {
    if (memories[0].length !== memories[1].length || memories[0].some((byte, at) => byte !== memories[1]?.[at])) {
      fail(file, command.line, `${where}: memories differ`)
    }
  }
  counts.same++
}

const folder = process.argv[2] ?? '.'
for (const file of readdirSync(folder)
  .filter((name) => name.endsWith('.json'))
  .sort()) {
  const { commands } = JSON.parse(readFileSync(join(folder, file), 'utf8')) as { commands: Command[] }
  const bare = side()
  const inside = side()
  for (const command of commands) {
    const bytes = () => new Uint8Array(readFileSync(join(folder, command.filename as string)))
    switch (command.type) {
      case 'module':
        load(file, command, bytes(), bare, inside)
        break
      case 'register':
        for (const from of [bare, inside]) {
          const exports = command.name === undefined ? from.current : from.named.get(command.name)
          if (exports !== undefined) from.registered.set(command.as as string, exports)
        }
        break
      case 'assert_return':
      case 'assert_trap':
      case 'assert_exhaustion':
      case 'action':
        act(file, command, bare, inside)
        break
      case 'assert_invalid':
      case 'assert_malformed':
        if (command.module_type !== 'binary') break
        try {
          const module = bytes()
          instrument(module, { maxMemoryBytes: 2 ** 32, allowImport: () => true })
          if (!WebAssembly.validate(module)) fail(file, command.line, `accepted an invalid module: ${command.text}`)
        } catch (error) {
          if (error instanceof SandboxError) counts.invalid++
          else fail(file, command.line, `another error: ${String(error)}`)
        }
        break
      case 'assert_uninstantiable':
      case 'assert_unlinkable':
        load(file, { ...command, name: undefined as never }, bytes(), bare, inside)
        break
    }
  }
}
for (const failure of failures.slice(0, 100)) console.log(failure)
console.log(counts, Object.fromEntries([...refusals].sort((a, b) => b[1] - a[1])))
process.exitCode = counts.failed > 0 ? 1 : 0
