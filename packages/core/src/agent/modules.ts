/**
 * Modules in the store: shared by every agent that runs them, in blocks of at most 1 MiB.
 *
 * @module
 */
import { joinModule, moduleParts, splitModule } from '@igor/lineage'
import { CID } from 'multiformats/cid'
import { ConflictError, IgorError } from '../errors.ts'
import { keys } from '../keys.ts'
import type { Crypto, Store } from '../platform.ts'

/** Rows that put a module into the store. */
export const moduleRows = (bytes: Uint8Array): { readonly cid: CID; readonly rows: (readonly [string, Uint8Array])[] } => {
  const { cid, blocks } = splitModule(bytes)
  return { cid, rows: blocks.map((block) => [keys.module(block.cid.toString()), block.bytes] as const) }
}

export const hasModule = async (store: Store, cid: CID): Promise<boolean> => {
  const root = await store.get(keys.module(cid.toString()))
  if (root === undefined) return false
  for (const part of moduleParts(cid, root)) if ((await store.get(keys.module(part.toString()))) === undefined) return false
  return true
}

/** @throws IgorError STORE_DAMAGED when a part is missing */
export const readModule = async (store: Store, cid: CID): Promise<Uint8Array> => {
  const blocks = new Map<string, Uint8Array>()
  const read = async (one: CID): Promise<Uint8Array> => {
    const bytes = await store.get(keys.module(one.toString()))
    if (bytes === undefined) throw new IgorError('STORE_DAMAGED', `module ${cid} is missing from the store`)
    blocks.set(one.toString(), bytes)
    return bytes
  }
  for (const part of moduleParts(cid, await read(cid))) await read(part)
  return joinModule(cid, (part) => blocks.get(part.toString()))
}

/** Bytes that tell one time from another. */
const MARK_BYTES = 8

/** The row that says that an agent came. */
export const useOfModule = ({ random }: Crypto): readonly [string, Uint8Array] => [keys.moduleUse, random(MARK_BYTES)]

/**
 * Removes modules that no agent here runs, unless an agent comes meanwhile (tabs share a store).
 *
 * @param inUse those that agents run; undefined: not known, nothing is removed
 */
export const sweepModules = async (
  store: Store,
  crypto: Crypto,
  inUse: (store: Store) => Promise<ReadonlySet<string> | undefined>,
): Promise<void> => {
  const mark = await store.get(keys.moduleUse)
  const modules = await store.list(keys.modules)
  const used = await inUse(store)
  if (used === undefined) return
  const keep = new Set(used)
  for (const cid of used) {
    const root = await store.get(keys.module(cid))
    if (root !== undefined) for (const part of moduleParts(CID.parse(cid), root)) keep.add(part.toString())
  }
  const remove = modules.filter((key) => !keep.has(key.slice(keys.modules.length)))
  if (remove.length === 0) return
  const swept = [keys.moduleSweep, crypto.random(MARK_BYTES)] as const
  await store.commit({ remove, put: [swept], expect: [[keys.moduleUse, mark]], durable: false }).catch((error) => {
    if (!(error instanceof ConflictError)) throw error
  })
}
