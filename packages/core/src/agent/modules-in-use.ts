/**
 * Which modules the agents of a store still need.
 *
 * @module
 */
import { type Body, decodeRecord } from '@igor/lineage'
import { decodeRow } from '../authority/row.ts'
import { keys } from '../keys.ts'
import type { Store } from '../platform.ts'
import { createRescue, type Rescue } from './rescue.ts'
import { nameOf } from './state.ts'

const bodyIn = async (rescue: Rescue, key: string | undefined): Promise<Body | undefined> => {
  const bytes = key === undefined ? undefined : await rescue.get(key)
  return bytes === undefined ? undefined : decodeRecord(bytes).body
}

/** Modules that agents in this store run, or ran in what is kept of their past, those of other tabs included; undefined: some of them are not known any more. */
export const modulesInUse = async (store: Store): Promise<Set<string> | undefined> => {
  const used = new Set<string>()
  const rescue = createRescue(store)
  for (const key of await store.list(keys.authorities)) {
    const agent = key.slice(keys.authorities.length)
    try {
      const row = await rescue.get(key)
      if (row !== undefined && decodeRow(row).state === 'retired') continue
      const records = await store.list(keys.records(agent))
      // What it was born with serves to run its beginning again.
      const born = await bodyIn(rescue, records[0])
      if (born !== undefined && 'module' in born) used.add(born.module.toString())
      // What it runs is in the last record that names a module; what it ran is in those whose states and journals are kept.
      let isLast = true
      for (const key of records.reverse()) {
        const body = await bodyIn(rescue, key)
        if (body === undefined || !('state' in body)) continue
        if (!isLast && body.state !== null && (await store.get(keys.block(agent, nameOf(body.state)))) === undefined) break
        used.add(body.module.toString())
        isLast = false
      }
    } catch {
      return undefined
    }
  }
  return rescue.lossy || rescue.doubtful.size > 0 ? undefined : used
}
