/**
 * What the caller asks of a module, beyond the profile.
 *
 * @module
 */
import { PRIVATE_PREFIX } from './additions.ts'
import { SandboxError } from './errors.ts'
import * as limits from './limits.ts'
import type { ExternKind, ModuleExport, ParsedModule } from './module.ts'
import { Section } from './sections.ts'
import { type FuncType, typeName, type ValTypeName } from './types.ts'
import { isKnownVersion, type Version, versionText } from './versions.ts'

/** A function's type in words. */
export interface Signature {
  readonly params: readonly ValTypeName[]
  readonly results: readonly ValTypeName[]
}

export interface RequiredExport {
  readonly name: string
  readonly kind: ExternKind
  /** Of a function; not checked if left out. */
  readonly params?: readonly ValTypeName[]
  readonly results?: readonly ValTypeName[]
  /** It may be absent, but if it is there it must fit. */
  readonly optional?: boolean
}

export interface InstrumentOptions {
  /** Cap of the linear memory in bytes, rounded down to pages of 64 KiB; at most 4 GiB. */
  readonly maxMemoryBytes: number
  /** true, or why not, for people. */
  allowImport(module: string, name: string, signature: Signature): true | string
  readonly requiredExports?: readonly RequiredExport[]
  /** One of `VERSIONS`: the one that made what is to come out again. Default: the current one. */
  readonly version?: Version
}

export function signatureOf(type: FuncType | undefined): Signature {
  return { params: Array.from(type?.params ?? [], typeName), results: Array.from(type?.results ?? [], typeName) }
}

/** Returns the memory's cap in pages. */
export function checkOptions(options: InstrumentOptions): number {
  const { maxMemoryBytes } = options
  if (!Number.isSafeInteger(maxMemoryBytes) || maxMemoryBytes < 0 || maxMemoryBytes > limits.MAX_MEMORY_BYTES) {
    throw new SandboxError('BAD_OPTION', `maxMemoryBytes must be a whole number from 0 to ${limits.MAX_MEMORY_BYTES}`)
  }
  if (options.version !== undefined && !isKnownVersion(options.version)) {
    throw new SandboxError('BAD_OPTION', `${versionText(options.version)} is not known here`)
  }
  return Math.floor(maxMemoryBytes / limits.PAGE_BYTES)
}

export function checkImports(module: ParsedModule, options: InstrumentOptions): void {
  for (const { module: from, name, type, offset } of module.imports) {
    const answer = options.allowImport(from, name, signatureOf(module.types[type]))
    if (answer !== true) {
      throw new SandboxError('IMPORT_REFUSED', `the import "${from}.${name}" is refused: ${answer}`, {
        offset,
        feature: `${from}.${name}`,
      })
    }
  }
}

export function checkExports(module: ParsedModule, options: InstrumentOptions): void {
  const byName = new Map<string, ModuleExport>()
  for (const entry of module.exports) {
    byName.set(entry.name, entry)
    if (entry.name.startsWith(PRIVATE_PREFIX)) {
      throw new SandboxError('RESERVED_NAME', `the export "${entry.name}" begins with "${PRIVATE_PREFIX}", which is reserved`, {
        offset: entry.offset,
      })
    }
  }
  const memory = byName.get('memory')
  if (memory !== undefined && memory.kind !== 'memory') {
    throw new SandboxError('WRONG_EXPORT', `the export "memory" is a ${memory.kind}; it must be the memory`, {
      offset: memory.offset,
    })
  }
  for (const wanted of options.requiredExports ?? []) {
    const found = byName.get(wanted.name)
    if (found === undefined) {
      if (wanted.optional === true || wanted.name === 'memory') continue
      throw new SandboxError('MISSING_EXPORT', `the module must export the ${wanted.kind} "${wanted.name}"`, {
        feature: wanted.name,
      })
    }
    if (found.kind !== wanted.kind) {
      throw new SandboxError('WRONG_EXPORT', `the export "${wanted.name}" is a ${found.kind}; it must be a ${wanted.kind}`, {
        offset: found.offset,
        feature: wanted.name,
      })
    }
    if (found.kind === 'function') checkSignature(module, found, wanted)
  }
}

function checkSignature(module: ParsedModule, found: ModuleExport, wanted: RequiredExport): void {
  const is = signatureOf(module.types[module.functions[found.index] as number])
  const params = wanted.params ?? is.params
  const results = wanted.results ?? is.results
  if (is.params.join() === params.join() && is.results.join() === results.join()) return
  const words = (signature: Signature) => `(${signature.params.join(', ')}) -> (${signature.results.join(', ')})`
  throw new SandboxError(
    'WRONG_EXPORT',
    `the function "${found.name}" is ${words(is)}; it must be ${words({ params, results })}`,
    {
      offset: found.offset,
      feature: found.name,
    },
  )
}

/** Lowers the memory's maximum to the cap. Returns pages. */
export function capMemory(module: ParsedModule, cap: number): { initial: number; maximum: number } {
  const { minimum, maximum } = module.memory
  if (minimum > cap) {
    const bytes = (pages: number) => `${pages * limits.PAGE_BYTES} bytes`
    throw new SandboxError('MEMORY_LIMIT', `the memory starts with ${bytes(minimum)}; the cap is ${bytes(cap)}`, {
      offset: module.sections.get(Section.memory)?.start,
    })
  }
  return { initial: minimum, maximum: Math.min(maximum ?? cap, cap) }
}
