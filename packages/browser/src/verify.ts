import { type Verification, type VerifyOptions, verifyFile } from '@igor/core'
import { workerClock } from './clock.ts'
import { webCrypto } from './crypto.ts'
import { webThreads } from './threads.ts'

export interface FileVerifyOptions extends VerifyOptions {
  /** Script of the agents' workers, bundled from `@igor/browser/worker`. Default: beside this module. */
  readonly workerUrl?: string | URL
  /** Script of the clock's worker, bundled from `@igor/browser/clock-worker`. Default: beside this module. */
  readonly clockWorkerUrl?: string | URL
}

/**
 * Checks an exported agent (or several exports of one) without a node: signatures and rules; with `replay` what it carries is run again in a
 * worker, never in the page's own thread, and held against what its hosts signed.
 *
 * @throws LineageError when the file or its history does not hold; the signal's reason
 */
export const verify = async (
  files: Uint8Array | readonly Uint8Array[],
  { workerUrl, clockWorkerUrl, ...options }: FileVerifyOptions = {},
): Promise<Verification> => {
  const clock = workerClock(clockWorkerUrl === undefined ? {} : { workerUrl: clockWorkerUrl })
  const threads = webThreads({ parallelism: 1, ...(workerUrl === undefined ? {} : { workerUrl }) })
  try {
    return await verifyFile({ clock, crypto: webCrypto(), threads }, files, options)
  } finally {
    clock.close()
  }
}
