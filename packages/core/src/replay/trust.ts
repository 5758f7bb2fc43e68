/**
 * Which states a node need not have run again to: those that it computed itself, as host or as judge.
 *
 * @module
 */
import type { Chain, LineageRecord } from '@igor/lineage'
import { isProgress } from './spans.ts'

/** Agents that are remembered, the last ones first: a hundred bytes each. After a start they are judged anew. */
const MAX_REMEMBERED = 10_000

export interface Trust {
  /** Seq of the last record whose state this node computed itself; -1: there is none. */
  newest(chain: Chain, records: readonly LineageRecord[]): number
  /** The last state of this history came out again, and all that was kept before it. */
  add(chain: Chain): void
}

/** @param peer this node's id: what it signed as host it had run */
export const createTrust = (peer: string): Trust => {
  const judged = new Map<string, string>()
  return {
    newest: ({ agent, hosts }, records) => {
      const own = new Set(hosts.filter((host) => host.peer === peer).map(({ epoch }) => epoch))
      const known = judged.get(agent)
      const found = records.findLast(
        (record) =>
          isProgress(record) && record.body.state !== null && (own.has(record.body.epoch) || record.id.toString() === known),
      )
      return found?.body.seq ?? -1
    },
    add: ({ agent, state }) => {
      if (state === null) return
      judged.delete(agent)
      judged.set(agent, state.id.toString())
      const [oldest] = judged.keys()
      if (judged.size > MAX_REMEMBERED && oldest !== undefined) judged.delete(oldest)
    },
  }
}
