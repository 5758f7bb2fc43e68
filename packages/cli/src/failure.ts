/**
 * How commands fail: one line that says what happened and what to do, and an exit code.
 *
 * @module
 */

/** Exit codes of every command. */
export const EXIT_DONE = 0
export const EXIT_FAILED = 1
export const EXIT_USAGE = 2
/** What shells expect of a command that ended by Ctrl-C: 128 + SIGINT. */
export const EXIT_INTERRUPTED = 130

/** A failure that a person can act on. `code` does not change between versions. */
export class CommandError extends Error {
  readonly code: string
  readonly exitCode: number
  /** What else `--json` tells, such as the record that a check stopped at. */
  readonly details: Readonly<Record<string, unknown>>
  constructor(
    code: string,
    message: string,
    options: ErrorOptions & { exitCode?: number; details?: Readonly<Record<string, unknown>> } = {},
  ) {
    super(message, options)
    this.name = 'CommandError'
    this.code = code
    this.exitCode = options.exitCode ?? EXIT_FAILED
    this.details = options.details ?? {}
  }
}

/** The command was called wrongly. */
export function usageError(message: string): CommandError {
  return new CommandError('USAGE', message, { exitCode: EXIT_USAGE })
}

/** The stable code of any error that has one. */
export function codeOf(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code
  return 'INTERNAL'
}

/** An error's message on one line. */
export function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return message.replace(/\s*\n\s*/g, ' ').trim() || 'failed without saying why'
}

/** True for what an aborted wait throws. */
export function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || codeOf(error) === 'ABORT_ERR')
}
