/**
 * Reads the primitives of the WebAssembly binary format
 * (https://webassembly.github.io/spec/core/binary/conventions.html), refusing what the format refuses.
 *
 * @module
 */
import { SandboxError } from './errors.ts'
import { MAX_NAME_BYTES } from './limits.ts'

export function malformed(message: string, offset: number): SandboxError {
  return new SandboxError('MALFORMED', `not a valid WebAssembly module: ${message}`, { offset })
}

export function exceeds(what: string, count: number, limit: number, constant: string, offset: number): SandboxError {
  return new SandboxError('LIMIT_EXCEEDED', `the module has ${count} ${what}; at most ${limit} are allowed`, {
    offset,
    feature: constant,
  })
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** A cursor over `bytes`, up to `end`. Every method throws `MALFORMED` at the end of the input. */
export class Reader {
  readonly bytes: Uint8Array
  pos: number
  end: number

  constructor(bytes: Uint8Array, pos = 0, end = bytes.length) {
    this.bytes = bytes
    this.pos = pos
    this.end = end
  }

  byte(): number {
    if (this.pos >= this.end) throw malformed('it ends too soon', this.pos)
    return this.bytes[this.pos++] as number
  }

  skip(count: number): void {
    if (count > this.end - this.pos) throw malformed('it ends too soon', this.pos)
    this.pos += count
  }

  u32(): number {
    const first = this.byte()
    if (first < 0x80) return first
    let value = first & 0x7f
    for (let shift = 7; ; shift += 7) {
      const byte = this.byte()
      if (shift === 28 && byte > 0x0f) throw malformed('an unsigned 32-bit number is out of range', this.pos - 1)
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
  }

  s32(): number {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte()
      // The fifth byte has 4 bits left: the three above repeat the sign.
      if (shift === 28 && byte > 0x07 && (byte < 0x78 || byte > 0x7f)) {
        throw malformed('a signed 32-bit number is out of range', this.pos - 1)
      }
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return shift < 28 && (byte & 0x40) !== 0 ? value | (-1 << (shift + 7)) : value
    }
  }

  /** A signed 33-bit number, as block types are. */
  s33(): number {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte()
      if (shift === 28 && byte > 0x0f && (byte < 0x70 || byte > 0x7f)) {
        throw malformed('a signed 33-bit number is out of range', this.pos - 1)
      }
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return (byte & 0x40) !== 0 ? value - 2 ** (shift + 7) : value
    }
  }

  /** Steps over a signed 64-bit number. */
  skipS64(): void {
    for (let count = 1; ; count++) {
      const byte = this.byte()
      if (count === 10 && byte !== 0 && byte !== 0x7f) {
        throw malformed('a signed 64-bit number is out of range', this.pos - 1)
      }
      if (byte < 0x80) return
    }
  }

  /** How many elements follow: no more than bytes are left, since each takes at least one. */
  count(what: string, limit: number, constant: string): number {
    const at = this.pos
    const count = this.u32()
    if (count > limit) throw exceeds(what, count, limit, constant, at)
    if (count > this.end - this.pos) throw malformed(`it claims ${count} ${what} but ends too soon`, at)
    return count
  }

  name(): string {
    const at = this.pos
    const length = this.u32()
    if (length > MAX_NAME_BYTES) throw exceeds('bytes in a name', length, MAX_NAME_BYTES, 'MAX_NAME_BYTES', at)
    const start = this.pos
    this.skip(length)
    try {
      return utf8.decode(this.bytes.subarray(start, this.pos))
    } catch {
      throw malformed('a name is not UTF-8', start)
    }
  }
}
