/**
 * Deterministic WebAssembly for JavaScript engines: instrument, run, snapshot, restore.
 *
 * @module
 */
export type { InstrumentOptions, RequiredExport, Signature } from './checks.ts'
export { CHUNK_BYTES, changedChunks, chunksChangedSince, isZero } from './chunks.ts'
export { SandboxError, type SandboxErrorCode, type SandboxErrorDetails, Trap, type TrapKind } from './errors.ts'
export {
  type Compiled,
  compile,
  type HostFunction,
  type Imports,
  type Instance,
  instantiate,
  type StateImage,
  type Value,
} from './instance.ts'
export {
  type Instrumented,
  instrument,
  type Layout,
} from './instrument.ts'
export type { ExternKind } from './module.ts'
export type { ValTypeName } from './types.ts'
export {
  COST_TABLE_VERSION,
  CURRENT,
  INSTRUMENT_VERSION,
  isKnownVersion,
  sameVersion,
  VERSIONS,
  type Version,
  versionText,
} from './versions.ts'
