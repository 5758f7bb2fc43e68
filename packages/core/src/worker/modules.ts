/**
 * Modules as one thread knows them: instrumented and compiled, by what they were instrumented for.
 *
 * @module
 */
import { type Compiled, CURRENT, compile, instrument, type RequiredExport, SandboxError } from '@igor/sandbox'
import type { ErrorCode } from '../errors.ts'
import { judgeImport } from './capabilities.ts'
import { nameOfKey } from './module-key.ts'
import type { ModuleKey } from './protocol.ts'

/** Said of what an agent brought; nothing of it is kept. */
export class Refusal extends Error {
  readonly code: ErrorCode
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

export interface Modules {
  /**
   * @returns the version of the instrumentation
   * @throws Refusal BAD_MODULE | CAPABILITY_NOT_GRANTED
   */
  load(key: ModuleKey, bytes: Uint8Array): Promise<number>
  get(key: ModuleKey): Compiled | undefined
  unload(key: ModuleKey): void
}

/** What the sandbox would call a defect of this host and not of the module. */
const HOST_CODES: ReadonlySet<string> = new Set(['HOST_MEMORY', 'BAD_OPTION', 'ENGINE_REFUSED'])

const called = { kind: 'function', params: [], results: [] } as const
/** What the runtime calls; all but the tick may be left out. */
const EXPORTS: readonly RequiredExport[] = [
  { ...called, name: 'agent_tick', results: ['i32'] },
  { ...called, name: 'agent_init', optional: true },
  { ...called, name: '_initialize', optional: true },
  { ...called, name: '_start', optional: true },
]

const build = async (key: ModuleKey, bytes: Uint8Array): Promise<Compiled> => {
  let withheld = false
  try {
    const instrumented = instrument(bytes, {
      maxMemoryBytes: key.maxMemoryBytes,
      allowImport: (module, name, type) => {
        const verdict = judgeImport(module, name, type, key.granted)
        if (verdict.ok) return true
        withheld = verdict.capability
        return verdict.reason
      },
      requiredExports: EXPORTS,
      ...(key.version === undefined ? {} : { version: key.version }),
    })
    return await compile(instrumented)
  } catch (error) {
    if (!(error instanceof SandboxError) || HOST_CODES.has(error.code)) throw error
    const denied = withheld && error.code === 'IMPORT_REFUSED'
    throw new Refusal(denied ? 'CAPABILITY_NOT_GRANTED' : 'BAD_MODULE', error.message, { cause: error })
  }
}

export const createModules = (): Modules => {
  const known = new Map<string, Compiled>()
  return {
    load: async (key, bytes) => {
      const name = nameOfKey(key)
      if (!known.has(name)) known.set(name, await build(key, bytes))
      return (key.version ?? CURRENT).instrument
    },
    get: (key) => known.get(nameOfKey(key)),
    unload: (key) => void known.delete(nameOfKey(key)),
  }
}
