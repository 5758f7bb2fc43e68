/**
 * Test modules byte by byte, for what no assembler would write.
 *
 * @module
 */

export const HEADER: readonly number[] = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]

export function leb(value: number): number[] {
  const out: number[] = []
  let rest = value
  while (rest >= 0x80) {
    out.push((rest & 0x7f) | 0x80)
    rest = Math.floor(rest / 128)
  }
  out.push(rest)
  return out
}

export function section(id: number, content: readonly number[]): number[] {
  return [id, ...leb(content.length), ...content]
}

/** A vector whose entries are handed in encoded. */
export function vector(...entries: readonly (readonly number[])[]): number[] {
  return [...leb(entries.length), ...entries.flat()]
}

export function text(value: string): number[] {
  const bytes = new TextEncoder().encode(value)
  return [...leb(bytes.length), ...bytes]
}

export function bytes(...sections: readonly (readonly number[])[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from([...HEADER, ...sections.flat()])
}

export function repeat(count: number, ...values: readonly number[]): number[] {
  return Array.from({ length: count }, () => values).flat()
}

export const MEMORY_SECTION: readonly number[] = section(5, vector([0, 1]))

/** Sections of a module with one function `() -> ()`, a memory, a table, a mutable i32 global and a passive data segment. */
export function functionModule(code: readonly number[], locals: readonly number[] = [0]): Uint8Array<ArrayBuffer> {
  const body = [...locals, ...code, 0x0b]
  return bytes(
    section(1, vector([0x60, 0, 0])),
    section(3, vector([0])),
    section(4, vector([0x70, 0, 1])),
    MEMORY_SECTION,
    section(6, vector([0x7f, 1, 0x41, 0, 0x0b])),
    section(9, vector([3, 0, ...vector([0])])),
    section(12, [1]),
    section(10, vector([...leb(body.length), ...body])),
    section(11, vector([1, ...vector([7])])),
  )
}

/** Where the first instruction of `functionModule(code)` stands. */
export function codeOffset(code: readonly number[]): number {
  const module = functionModule(code)
  return module.length - section(11, vector([1, ...vector([7])])).length - code.length - 1
}
