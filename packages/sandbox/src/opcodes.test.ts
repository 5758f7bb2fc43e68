import { expect, test } from 'vitest'
import { instrument } from './instrument.ts'
import { EFFECT, EFFECT_FC, EFFECT_FD, IMMEDIATES, IMMEDIATES_FC, IMMEDIATES_FD, Imm } from './opcodes.ts'
import { functionModule, leb, repeat } from './testing/bytes.ts'
import { refusal } from './testing/errors.ts'
import { ALLOW } from './testing/wide.ts'

/** An immediate of each kind that is valid in `functionModule`; undefined: blocks, which have their own tests. */
const SAMPLES: Readonly<Record<number, readonly number[]>> = {
  [Imm.none]: [],
  [Imm.noReturn]: [],
  [Imm.label]: [0],
  [Imm.branchTable]: [1, 0, 0],
  [Imm.call]: [0],
  [Imm.callIndirect]: [0, 0],
  [Imm.selectTyped]: [1, 0x7f],
  [Imm.local]: [0],
  [Imm.global]: [0],
  [Imm.table]: [0],
  [Imm.memarg]: [0, 1],
  [Imm.memory]: [0],
  [Imm.i32]: [0x80, 0x7f],
  [Imm.i64]: [0x80, 0x80, 0x7f],
  [Imm.f32]: repeat(4, 0),
  [Imm.f64]: repeat(8, 0),
  [Imm.refNull]: [0x70],
  [Imm.refFunc]: [0],
  [Imm.dataMemory]: [0, 0],
  [Imm.data]: [0],
  [Imm.elem]: [0],
  [Imm.memoryMemory]: [0, 0],
  [Imm.lane]: [1],
  [Imm.memargLane]: [0, 1, 1],
  [Imm.bytes16]: repeat(16, 0),
}

const LOCALS = [1, 1, 0x7f]

const OPERANDS: readonly (readonly number[])[] = [
  [0x41, 0],
  [0x42, 0],
  [0x43, 0, 0, 0, 0],
  [0x44, ...repeat(8, 0)],
  [0xfd, 0x0c, ...repeat(16, 0)],
  [0xd2, 0],
]

interface Instruction {
  readonly name: string
  readonly code: readonly number[]
  readonly kind: number
  readonly effect: number
}

const all: Instruction[] = []
const add = (prefix: readonly number[], number: number, kind: number, effect: number) => {
  const encoded = prefix.length === 0 ? [number] : [...prefix, ...leb(number)]
  const name = encoded.map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
  all.push({ name, code: [...encoded, ...(SAMPLES[kind] ?? [])], kind, effect })
}
for (let op = 0; op < 256; op++) {
  const kind = IMMEDIATES[op] as number
  if (kind !== Imm.prefixFc && kind !== Imm.prefixFd) add([], op, kind, EFFECT[op] as number)
}
for (let sub = 0; sub < 64; sub++) add([0xfc], sub, IMMEDIATES_FC[sub] ?? Imm.refused, EFFECT_FC[sub] ?? 0)
for (let sub = 0; sub < 512; sub++) add([0xfd], sub, IMMEDIATES_FD[sub] ?? Imm.refused, EFFECT_FD[sub] ?? 0)

const accepted = all.filter(({ kind }) => SAMPLES[kind] !== undefined)

test('the table has the instructions of WebAssembly 2.0', () => {
  // Of the 1.0, sign extension, saturation, bulk memory, references and SIMD, less those that change tables.
  expect(accepted.filter(({ code }) => code[0] === 0xfd)).toHaveLength(236)
  expect(accepted.filter(({ code }) => code[0] === 0xfc)).toHaveLength(14)
  expect(all.filter(({ kind }) => kind === Imm.block || kind === Imm.else || kind === Imm.end)).toHaveLength(5)
  expect(accepted.filter(({ code }) => (code[0] as number) < 0xfc)).toHaveLength(177)
})

test('the engine takes each with the immediates that the table says', () => {
  for (const { name, code } of accepted) {
    // After unreachable operands may be of any type and number.
    const module = functionModule([0x00, ...code, 0x00], LOCALS)
    expect(WebAssembly.validate(module), name).toBe(true)
    expect(() => instrument(module, ALLOW), name).not.toThrow()
  }
})

test('the others are refused', () => {
  for (const { name, code, kind } of all) {
    if (kind !== Imm.refused) continue
    expect(['UNSUPPORTED_FEATURE', 'MALFORMED'], name).toContain(
      refusal(() => instrument(functionModule([0x00, ...code]), ALLOW)).code,
    )
  }
})

/** Finds by trial which operands the engine wants, and so how many it takes and leaves. */
function measuredEffect(code: readonly number[]): number | undefined {
  let stacks: (readonly number[])[] = [[]]
  for (let pops = 0; pops <= 3; pops++) {
    for (const stack of stacks) {
      for (const pushes of [0, 1]) {
        if (WebAssembly.validate(functionModule([...stack, ...code, ...repeat(pushes, 0x1a)], LOCALS))) return pushes - pops
      }
    }
    stacks = stacks.flatMap((stack) => OPERANDS.map((operand) => [...stack, ...operand]))
  }
  return undefined
}

test('each changes the height of the stack as the table says', () => {
  for (const { name, code, kind, effect } of accepted) {
    if (kind === Imm.noReturn || kind === Imm.branchTable || name === '0c') continue
    expect(measuredEffect(code), name).toBe(effect)
  }
})
