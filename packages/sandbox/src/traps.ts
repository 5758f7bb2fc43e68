/**
 * Tells a program's own fault from everything else, in the words of each engine.
 *
 * @module
 */
import { Trap, type TrapKind } from './errors.ts'

/** The messages of V8, SpiderMonkey and JavaScriptCore. The first match counts. */
const KINDS: readonly (readonly [RegExp, TrapKind])[] = [
  [/unreachable/i, 'unreachable'],
  [/out of bounds|memory access/i, 'out-of-bounds'],
  [/divide by zero|division by zero|remainder by zero/i, 'divide-by-zero'],
  [/unrepresentable|integer overflow|invalid conversion|truncation/i, 'unrepresentable'],
  [/signature|null function|indirect call/i, 'bad-indirect-call'],
]

const WORDS: Readonly<Record<TrapKind, string>> = {
  unreachable: 'reached an instruction that must not be reached (abort or panic)',
  'out-of-bounds': 'reached out of bounds of its memory or a table',
  'divide-by-zero': 'divided by zero',
  unrepresentable: 'made an integer of a number that does not fit',
  'bad-indirect-call': 'called a function through a pointer of the wrong type, or null',
  'stack-overflow': 'recursed too deeply',
  'out-of-fuel': 'ran out of fuel',
  refused: 'was refused by the host',
  other: 'trapped',
}

/** The engine's own stack is full, whoever filled it. */
export function isStackOverflow(error: unknown): boolean {
  if (error instanceof RangeError) return /call stack/i.test(error.message)
  return error instanceof Error && error.name === 'InternalError' && /recursion/i.test(error.message)
}

/** A `Trap` for what a program did wrong; anything else (a host function's own error) comes back as it is. */
export function asTrap(error: unknown): unknown {
  if (error instanceof Trap) return error
  if (!(error instanceof WebAssembly.RuntimeError)) return error
  const kind = KINDS.find(([pattern]) => pattern.test(error.message))?.[1] ?? 'other'
  return trap(kind, error)
}

export function trap(kind: TrapKind, cause?: unknown): Trap {
  return new Trap(`the program ${WORDS[kind]}`, { kind, cause })
}
