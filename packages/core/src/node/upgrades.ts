/**
 * New modules for living agents: offered by the owner's node to whoever hosts the agent, and fetched there.
 *
 * @module
 */
import { joinModule, moduleParts } from '@igor/lineage'
import type { CID } from 'multiformats/cid'
import type { Context } from '../agent/context.ts'
import type { Hosted } from '../agent/hosted.ts'
import { hasModule, moduleRows, readModule } from '../agent/modules.ts'
import type { NewModule } from '../agent/orders.ts'
import { IgorError } from '../errors.ts'
import type { Executor } from '../execution/executor.ts'
import { keys } from '../keys.ts'
import { granted } from '../manifest.ts'
import { pullFrom } from '../protocols/blocks.ts'

export interface Upgrades {
  /** Holds a module ready for the agent's host. @throws LineageError TOO_LARGE */
  offer(agent: string, module: Uint8Array): { readonly cid: CID; withdraw(): void }
  /** A block of what is offered. Its name is in the order alone. */
  block(agent: string, cid: CID): Uint8Array | undefined
  /** @param from the peer that brought the order @throws IgorError BAD_ORDER, and what pulling throws */
  fetch(agent: string, cid: CID, from: string | undefined): Promise<NewModule>
  /** Compiles it; nothing of it runs. @throws IgorError BAD_MODULE | CAPABILITY_NOT_GRANTED */
  check(hosted: Hosted, module: NewModule): Promise<void>
}

export const createUpgrades = (context: Context, executor: Executor): Upgrades => {
  const offers = new Map<string, ReadonlyMap<string, Uint8Array>>()

  const pull = async (agent: string, cid: CID, from: string): Promise<Uint8Array> => {
    const puller = await pullFrom(context, from, true, context.signal)
    try {
      const blocks = new Map<string, Uint8Array>()
      const keep = async (some: readonly { readonly cid: CID; readonly bytes: Uint8Array }[]): Promise<void> => {
        for (const one of some) blocks.set(one.cid.toString(), one.bytes)
      }
      await puller.blocks(agent, [cid], keep)
      const parts = moduleParts(cid, blocks.get(cid.toString()) ?? new Uint8Array()).filter((part) => !part.equals(cid))
      if (parts.length > 0) await puller.blocks(agent, parts, keep)
      return joinModule(cid, (part) => blocks.get(part.toString()))
    } finally {
      await puller.close().catch(() => {})
    }
  }

  return {
    offer: (agent, module) => {
      const { cid, rows } = moduleRows(module)
      const blocks = new Map(rows.map(([key, bytes]) => [key.slice(keys.modules.length), bytes] as const))
      offers.set(agent, blocks)
      return {
        cid,
        withdraw: () => {
          if (offers.get(agent) === blocks) offers.delete(agent)
        },
      }
    },
    block: (agent, cid) => offers.get(agent)?.get(cid.toString()),
    fetch: async (agent, cid, from) => {
      const offered = offers.get(agent)
      if (offered?.has(cid.toString()) === true)
        return { cid, rows: [...offered].map(([name, bytes]) => [keys.module(name), bytes] as const) }
      if (await hasModule(context.store, cid)) return { cid, rows: moduleRows(await readModule(context.store, cid)).rows }
      if (from === undefined) throw new IgorError('BAD_ORDER', `the module ${cid} that the order names is not here`)
      return { cid, rows: moduleRows(await pull(agent, cid, from)).rows }
    },
    check: async ({ manifest }, { cid, rows }) => {
      const blocks = new Map(rows.map(([key, bytes]) => [key.slice(keys.modules.length), bytes] as const))
      const limits = { maxMemoryBytes: manifest.limits.maxMemoryBytes, granted: granted(manifest) }
      await executor.load(cid.toString(), async () => joinModule(cid, (part) => blocks.get(part.toString())), limits)
    },
  }
}
