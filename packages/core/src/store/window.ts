import type { Files } from '../platform.ts'

/** Bytes read at a time when a file is gone through from front to back. */
const AHEAD = 256 * 1024

/** Reads a file forward through a buffer. Bytes past the end are left out. */
export interface FileWindow {
  readonly size: number
  /** The bytes, when they are in the buffer already. Valid until the next `read`. */
  peek(offset: number, length: number): Uint8Array | undefined
  read(offset: number, length: number): Promise<Uint8Array>
}

export async function openWindow(files: Files, name: string): Promise<FileWindow> {
  const size = await files.size(name)
  let start = 0
  let buffer = new Uint8Array()
  const peek = (offset: number, length: number): Uint8Array | undefined => {
    const end = Math.min(offset + length, size)
    if (offset < start || end > start + buffer.length) return undefined
    return buffer.subarray(offset - start, Math.max(end, offset) - start)
  }
  return {
    size,
    peek,
    async read(offset, length) {
      if (offset >= size) return new Uint8Array()
      const there = peek(offset, length)
      if (there !== undefined) return there
      const wanted = Math.min(Math.max(length, AHEAD), size - offset)
      buffer = new Uint8Array(await files.read(name, offset, wanted))
      start = offset
      return buffer.subarray(0, length)
    },
  }
}
