/**
 * The first bytes of every file of the store: twice the same, so that one damaged byte loses nothing.
 *
 *     0  magic "igorlog\n" or "igorrow\n"    16  first (u53)
 *     8  version (u32)                       24  CRC-32 of bytes 0..23 (u32)
 *    12  salt (u32)
 *
 * All integers are little-endian. A later version may change everything but magic, version and
 * checksum, so that this one can tell a newer file from a damaged one.
 *
 * @module
 */
import { IgorError } from '../errors.ts'
import { getKey, getUint53, putKey, putUint53, viewOf } from './bytes.ts'
import { crc32 } from './crc.ts'

/** Of the data folder's format. */
const VERSION = 1
const COPY = 28
/** Bytes of both copies. */
export const FILE_HEADER = 2 * COPY

export type FileKind = 'igorlog\n' | 'igorrow\n'

export interface FileHeader {
  /** Seeds the checksums in this file, so that bytes of another file never look like its own. */
  readonly salt: number
  /** Number of the first entry, where entries are counted on from the file before. */
  readonly first: number
}

export function encodeFileHeader(kind: FileKind, header: FileHeader): Uint8Array {
  const bytes = new Uint8Array(FILE_HEADER)
  const view = viewOf(bytes)
  putKey(bytes, 0, kind)
  view.setUint32(8, VERSION, true)
  view.setUint32(12, header.salt, true)
  putUint53(view, 16, header.first)
  view.setUint32(24, crc32(bytes.subarray(0, 24)), true)
  bytes.copyWithin(COPY, 0, COPY)
  return bytes
}

/**
 * @returns undefined when neither copy is intact
 * @throws IgorError STORE_VERSION when a newer Igor wrote it
 */
export function decodeFileHeader(kind: FileKind, name: string, bytes: Uint8Array): FileHeader | undefined {
  for (const start of [0, COPY]) {
    const copy = bytes.subarray(start, start + COPY)
    if (copy.length < COPY) return undefined
    const view = viewOf(copy)
    if (getKey(copy, 0, 8) !== kind || view.getUint32(24, true) !== crc32(copy.subarray(0, 24))) continue
    const version = view.getUint32(8, true)
    if (version !== VERSION) {
      throw new IgorError(
        'STORE_VERSION',
        `the data folder has format ${version} (${name}), this Igor reads format ${VERSION}: use the Igor that wrote it, or a newer one`,
      )
    }
    return { salt: view.getUint32(12, true), first: getUint53(view, 16) }
  }
  return undefined
}
