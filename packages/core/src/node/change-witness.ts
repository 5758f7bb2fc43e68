/**
 * Whether an agent that lives here can be given another witness now. What cannot be is refused before anything is
 * written: from its record on the agent stands still until both witnesses have cosigned it.
 *
 * @module
 */
import type { Context } from '../agent/context.ts'
import type { Hosted } from '../agent/hosted.ts'
import { IgorError } from '../errors.ts'

/** @throws IgorError BAD_ORDER | WITNESS_UNREACHABLE | QUOTA */
export const checkChange = async (context: Context, { ledger, commitment }: Hosted, to: string | null): Promise<void> => {
  const { agent, chain } = ledger
  if (chain.changing !== null)
    throw new IgorError('BAD_ORDER', `the witness of ${agent} is being changed already, to ${chain.changing.to ?? 'none'}`)
  if (chain.witness === to) throw new IgorError('BAD_ORDER', `the witness of ${agent} is ${to ?? 'none'} already`)
  if (chain.witness !== null && commitment.left() === 0)
    throw new IgorError(
      'WITNESS_UNREACHABLE',
      `the witness ${chain.witness} does not answer, and has to agree. Only if it is gone for good: igor witness --force`,
    )
  if (to === null) return
  const link = await context.links.to(to, [], context.signal)
  await link.welcome(agent, context.signal)
}
