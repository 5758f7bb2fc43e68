/**
 * Acting for another node of the same store whose tab is gone: its undecided handoffs are finished
 * with its key, and its agents come here by handoffs like any other (design section 6, "Tabs").
 *
 * @module
 */
import { decodeRecord } from '@igor/lineage'
import type { HandedOver, Node } from '../api.ts'
import { decodeRow } from '../authority/row.ts'
import { keys } from '../keys.ts'
import type { Clock, Platform, Store } from '../platform.ts'
import { type CoreNodeOptions, createCoreNode } from './node.ts'

/** How long to wait for the answers to handoffs that the closed tab left undecided. */
const SETTLE_MS = 10_000
/** Between two looks at them. */
const LOOK_MS = 50

/** What stands in the store under the name of one of its nodes. */
export interface Belongings {
  /** Agents that tick there. */
  readonly active: readonly string[]
  /** Agents that left, without an answer yet. */
  readonly pending: readonly string[]
  /** Whether somebody elsewhere has to be asked about any of them: a target, or a witness. */
  readonly needsNetwork: boolean
}

/** What a node of this store would have to do if it ran. */
export const belongingsOf = async (store: Store, slot: string): Promise<Belongings> => {
  const active: string[] = []
  const pending: string[] = []
  let needsNetwork = false
  for (const key of await store.list(keys.authorities)) {
    const agent = key.slice(keys.authorities.length)
    try {
      const owner = await store.get(keys.owner(agent))
      if (owner === undefined || new TextDecoder().decode(owner) !== slot) continue
      const row = await store.get(key)
      const state = row === undefined ? undefined : decodeRow(row).state
      if (state === 'active-owner') active.push(agent)
      if (state === 'handoff-pending') pending.push(agent)
      needsNetwork ||= state === 'handoff-pending' || (state === 'active-owner' && (await isWitnessed(store, agent)))
    } catch {
      // Damaged: the node itself says so when its tab is opened again.
    }
  }
  return { active, pending, needsNetwork }
}

const isWitnessed = async (store: Store, agent: string): Promise<boolean> => {
  const [first] = await store.list(keys.records(agent))
  const bytes = first === undefined ? undefined : await store.get(first)
  const body = bytes === undefined ? undefined : decodeRecord(bytes).body
  return body?.kind === 'genesis' && body.witness !== null
}

export interface WardOptions extends Omit<CoreNodeOptions, 'kind' | 'slot'> {
  /** Of the tab that is gone. Whoever calls holds its lock. */
  readonly slot: string
  /** Peer id of the node that takes the agents in; the platform's network reaches it. */
  readonly to: string
  readonly signal?: AbortSignal
}

/**
 * Runs the node of a closed tab for as long as it takes to give everything away. What cannot go stays with
 * it, asleep, until its tab is opened again.
 */
export const emptySlot = async (platform: Platform, { to, signal, ...options }: WardOptions): Promise<HandedOver> => {
  const ward = await createCoreNode(platform, { ...options, kind: 'tab' })
  try {
    const given = await ward.handOver(to, signal ? { signal } : {})
    await settled(ward, platform.clock, signal)
    return given
  } finally {
    await ward.stop()
  }
}

const settled = async (ward: Node, clock: Clock, signal: AbortSignal | undefined): Promise<void> => {
  const until = clock.elapsed() + SETTLE_MS
  const undecided = (): boolean => ward.agents().some(({ here, state }) => here && state === 'moving')
  while (undecided() && clock.elapsed() < until) await clock.sleep(LOOK_MS, signal)
}
