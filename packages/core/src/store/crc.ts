/**
 * CRC-32 as in ISO 3309 and zlib (reflected polynomial 0xEDB88320), eight bytes at a time
 * ("slicing by 8", M. Kounavis and F. Berry, 2005). It finds every damaged byte that stands alone;
 * it is no defence against people, for whom there are CIDs and signatures.
 */
const SLICES = 8
const tables = makeTables()

/** @param seed checksum of what stood before, or any 32-bit number to tell equal bytes of two files apart */
export function crc32(bytes: Uint8Array, seed = 0): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = tables
  let crc = ~seed
  let i = 0
  const whole = bytes.length - (bytes.length % SLICES)
  while (i < whole) {
    const low = crc ^ (at(bytes, i) | (at(bytes, i + 1) << 8) | (at(bytes, i + 2) << 16) | (at(bytes, i + 3) << 24))
    crc =
      entry(t7, low & 255) ^
      entry(t6, (low >>> 8) & 255) ^
      entry(t5, (low >>> 16) & 255) ^
      entry(t4, low >>> 24) ^
      entry(t3, at(bytes, i + 4)) ^
      entry(t2, at(bytes, i + 5)) ^
      entry(t1, at(bytes, i + 6)) ^
      entry(t0, at(bytes, i + 7))
    i += SLICES
  }
  for (; i < bytes.length; i++) crc = entry(t0, (crc ^ at(bytes, i)) & 255) ^ (crc >>> 8)
  return ~crc >>> 0
}

// Indices are in range by construction; the types cannot know.
function at(bytes: Uint8Array, i: number): number {
  return bytes[i] as number
}

function entry(table: Int32Array, i: number): number {
  return table[i] as number
}

type Tables = readonly [Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array]

function makeTables(): Tables {
  const made = Array.from({ length: SLICES }, () => new Int32Array(256))
  const first = made[0] as Int32Array
  for (let i = 0; i < 256; i++) {
    let crc = i
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
    first[i] = crc
  }
  for (let slice = 1; slice < SLICES; slice++) {
    const before = made[slice - 1] as Int32Array
    const table = made[slice] as Int32Array
    for (let i = 0; i < 256; i++) table[i] = (entry(before, i) >>> 8) ^ entry(first, entry(before, i) & 255)
  }
  return made as unknown as Tables
}
