/**
 * Modules as they were, with no more than memory and start function exported.
 *
 * @module
 */
import { Additions, privateNames } from '../src/additions.ts'
import { assemble } from '../src/assemble.ts'
import { type Signature, signatureOf } from '../src/checks.ts'
import { parse } from '../src/module.ts'
import { Reader } from '../src/reader.ts'
import { Section } from '../src/sections.ts'
import { Writer } from '../src/writer.ts'

export interface FunctionExport extends Signature {
  readonly name: string
}

/** The functions that a module exports, with their types, which JavaScript does not tell. */
export function functionExports(bytes: Uint8Array): FunctionExport[] {
  const module = parse(bytes)
  return module.exports
    .filter(({ kind }) => kind === 'function')
    .map(({ name, index }) => ({ name, ...signatureOf(module.types[module.functions[index] as number]) }))
}

/** `maximumPages` as `instrument` has it, so that memory grows alike. */
export function bareOf(bytes: Uint8Array, maximumPages = 1024): Uint8Array<ArrayBuffer> {
  const module = parse(bytes)
  const additions = new Additions(module)
  if (module.start !== undefined) additions.exports.push({ name: privateNames.start, kind: 'function', index: module.start })
  if (!module.exports.some(({ name }) => name === 'memory')) additions.exports.push({ name: 'memory', kind: 'memory', index: 0 })
  const code = module.sections.get(Section.code)
  const reader = new Reader(bytes, code?.start ?? 0, code?.end ?? 0)
  if (code !== undefined) reader.u32()
  const out = new Writer(bytes.length)
  const memory = { initial: module.memory.minimum, maximum: Math.min(module.memory.maximum ?? maximumPages, maximumPages) }
  assemble({ module, additions, out }, memory, bytes.subarray(reader.pos, reader.end))
  return out.view().slice()
}
