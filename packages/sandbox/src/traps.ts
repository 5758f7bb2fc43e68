/**
 * Tells a program's own fault from everything else, in the words of each engine.
 *
 * @module
 */
import { Trap, type TrapKind } from './errors.ts'

/** V8's and SpiderMonkey's messages; JavaScriptCore's where they are known. First match counts. */
const KINDS: readonly (readonly [RegExp, TrapKind])[] = [
  [/unreachable/i, 'unreachable'],
  [/table index|table access|index out of bounds.*table|out of bounds table/i, 'table-out-of-bounds'],
  [/memory access|index out of bounds|out of bounds memory/i, 'memory-out-of-bounds'],
  [/divide by zero|division by zero|remainder by zero/i, 'divide-by-zero'],
  [/result unrepresentable|integer overflow|divide result/i, 'integer-overflow'],
  [/float unrepresentable|invalid conversion|out of range|truncat/i, 'bad-conversion'],
  [/signature|null function|indirect call/i, 'bad-indirect-call'],
]

const WORDS: Readonly<Record<TrapKind, string>> = {
  unreachable: 'reached an instruction that must not be reached (abort or panic)',
  'memory-out-of-bounds': 'touched memory out of bounds',
  'table-out-of-bounds': 'touched a table out of bounds',
  'divide-by-zero': 'divided by zero',
  'integer-overflow': 'divided to a result that does not fit',
  'bad-conversion': 'converted a float that fits no integer',
  'bad-indirect-call': 'called a function through a pointer of the wrong type, or null',
  'stack-overflow': 'recursed too deeply',
  refused: 'was refused by the host',
  other: 'trapped',
}

function isStackOverflow(error: unknown): boolean {
  if (error instanceof RangeError) return /call stack/i.test(error.message)
  return error instanceof Error && error.name === 'InternalError' && /recursion/i.test(error.message)
}

/** A `Trap` for what a program did wrong; anything else (a host function's own error) comes back as it is. */
export function asTrap(error: unknown): unknown {
  if (error instanceof Trap) return error
  if (isStackOverflow(error)) return trap('stack-overflow', error)
  if (!(error instanceof WebAssembly.RuntimeError)) return error
  const kind = KINDS.find(([pattern]) => pattern.test(error.message))?.[1] ?? 'other'
  return trap(kind, error)
}

function trap(kind: TrapKind, cause: unknown): Trap {
  return new Trap(`the program ${WORDS[kind]}`, { kind, cause })
}
