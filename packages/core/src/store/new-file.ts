import { IgorError } from '../errors.ts'
import type { Files } from '../platform.ts'
import { viewOf } from './bytes.ts'
import { encodeFileHeader, type FileHeader, type FileKind } from './file-header.ts'
import { unfinished } from './names.ts'

/** A file that is written aside and appears whole, durably, or not at all. */
export interface NewFile {
  readonly salt: number
  /** Bytes so far. */
  readonly length: number
  append(bytes: Uint8Array): Promise<void>
  sync(): Promise<void>
  /**
   * Makes it durable and gives it its name.
   *
   * @throws IgorError HOST_FAULT: it may be there or not, so nothing must be written to the file that it replaces
   */
  finish(): Promise<void>
  /** Removes what was written; never rejects (an unfinished file is removed at the next opening). */
  discard(): Promise<void>
}

export async function makeNewFile(files: Files, kind: FileKind, name: string, { salt, first }: FileHeader): Promise<NewFile> {
  const aside = unfinished(name)
  const header = encodeFileHeader(kind, { salt, first })
  const discard = () => files.remove(aside).catch(() => undefined)
  // One that could not be removed before would else be continued.
  await discard()
  try {
    if ((await files.append(aside, header)) !== 0) throw new IgorError('HOST_FAULT', `the file ${aside} could not be made anew`)
  } catch (error) {
    await discard()
    throw error
  }
  let length = header.length
  return {
    salt,
    get length() {
      return length
    },
    async append(bytes) {
      await files.append(aside, bytes)
      length += bytes.length
    },
    sync: () => files.sync(aside),
    async finish() {
      try {
        await files.sync(aside)
        await files.rename(aside, name)
        await files.syncDir()
      } catch (error) {
        throw new IgorError('HOST_FAULT', `the disk did not take the file ${name}: stop this node, check the disk, start again`, {
          cause: error,
        })
      }
    },
    async discard() {
      await discard()
    },
  }
}

/** A salt for a new file. */
export function makeSalt(random: (length: number) => Uint8Array): number {
  return viewOf(random(4)).getUint32(0, true)
}
