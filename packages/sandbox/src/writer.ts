/**
 * A growing buffer for the WebAssembly binary format.
 *
 * @module
 */

const utf8 = new TextEncoder()

/** Longest LEB128 of a u32, bytes. */
const LEB_U32_BYTES = 5

export class Writer {
  #bytes: Uint8Array
  #length = 0

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(Math.max(capacity, LEB_U32_BYTES))
  }

  get length(): number {
    return this.#length
  }

  /** A view of what was written; it is not kept up by later writes. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  #reserve(count: number): void {
    const needed = this.#length + count
    if (needed <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2))
    larger.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = larger
  }

  byte(value: number): void {
    this.#reserve(1)
    this.#bytes[this.#length++] = value
  }

  put(...values: readonly number[]): void {
    this.#reserve(values.length)
    for (const value of values) this.#bytes[this.#length++] = value
  }

  u32(value: number): void {
    this.#reserve(LEB_U32_BYTES)
    let rest = value
    while (rest >= 0x80) {
      this.#bytes[this.#length++] = (rest & 0x7f) | 0x80
      rest = Math.floor(rest / 128)
    }
    this.#bytes[this.#length++] = rest
  }

  /** An instruction with one index. */
  op(opcode: number, index: number): void {
    this.byte(opcode)
    this.u32(index)
  }

  /** A constant instruction. */
  constant(opcode: number, value: number): void {
    this.byte(opcode)
    this.s32(value)
  }

  s32(value: number): void {
    this.#reserve(LEB_U32_BYTES)
    let rest = value
    while (rest < -64 || rest > 63) {
      this.#bytes[this.#length++] = (rest & 0x7f) | 0x80
      rest >>= 7
    }
    this.#bytes[this.#length++] = rest & 0x7f
  }

  copy(source: Uint8Array, start = 0, end = source.length): void {
    this.#reserve(end - start)
    this.#bytes.set(source.subarray(start, end), this.#length)
    this.#length += end - start
  }

  name(text: string): void {
    const encoded = utf8.encode(text)
    this.u32(encoded.length)
    this.copy(encoded)
  }

  /** Writes the length of what `fill` writes, then that. */
  sized(fill: () => void): void {
    const start = this.#length
    this.#reserve(LEB_U32_BYTES)
    this.#length += LEB_U32_BYTES
    const from = this.#length
    fill()
    const to = this.#length
    this.#length = start
    this.u32(to - from)
    this.#bytes.copyWithin(this.#length, from, to)
    this.#length += to - from
  }
}
