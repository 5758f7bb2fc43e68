/**
 * What can go wrong, and whose fault it is: `SandboxError` for what the host was handed or did, `Trap` for
 * what the program did while it ran.
 *
 * @module
 */

export type SandboxErrorCode =
  /** The bytes do not start like a WebAssembly 1 binary. */
  | 'NOT_WASM'
  /** The binary breaks the format or the engine's type check. */
  | 'MALFORMED'
  /** Outside of the deterministic profile; `feature` names what. */
  | 'UNSUPPORTED_FEATURE'
  /** Over one of the constants in `limits.ts`. */
  | 'LIMIT_EXCEEDED'
  /** An import that is no function, or that `allowImport` refused. */
  | 'IMPORT_REFUSED'
  /** The memory starts larger than the cap. */
  | 'MEMORY_LIMIT'
  /** The module has no memory of its own. */
  | 'NO_MEMORY'
  /** A required export is not there; or a call named a function that is not exported. */
  | 'MISSING_EXPORT'
  /** An export is there, as another kind or with another signature. */
  | 'WRONG_EXPORT'
  /** An export uses the prefix that the instrumentation keeps for itself. */
  | 'RESERVED_NAME'
  /** `instantiate` was not handed a function that the module imports. */
  | 'MISSING_IMPORT'
  /** `restore` was handed an image that does not fit the module. */
  | 'BAD_IMAGE'
  /** An option of `instrument` makes no sense. */
  | 'BAD_OPTION'
  /** The function takes or returns what a host cannot handle (references, v128, several results). */
  | 'BAD_CALL'
  /** This machine has no memory left for the instance: no fault of the program. */
  | 'HOST_MEMORY'
  /** The engine's stack ended before the program's: no fault of the program. */
  | 'HOST_STACK'
  /** The engine refused what `instrument` made: a defect of this library, or an engine too old. */
  | 'ENGINE_REFUSED'

export interface SandboxErrorDetails extends ErrorOptions {
  /** Byte offset into the module as it was handed in. */
  readonly offset?: number | undefined
  /** The feature of WebAssembly that is refused, or the constant that is exceeded. */
  readonly feature?: string | undefined
}

/** The host was handed something that it will not run. Branch on `code`, show `message`. */
export class SandboxError extends Error {
  readonly code: SandboxErrorCode
  readonly offset?: number
  readonly feature?: string

  constructor(code: SandboxErrorCode, message: string, details: SandboxErrorDetails = {}) {
    const { offset, feature, ...options } = details
    super(offset === undefined ? message : `${message} (at byte ${offset})`, options)
    this.name = 'SandboxError'
    this.code = code
    if (offset !== undefined) this.offset = offset
    if (feature !== undefined) this.feature = feature
  }
}

/** Why a program was stopped, in words that do not depend on the engine. */
export type TrapKind =
  | 'unreachable'
  /** Of the memory, a table or a segment: engines do not tell them apart alike. */
  | 'out-of-bounds'
  | 'divide-by-zero'
  /** A quotient, or a float made an integer, that does not fit. */
  | 'unrepresentable'
  | 'bad-indirect-call'
  | 'stack-overflow'
  /** It used more than `setFuel` gave it. */
  | 'out-of-fuel'
  /** A host function refused to go on. */
  | 'refused'
  /** A trap that this version does not know. */
  | 'other'

/**
 * The program's own fault: it trapped, or asked a host function for what it may not have. Memory and
 * globals are in an undefined state afterwards: drop the instance and go back to an image.
 */
export class Trap extends Error {
  readonly kind: TrapKind

  constructor(message: string, options: ErrorOptions & { readonly kind?: TrapKind } = {}) {
    const { kind = 'refused', ...rest } = options
    super(message, rest)
    this.name = 'Trap'
    this.kind = kind
  }
}
