/**
 * Reading what the store holds beside an agent's last state: the journal since, and the states behind it.
 *
 * @module
 */
import { type Chain, decodeSegment, decodeState, type JournalEntry, type LineageRecord } from '@igor/lineage'
import type { CID } from 'multiformats/cid'
import type { Slot } from '../authority/row.ts'
import { IgorError } from '../errors.ts'
import { keys } from '../keys.ts'
import type { Store } from '../platform.ts'
import type { BlockRefs } from './blocks.ts'
import type { Context } from './context.ts'
import { type Journal, openJournal } from './journal.ts'
import type { Rescue } from './rescue.ts'
import { createRetention, owedStates, pastBytes, type Retention, usesOf } from './retention.ts'
import { type Current, countRefs, nameOf } from './state.ts'
import { joinPieces } from './turns.ts'

type Progressed = LineageRecord & { readonly body: { readonly journal: CID | null; readonly state: CID | null } }

const hasProgress = (record: LineageRecord): record is Progressed => 'journal' in record.body

/**
 * The open segment: rows of the agent's own, and what rows of turns add to them, which is put into its own rows then. A
 * damaged store can lose its end without a gap: only a last row that is known to be the last will do.
 *
 * @throws IgorError STORE_DAMAGED, LineageError
 */
export const readJournal = async (
  { store, turns }: Pick<Context, 'store' | 'turns'>,
  rescue: Rescue,
  agent: string,
  slot: Slot,
): Promise<Journal> => {
  const rows: Uint8Array[] = []
  for (;;) {
    const key = keys.journalRow(agent, slot.epoch, slot.seq, rows.length)
    const bytes = await rescue.get(key)
    if (bytes === undefined) break
    if (rescue.doubtful.has(key)) throw new IgorError('STORE_DAMAGED', 'later ticks may have been lost from its journal')
    rows.push(bytes)
  }
  if (store.damaged && rows.length === 0) throw new IgorError('STORE_DAMAGED', 'its journal is missing')
  const length = rows.reduce((sum, row) => sum + row.length, 0)
  const added = joinPieces(slot, length, turns.found(agent))
  const journal = openJournal(agent, slot, rows, added)
  if (added.length > 0) {
    const folded = journal.fold()
    // Lost in a crash, it is done again: rows of turns go after it.
    await store.commit({ put: folded.put, durable: false })
    folded.keep()
  }
  return journal
}

/** Segments that records without a state named since the last state. @throws IgorError STORE_DAMAGED, LineageError */
export const readSealed = async (
  read: (digest: Uint8Array) => Promise<Uint8Array>,
  chain: Chain,
  records: readonly LineageRecord[],
): Promise<JournalEntry[]> => {
  const from = chain.state?.body.seq ?? 0
  const entries: JournalEntry[] = []
  for (const record of records) {
    if (record.body.seq <= from || !hasProgress(record) || record.body.journal === null) continue
    entries.push(...decodeSegment(await read(record.body.journal.multihash.digest)))
  }
  return entries
}

/**
 * Counts the blocks of the states that are kept behind the present one, as far as they are here.
 *
 * @param keep how many states stay
 */
export const readRetained = async (
  store: Store,
  agent: string,
  chain: Chain,
  records: readonly LineageRecord[],
  current: Current | undefined,
  keep: number,
): Promise<{ refs: BlockRefs; retention: Retention }> => {
  const refs = countRefs(chain.genesis.body, current)
  const retention = createRetention(keep, refs)
  if (current === undefined) return { refs, retention }
  const states = records.filter(hasProgress).filter(({ body }) => body.state !== null)
  const kept = states.slice(Math.max(0, states.length - (Number.isFinite(keep) ? keep : states.length)))
  const blocks = await Promise.all(
    kept.map(async ({ body }) => (body.state?.equals(current.cid) ? current : readState(store, agent, body.state))),
  )
  // From the oldest on after which none is missing.
  const first = blocks.lastIndexOf(undefined) + 1
  const groups: { names: string[]; bytes: number }[] = []
  for (let i = first; i < kept.length; i++) {
    const before = blocks[i - 1]
    const now = blocks[i]
    const journal = kept[i]?.body.journal
    const own = journal == null ? [] : [nameOf(journal)]
    const { dropped } = i === first || before === undefined || now === undefined ? { dropped: [] } : usesOf(before, now)
    // What is no more in use than by an older state.
    for (const name of [...own, ...dropped]) refs.add(name)
    if (i === first) for (const name of own) retention.also(name)
    else groups.push({ names: [...own, ...dropped], bytes: before === undefined ? 0 : pastBytes(before.block, dropped.length) })
  }
  const owed = owedStates(chain, records)
  for (const { names, bytes } of groups) retention.replaced(names, bytes, owed)
  for (const record of records) {
    const after = hasProgress(record) && record.body.state === null && record.body.seq > (chain.state?.body.seq ?? 0)
    if (!after || record.body.journal === null) continue
    refs.add(nameOf(record.body.journal))
    retention.also(nameOf(record.body.journal))
  }
  return { refs, retention }
}

const readState = async (store: Store, agent: string, cid: CID | null): Promise<Current | undefined> => {
  if (cid === null) return undefined
  try {
    const bytes = await store.get(keys.block(agent, nameOf(cid)))
    if (bytes === undefined) return undefined
    return { cid, block: decodeState(bytes) } as Current
  } catch {
    // Nothing rests on an older state.
    return undefined
  }
}
