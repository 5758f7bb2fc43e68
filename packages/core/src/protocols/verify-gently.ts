/**
 * Checking a history that somebody shows, while others need the thread.
 *
 * @module
 */
import { type Chain, extendChain, type LineageRecord, startChain } from '@igor/lineage'
import { hexOf } from '../agent/blocks.ts'
import type { Context } from '../agent/context.ts'
import { IgorError } from '../errors.ts'
import { MAX_RECORDS } from './blocks.ts'

/** Signatures checked before others get the thread again: each takes 1 to 2.5 ms. */
const VERIFY_AT_ONCE = 8
/** Verified records that are remembered, by name: 2 MB at most. */
const MAX_VERIFIED = 10_000

/**
 * Verifies a history without holding the thread for longer than a few signatures. A record that was
 * verified here before is not verified again: its id commits to all that came before it, so that its
 * signer is the same wherever it is met.
 */
export const verifyGently = async (context: Context, records: readonly LineageRecord[]): Promise<Chain> => {
  if (records.length > MAX_RECORDS) throw new IgorError('BAD_FILE', `a history of more than ${MAX_RECORDS} records is not taken`)
  let chain: Chain | undefined
  let checked = 0
  for (const record of records) {
    const name = `${record.id} ${hexOf(record.signed.signature)}`
    const trusted = context.verified.has(name)
    chain = chain === undefined ? startChain(record) : extendChain(chain, record, { gap: true, trusted })
    if (trusted) continue
    remember(context.verified, name)
    if (++checked % VERIFY_AT_ONCE === 0) await context.clock.sleep(0, context.signal)
  }
  if (chain === undefined) throw new IgorError('BAD_FILE', 'a history without records')
  return chain
}

const remember = (verified: Set<string>, name: string): void => {
  if (verified.size >= MAX_VERIFIED) verified.clear()
  verified.add(name)
}
