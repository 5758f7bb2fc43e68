/**
 * What this node and the witnesses of its agents say to each other: leases held, histories asked for, agents asked
 * back, goodbyes.
 *
 * @module
 */
import type { LineageRecord } from '@igor/lineage'
import type { Commitment } from '../agent/commitment.ts'
import type { Context } from '../agent/context.ts'
import type { Hosted } from '../agent/hosted.ts'
import type { Ledger } from '../agent/ledger.ts'
import type { LastWords } from '../api.ts'
import type { Manifest } from '../manifest.ts'
import { verifyGently } from '../protocols/verify-gently.ts'
import { messageOf } from '../thrown.ts'
import { committing } from '../witness/committing.ts'

/** A witness that does not answer must not keep a node from stopping. */
const FAREWELL_MS = 1000

export interface Leases {
  /** Keeps the lease of an agent with a witness, and brings what it wrote to be cosigned, also when it has left. */
  hold(ledger: Ledger, manifest: Manifest | undefined): Commitment
  /** Heeds what its witness holds of an agent's history. */
  ask(ledger: Ledger, manifest: Manifest | undefined): Promise<void>
  /**
   * This node is the authority, and its store is older than the history: the witness gives it back, with all that
   * it holds, when nobody has renewed the lease; or tells who has it.
   */
  askBack(ledger: Ledger): Promise<void>
  /** Resolves when the head of a ledger that is held is committed. @throws IgorError NOT_AUTHORITATIVE */
  committed(ledger: Ledger): Promise<void>
  /** Signed beforehand, for the witnesses of all that live here. */
  releases(): readonly LastWords[]
  /** Has everything committed that was done, and tells the witnesses that this node goes. Takes a second at most. */
  farewell(): Promise<void>
  stop(): Promise<void>
}

export interface LeasesOptions {
  readonly context: Context
  readonly hosted: ReadonlyMap<string, Hosted>
  readonly ledgers: ReadonlyMap<string, Ledger>
  /** The witness's history is the one that counts. */
  readonly heed: (ledger: Ledger, records: readonly LineageRecord[]) => Promise<void>
  readonly onchange: () => void
  /** The node stops. */
  readonly signal: AbortSignal
}

/** Where a witness may be found, other than by its peer id. */
const hintsOf = (manifest: Manifest | undefined): string[] =>
  manifest?.witness?.startsWith('/') === true ? [manifest.witness] : []

export const createLeases = (options: LeasesOptions): Leases => {
  const { context, hosted, ledgers, heed, onchange, signal } = options
  const { clock } = context
  const commitments = new Map<Ledger, Commitment>()
  const asking = new Map<Ledger, Promise<void>>()

  const stopped = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))

  /** Resolves when it was said; until the node stops it stands still: what it did on would take the word back. */
  const sayFarewell = ({ ledger, commitment, atBoundary }: Hosted): Promise<void> =>
    new Promise((resolve, reject) => {
      const say = async (): Promise<void> => {
        if (ledger.open && ledger.row.state === 'active-owner') await ledger.seal()
        await Promise.race([commitment.committed(), stopped])
        const { witness } = ledger.chain
        const bytes = commitment.release
        if (witness === null || bytes === undefined || signal.aborted) return
        // A renewal would take it back as well.
        await commitment.stop()
        const link = await context.links.to(witness, [], signal)
        await link.release(bytes)
      }
      void atBoundary(async () => {
        await say().then(resolve, reject)
        await stopped
      })
    })

  /** Once, by the witness that is in force. True: it is here, or will never be. */
  const askOnce = async (ledger: Ledger, witness: string): Promise<boolean> => {
    const { agent } = ledger
    const link = await context.links.to(witness, [], signal)
    const records = await link.records(agent, undefined, signal)
    const { chain } = ledger
    const theirs = await verifyGently(context, records)
    const moved = theirs.authority.status === 'held' && theirs.authority.by !== context.peer
    // Whose word counts now, and that somebody else has it, are told by the history.
    if (moved || theirs.witness !== witness) await heed(ledger, records)
    if (moved) return true
    if (ledger.chain !== chain) return ledger.chain.witness === null
    await link.takeover(agent, {}, signal)
    return true
  }

  const askBack = async (ledger: Ledger): Promise<void> => {
    const { agent } = ledger
    for (let wait = 500; !signal.aborted && ledgers.get(agent) === ledger; wait = Math.min(2 * wait, 15_000)) {
      const { witness, authority } = ledger.chain
      if (witness === null || (authority.status === 'held' && authority.by !== context.peer)) return
      try {
        if (await askOnce(ledger, witness)) return
      } catch (error) {
        const message = messageOf(error)
        context.report({ level: 'info', code: 'NOT_AUTHORITATIVE', agent, message: `${agent} is asked back: ${message}` })
      }
      await clock.sleep(wait, signal).catch(() => {})
    }
  }

  return {
    hold: (ledger, manifest) => {
      const known = commitments.get(ledger)
      if (known !== undefined) return known
      const { agent } = ledger
      const hints = hintsOf(manifest)
      const commitment = committing({
        context,
        ledger,
        link: (witness, limit) => context.links.to(witness, hints, limit),
        onchange: () => {
          hosted.get(agent)?.wake()
          onchange()
        },
        onrenewal: () => hosted.get(agent)?.bind(),
        ondeposed: (records) => heed(ledger, records),
      })
      commitments.set(ledger, commitment)
      return commitment
    },

    ask: async (ledger, manifest) => {
      const { agent, chain } = ledger
      if (chain.witness === null) return
      const link = await context.links.to(chain.witness, hintsOf(manifest), signal)
      await heed(ledger, await link.records(agent, undefined, signal))
    },

    askBack: (ledger) => {
      const known = asking.get(ledger)
      if (known !== undefined) return known
      const asked = askBack(ledger).finally(() => asking.delete(ledger))
      asking.set(ledger, asked)
      return asked
    },

    committed: async (ledger) => {
      await commitments.get(ledger)?.committed()
    },

    releases: () =>
      [...hosted.values()].flatMap(({ ledger, commitment }) => {
        const { witness } = ledger.chain
        const bytes = commitment.release
        return witness === null || bytes === undefined ? [] : [{ agent: ledger.agent, witness, bytes }]
      }),

    farewell: async () => {
      const leaving = [...hosted.values()].filter(({ commitment }) => commitment.witnessed && commitment.left() > 0)
      if (leaving.length === 0) return
      const limit = new AbortController()
      const said = Promise.all(leaving.map(sayFarewell)).catch(() => {})
      await Promise.race([said, clock.sleep(FAREWELL_MS, limit.signal).catch(() => {})])
      limit.abort()
    },

    stop: async () => {
      await Promise.all([...commitments.values()].map((one) => one.stop()))
    },
  }
}
