/**
 * Taking an agent in from its witness, when whoever held it is gone: the same as a move, with the witness as source
 * (docs/design.md, section 7).
 *
 * @module
 */
import { decodeRecord, decodeSegment, extendChain, type JournalEntry, type LineageRecord, makeReady } from '@igor/lineage'
import { nowMs } from '../agent/context.ts'
import { versionSince } from '../agent/journal.ts'
import { countRefs, nameOf } from '../agent/state.ts'
import { IgorError } from '../errors.ts'
import { keys } from '../keys.ts'
import type { Channel } from '../platform.ts'
import { type Puller, pullFrom } from '../protocols/blocks.ts'
import { verifyGently } from '../protocols/verify-gently.ts'
import { deadline, hear, say } from '../protocols/wire.ts'
import { asError, messageOf } from '../thrown.ts'
import { checkVersion } from '../versions.ts'
import { pullManifest, pullState } from './copy.ts'
import { accept } from './decide.ts'
import type { Inbound } from './inbound.ts'
import { checkGuest, checkHouse, checkMigration } from './policy.ts'
import { ID_BYTES, MAX_RECORD, reject } from './protocol.ts'

/** From a ready to the recover that embeds it: the witness only has to write it. */
const READY_MS = 60_000
/** Copying 64 MiB over a slow line fits. */
const TAKEOVER_MS = 10 * 60_000
/** From the ready to the word of the witness. */
const COMMIT_MS = 60_000

export interface TakeIn {
  readonly agent: string
  /** The witness's node. */
  readonly from: string
  /** Pulls what the witness keeps. */
  readonly puller: Puller
  /** Everything is here: the witness writes its recover for this ready, and cosigns it. */
  recover(ready: Uint8Array): Promise<LineageRecord>
}

/**
 * Copies the agent, then takes it: its accept is cosigned when this resolves.
 *
 * @throws IgorError HANDOFF_REJECTED | QUOTA | NOT_AUTHORITATIVE, and what the network and the store throw
 */
export const takeIn = async (inbound: Inbound, { agent, from, puller, recover }: TakeIn): Promise<void> => {
  const { context } = inbound
  checkHouse(inbound.house(), from)
  const records = await puller.records(agent)
  const chain = await verifyGently(context, records)
  if (chain.agent !== agent || chain.witness === null)
    throw new IgorError('PROTOCOL_VIOLATION', `peer ${from} shows no history of ${agent} with a witness`)
  const mine = inbound.ledger(agent)
  // One that stands still here, ahead of its witness by what was never cosigned, is given back like to anybody else.
  const stuck = mine?.row.state === 'active-owner' && mine.chain.cosigned?.id.equals(chain.head.id) === true ? mine : undefined
  if (mine !== undefined && stuck === undefined) await inbound.reconcile(mine, { chain, records })
  const version = versionSince(chain, records)
  if (version !== undefined) checkVersion(version, 'it')
  const manifest = await pullManifest(context, puller, chain)
  checkGuest(inbound.house(), manifest)
  checkMigration(context.peer, context.price, manifest)
  const copyAll = async () => ({
    copy: await pullState(context, puller, { chain, records, manifest }),
    ...(await pullJournal(inbound, puller, agent, records, chain.state?.body.seq ?? 0)),
  })
  const ahead = stuck === undefined ? await copyAll() : undefined
  const ready = await makeReady(
    {
      agent,
      handoff: context.crypto.random(ID_BYTES),
      to: context.peer,
      incarnation: context.incarnation,
      price: context.price,
      nonce: context.crypto.random(32),
      expiry: nowMs(context.clock) + READY_MS,
    },
    context.sign,
  )
  const record = await recover(ready.bytes)
  const taken = extendChain(chain, record, { known: [ready.bytes] })
  if (stuck !== undefined) await inbound.reconcile(stuck, { chain: taken, records: [...records, record] })
  const { copy, sealed, names } = ahead ?? (await copyAll())
  const current = copy.state
  const refs = countRefs(chain.genesis.body, current)
  for (const name of names) refs.add(name)
  const { ledger } = await accept(context, { chain: taken, records: [...records, record], current, rows: [], refs, sealed })
  void inbound.arrived({ ledger, manifest, init: copy.init, from })
  await inbound.committed(agent)
}

/** What was journaled since the last state: it is run again here. */
const pullJournal = async (
  { context }: Inbound,
  puller: Puller,
  agent: string,
  records: readonly LineageRecord[],
  since: number,
): Promise<{ sealed: JournalEntry[]; names: string[] }> => {
  const sealed: JournalEntry[] = []
  const names: string[] = []
  for (const { body } of records) {
    if (!('journal' in body) || body.journal === null || body.seq <= since) continue
    await puller.blocks(agent, [body.journal], async (blocks) => {
      for (const { cid, bytes } of blocks) {
        sealed.push(...decodeSegment(bytes))
        names.push(nameOf(cid))
        await context.store.commit({ put: [[keys.block(agent, nameOf(cid)), bytes]], durable: false })
      }
    })
  }
  return { sealed, names }
}

/** The witness gives an agent away whose holder is gone. */
export const takeOver = async (inbound: Inbound, channel: Channel, agent: string): Promise<void> => {
  const { context } = inbound
  const { peer } = channel
  const limit = deadline(context.clock, TAKEOVER_MS, `the takeover of ${agent}`, context.signal)
  limit.signal.addEventListener('abort', () => channel.abort(asError(limit.signal.reason)))
  try {
    const puller = await pullFrom(context, peer, true, limit.signal)
    try {
      await takeIn(inbound, {
        agent,
        from: peer,
        puller,
        recover: async (ready) => {
          await say(channel, { type: 'ready', ready })
          const next = await hear(channel, { clock: context.clock, ms: COMMIT_MS, signal: context.signal })
          if (next?.type !== 'commit') throw new IgorError('HANDOFF_FAILED', `${peer} did not give ${agent} away after all`)
          return decodeRecord(next.bytes('record', MAX_RECORD))
        },
      })
    } finally {
      await puller.close().catch(() => {})
    }
    await say(channel, { type: 'taken' })
  } catch (error) {
    await reject(channel, error).catch(() => {})
    const message = messageOf(error)
    context.report({ level: 'info', code: 'HANDOFF_FAILED', agent, peer, message })
  } finally {
    limit.clear()
  }
}
