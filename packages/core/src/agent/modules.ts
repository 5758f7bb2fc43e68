/**
 * Modules in the store: shared by every agent that runs them, in blocks of at most 1 MiB.
 *
 * @module
 */
import { joinModule, moduleParts, splitModule } from '@igor/lineage'
import { CID } from 'multiformats/cid'
import { IgorError } from '../errors.ts'
import { keys } from '../keys.ts'
import type { Store } from '../platform.ts'

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

/** Removes modules that no agent here runs. What was written since `modules` were listed stays. */
export const sweepModules = async (store: Store, modules: readonly string[], used: ReadonlySet<string>): Promise<void> => {
  const keep = new Set(used)
  for (const cid of used) {
    const root = await store.get(keys.module(cid))
    if (root !== undefined) for (const part of moduleParts(CID.parse(cid), root)) keep.add(part.toString())
  }
  const remove = modules.filter((key) => !keep.has(key.slice(keys.modules.length)))
  if (remove.length > 0) await store.commit({ remove, durable: false })
}
