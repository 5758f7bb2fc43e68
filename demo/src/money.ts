/**
 * Money as people read and write it: one unit is 1,000,000 microcents.
 *
 * @module
 */
const UNIT = 1_000_000n

/** `12.5`, `0.000001`; digits that say nothing are left out. */
export const money = (microcents: bigint): string => {
  const part = (microcents % UNIT).toString().padStart(6, '0').replace(/0+$/, '')
  return `${(microcents / UNIT).toLocaleString('en')}${part === '' ? '' : `.${part}`}`
}

/** @returns microcents, at least 1; undefined when it is no amount */
export const parseMoney = (text: string): bigint | undefined => {
  const match = /^(\d{1,12})(?:\.(\d{1,6}))?$/.exec(text.trim())
  if (match === null) return undefined
  const value = BigInt(match[1] as string) * UNIT + BigInt((match[2] ?? '').padEnd(6, '0'))
  return value > 0n ? value : undefined
}

/** How long a budget lasts at a price (microcents per nominal second of execution), in ms; undefined where it costs nothing. */
export const lastsMs = (budget: bigint, price: bigint): number | undefined =>
  price === 0n ? undefined : Number((budget * 1000n) / price)
