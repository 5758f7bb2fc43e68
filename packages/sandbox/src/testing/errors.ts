import { SandboxError } from '../errors.ts'

/** What `act` throws, if it is a `SandboxError`; else fails. */
export function refusal(act: () => unknown): SandboxError {
  try {
    act()
  } catch (error) {
    if (error instanceof SandboxError) return error
    throw new Error('another error than a SandboxError', { cause: error })
  }
  throw new Error('nothing was thrown')
}
