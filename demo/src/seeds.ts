/**
 * Owner seeds as text.
 *
 * @module
 */

const SEED_HEX = /\b[0-9a-f]{64}\b/gi
/** A ring of keys is small; a file with more is something else. */
const MAX_SEEDS = 100

/** The seeds of 32 bytes in a text, whatever else it says; each once. */
export const seedsIn = (text: string): Uint8Array[] => {
  const found = new Set([...text.matchAll(SEED_HEX)].map(([hex]) => hex.toLowerCase()))
  return [...found].slice(0, MAX_SEEDS).map((hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16)))
}
