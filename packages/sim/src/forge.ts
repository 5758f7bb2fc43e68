/**
 * What a liar makes of what was said: the same message with something else in it, records signed anew with its own key.
 *
 * @module
 */
import { type Body, decodeRecord, type LineageRecord, type Sign, signRecord } from '@igor/lineage'
import { decode, encode } from '@ipld/dag-cbor'
import type { Random } from './random.ts'

/** A whole number or an amount, a little or much besides. */
const besides = (value: number | bigint, random: Random): number | bigint => {
  const by = random.pick([-1, 1, 2, 1000, 2 ** 32])
  return typeof value === 'bigint' ? value + BigInt(by) : Math.max(0, value + by)
}

/** A record with a field changed, or with nothing changed but its signer. */
const forgeRecord = async ({ body }: LineageRecord, random: Random, sign: Sign): Promise<Uint8Array> => {
  const fields = Object.entries(body).filter(([, value]) => typeof value === 'number' || typeof value === 'bigint')
  const changed = new Map(Object.entries(body))
  for (let i = random.below(3); i > 0; i--) {
    const [name, value] = random.pick(fields)
    if (typeof value === 'number' || typeof value === 'bigint') changed.set(name, besides(value, random))
  }
  const { bytes } = await signRecord(Object.fromEntries(changed) as unknown as Body, sign)
  return bytes
}

const asRecord = (bytes: Uint8Array): LineageRecord | undefined => {
  try {
    return decodeRecord(bytes)
  } catch {
    return undefined
  }
}

const flip = (bytes: Uint8Array, random: Random): Uint8Array => {
  const copy = bytes.slice()
  if (copy.length > 0) copy[random.below(copy.length)] = random.below(256)
  return copy
}

const forgeValue = async (value: unknown, random: Random, sign: Sign): Promise<unknown> => {
  if (value instanceof Uint8Array) {
    const record = random.chance(0.9) ? asRecord(value) : undefined
    if (record === undefined) return flip(value, random)
    // What cannot be encoded is no record, and what a liar can say it can say otherwise.
    return forgeRecord(record, random, sign).catch(() => flip(value, random))
  }
  if (typeof value === 'number' || typeof value === 'bigint') return besides(value, random)
  if (typeof value === 'boolean') return !value
  if (!Array.isArray(value) || value.length === 0) return value
  const at = random.below(value.length)
  return Promise.all(value.map((item: unknown, i) => (i === at ? forgeValue(item, random, sign) : item)))
}

/** @returns the same bytes where nothing can be made of them */
export const forge = async (message: Uint8Array, random: Random, sign: Sign): Promise<Uint8Array> => {
  try {
    const fields = decode<Record<string, unknown>>(message)
    const names = Object.keys(fields).filter((name) => name !== 'type')
    if (names.length === 0) return message
    const name = random.pick(names)
    return encode({ ...fields, [name]: await forgeValue(fields[name], random, sign) })
  } catch {
    return flip(message, random)
  }
}
