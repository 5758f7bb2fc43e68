import { IgorError } from '../errors.ts'
import type { Files } from '../platform.ts'

/**
 * Makes a file's content durable. Whatever goes wrong ends the store: after a failed sync the system may
 * have dropped what it could not write, and report success the next time.
 *
 * @throws IgorError HOST_FAULT
 * @see https://lwn.net/Articles/752063/
 */
export async function syncFile(files: Files, name: string): Promise<void> {
  try {
    await files.sync(name)
  } catch (cause) {
    throw new IgorError(
      'HOST_FAULT',
      `the disk did not keep what was written to ${name}: stop this node, check the disk, start again`,
      {
        cause,
      },
    )
  }
}
