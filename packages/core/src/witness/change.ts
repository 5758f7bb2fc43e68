/**
 * Handing an agent over from one witness to another (docs/design.md, section 5): the new one cosigns first, when it
 * holds all that is needed, then the old one as its last. Until both have, it has not happened, and the agent stands still.
 *
 * @module
 */
import { cosignatureOf, type LineageRecord } from '@igor/lineage'
import type { BlockReader, WitnessLink } from '../authority/witness.ts'
import { IgorError } from '../errors.ts'
import { messageOf } from '../thrown.ts'
import type { HeldLedger } from './held.ts'
import { submit } from './submit.ts'

export interface ChangeOver {
  readonly ledger: Pick<HeldLedger, 'agent' | 'chain' | 'records' | 'cosigned'>
  readonly read: BlockReader
  readonly link: (witness: string, signal: AbortSignal) => Promise<WitnessLink>
  readonly signal: AbortSignal
}

/**
 * Brings a change of witness to its end, from wherever it was left. The ledger's chain says then that it has happened.
 *
 * @throws IgorError NOT_AUTHORITATIVE or AGENT_HALTED by the old witness's word alone; WITNESS_UNREACHABLE otherwise
 */
export const changeOver = async ({ ledger, read, link, signal }: ChangeOver): Promise<void> => {
  const { agent } = ledger
  const change = ledger.chain.changing
  if (change === null) return
  const { from, to } = change
  const upTo = (): LineageRecord[] => {
    const at = ledger.records.findIndex(({ id }) => id.equals(change.record.id))
    return ledger.records.slice(0, at + 1)
  }
  const lacks = (witness: string): boolean => {
    const record = upTo().at(-1)
    return record !== undefined && cosignatureOf(record, witness) === undefined
  }
  const bring = async (witness: string, fresh: readonly LineageRecord[]): Promise<void> => {
    const at = await link(witness, signal)
    const first = await at.commit({ agent, records: fresh, blocks: [], read }, signal)
    const answer = first.kind === 'history' ? await at.commit({ agent, records: upTo(), blocks: [], read }, signal) : first
    if (answer.kind !== 'cosigned' || cosignatureOf(answer.record, witness) === undefined)
      throw new IgorError('PROTOCOL_VIOLATION', `the witness ${witness} does not cosign the change that it was shown`)
    await ledger.cosigned(answer.record)
  }

  if (from !== null) {
    // What came before it is the old one's to order.
    const before = upTo().slice(0, -1)
    if (ledger.chain.cosigned?.id.equals(before.at(-1)?.id) !== true) {
      const { cosigned } = await submit(await link(from, signal), { chain: ledger.chain, records: before, read }, signal)
      for (const record of cosigned) await ledger.cosigned(record)
    }
  }
  if (to !== null && lacks(to))
    await bring(to, upTo()).catch((cause) => {
      signal.throwIfAborted()
      // Its word moves nothing yet.
      throw new IgorError('WITNESS_UNREACHABLE', `its next witness ${to} does not take it: ${messageOf(cause)}`, { cause })
    })
  if (from !== null && lacks(from)) await bring(from, upTo().slice(-1))
}
