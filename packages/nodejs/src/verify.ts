import { type Verification, type VerifyOptions, verifyFile } from '@igor/core'
import { nodeClock } from './clock.ts'
import { nodeCrypto } from './crypto.ts'
import { nodeThreads } from './threads.ts'

/**
 * Checks an exported agent (or several exports of one) without a node: signatures and rules; with `replay` what it carries is run again in a
 * worker thread and held against what its hosts signed.
 *
 * @throws LineageError when the file or its history does not hold; the signal's reason
 */
export const verify = (files: Uint8Array | readonly Uint8Array[], options: VerifyOptions = {}): Promise<Verification> =>
  verifyFile({ clock: nodeClock(), crypto: nodeCrypto(), threads: nodeThreads() }, files, options)
