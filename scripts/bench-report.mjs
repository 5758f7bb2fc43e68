// What benches share: how they hand over what they measured, and how that is summed up.

/**
 * @typedef {object} Figure
 * @property {string} what
 * @property {number} value
 * @property {string} unit such as ms, x, %
 * @property {number} [atMost] the target, in the same unit; without one it is there to compare with
 * @property {string} [note]
 */

/** @param {Figure} figure to `npm run bench`, or to the screen where a bench runs by itself */
export function report(figure) {
  if (process.send) process.send({ figure })
  else console.log(`${figure.what}: ${figure.value.toFixed(2)} ${figure.unit}${figure.note ? ` (${figure.note})` : ''}`)
}

/** @param {readonly number[]} values @param {number} part 0.5 is the median @returns {number} */
export function quantile(values, part) {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN
}

/** @param {readonly number[]} values @returns {number} */
export const median = (values) => quantile(values, 0.5)

/** @param {readonly number[]} values @returns {string} what a median hides */
export const spread = (values) =>
  `${quantile(values, 0).toFixed(1)} to ${quantile(values, 0.9).toFixed(1)}, ${values.length} times`
