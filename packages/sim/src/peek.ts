/**
 * A text field of a dag-cbor map, found without decoding it: everything that a node says or writes is looked at.
 *
 * @module
 */

/** Fields that are looked for stand before large ones. */
const LOOK_BYTES = 4096
const TEXT = 0x60
const MAX_SHORT = 23

/** @param name of four characters */
export const peek = (bytes: Uint8Array, name: 'type' | 'kind'): string => {
  const [a, b, c, d] = [name.charCodeAt(0), name.charCodeAt(1), name.charCodeAt(2), name.charCodeAt(3)]
  const end = Math.min(bytes.length - 5, LOOK_BYTES)
  for (let i = 0; i < end; i++) {
    if (bytes[i] !== 0x64 || bytes[i + 1] !== a || bytes[i + 2] !== b || bytes[i + 3] !== c || bytes[i + 4] !== d) continue
    const length = (bytes[i + 5] ?? 0) - TEXT
    if (length < 1 || length > MAX_SHORT) continue
    return String.fromCharCode(...bytes.subarray(i + 6, i + 6 + length))
  }
  return ''
}
