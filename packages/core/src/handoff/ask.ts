/**
 * A source that has handed over and heard nothing asks until the decision is seen (docs/design.md, section 7).
 *
 * @module
 */
import type { LineageRecord } from '@igor/lineage'
import { hexOf } from '../agent/blocks.ts'
import type { Context } from '../agent/context.ts'
import type { Ledger } from '../agent/ledger.ts'
import { hear, say } from '../protocols/wire.ts'
import { messageOf } from '../thrown.ts'
import { HANDOFF_PROTOCOL, ID_BYTES, readDecision } from './protocol.ts'

/** First wait before asking again; doubled up to the longest. */
const ASK_MS = 500
const MAX_ASK_MS = 30_000

/**
 * Asks the target what it decided, then the witness, for as long as it takes; resolves when it was settled or the
 * node stops.
 *
 * @param askWitness holds the witness's history against the one here; of an agent without a witness it does nothing
 */
export const askUntilDecided = async (
  context: Context,
  ledger: Ledger,
  settle: (decision: LineageRecord) => Promise<void>,
  askWitness: () => Promise<void>,
  ended: AbortSignal,
): Promise<void> => {
  for (let wait = ASK_MS; ledger.row.state === 'handoff-pending' && !ended.aborted; wait = Math.min(wait * 2, MAX_ASK_MS)) {
    const { head, authority } = ledger.chain
    if (head.body.kind !== 'handoff' || authority.status !== 'offered') return
    const { to } = authority.ready
    // Before its witness cosigned it, it is no handoff, and nobody is asked about it.
    if (ledger.chain.witness !== null && ledger.chain.cosigned?.id.equals(head.id) !== true) {
      await context.clock.sleep(ASK_MS, ended).catch(() => {})
      continue
    }
    try {
      const channel = await context.network.open(to, HANDOFF_PROTOCOL, { signal: ended })
      try {
        await say(channel, { type: 'status', record: head.bytes }, ended)
        const answer = await hear(channel, { clock: context.clock, signal: ended })
        if (answer?.type === 'unknown') {
          context.report({
            level: 'warn',
            code: 'HANDOFF_PENDING',
            agent: ledger.agent,
            peer: to,
            message: `${to} lost its store (incarnation ${hexOf(answer.bytes('incarnation', ID_BYTES))}): whether it took the agent is unknown, only its owner can recover it`,
          })
        } else if (answer !== undefined && answer.type !== 'undecided') {
          await settle(readDecision(channel, head, answer))
          return
        }
      } finally {
        await channel.close().catch(() => {})
      }
    } catch (error) {
      context.report({
        level: 'info',
        code: 'HANDOFF_PENDING',
        agent: ledger.agent,
        peer: to,
        message: `waiting for ${to} to say whether it took the agent: ${messageOf(error)}`,
      })
    }
    await askWitness().catch(() => {})
    if (ledger.row.state === 'handoff-pending') await context.clock.sleep(wait, ended).catch(() => {})
  }
}
