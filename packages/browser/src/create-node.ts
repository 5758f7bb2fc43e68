/**
 * A node in a tab.
 *
 * @module
 */
import {
  belongingsOf,
  besideNetwork,
  createCoreNode,
  createMemoryHub,
  emptySlot,
  type MemoryHub,
  type Network,
  type Node,
  type NodePolicy,
  type Platform,
  packLastWords,
  type Residence,
} from '@igor/core'
import { createNetwork, type IceServer, type NetworkWarning } from '@igor/libp2p'
import { guardBackForwardCache } from './bfcache.ts'
import { workerClock } from './clock.ts'
import { webCrypto } from './crypto.ts'
import { claimSlot } from './slots.ts'
import { openIdbStore } from './store.ts'
import { webThreads } from './threads.ts'
import { incarnationTwin } from './twin.ts'
import { watchSlots } from './wards.ts'

/** Workers of one tab: each has 9 MB, and a page has to share the machine with others. */
const MAX_WORKERS = 4

export interface BrowserNodeOptions {
  /** Multiaddrs of relays, e.g. the node that served the page. */
  readonly relays?: readonly string[]
  /** STUN and TURN servers; default none. */
  readonly iceServers?: readonly IceServer[]
  /** Shown to people; default: made from the peer id. */
  readonly name?: string
  readonly policy?: NodePolicy
  /** Script of the agents' workers, bundled from `@igor/browser/worker`. Default: beside this module. */
  readonly workerUrl?: string | URL
  /** Script of the clock's worker, bundled from `@igor/browser/clock-worker`. Default: beside this module. */
  readonly clockWorkerUrl?: string | URL
  /** Name of the IndexedDB database and of the slots' locks. Default `igor`. */
  readonly database?: string
  /**
   * Where the page posts its last words when it is closed (design section 6, "Release"), such as `/release` of
   * the server that it came from. Default: nowhere, so that witnessed agents wait for the end of their leases.
   */
  readonly releaseUrl?: string
  readonly onwarning?: (warning: NodeWarning) => void
}

export interface NodeWarning {
  /** `CLOSED_TAB`: what a closed tab left could not be taken in. */
  readonly code: NetworkWarning['code'] | 'CLOSED_TAB'
  readonly message: string
}

/**
 * Starts the node that this tab is: the same one after a reload, with the agents that it had.
 *
 * @throws IgorError QUOTA (too many tabs) | STORE_VERSION | STORE_DAMAGED; see `canRun` for what a browser may lack
 */
export const createNode = async (options: BrowserNodeOptions = {}): Promise<Node> => {
  const { database = 'igor' } = options
  const held = await claimSlot({ name: database })
  const clock = workerClock(options.clockWorkerUrl === undefined ? {} : { workerUrl: options.clockWorkerUrl })
  const release = async (): Promise<void> => {
    clock.close()
    await held.release()
  }
  const tools: Tools = {
    database,
    warn: (warning) => options.onwarning?.(warning),
    reach: (seed) =>
      createNetwork({
        seed,
        bootstrap: options.relays ?? [],
        iceServers: options.iceServers ?? [],
        ...(options.onwarning === undefined ? {} : { onwarning: options.onwarning }),
      }),
    platform: async (parallelism, network) => ({
      clock,
      crypto: webCrypto(),
      store: await openIdbStore(database),
      threads: webThreads({ parallelism, ...(options.workerUrl === undefined ? {} : { workerUrl: options.workerUrl }) }),
      network,
    }),
  }
  try {
    // Between the node of this tab and those that it acts for.
    const page = createMemoryHub()
    const platform = await tools.platform(Math.min(MAX_WORKERS, navigator.hardwareConcurrency), async (seed) =>
      besideNetwork(page.join(seed), await tools.reach(seed)),
    )
    const node = await createCoreNode(platform, {
      kind: 'tab',
      slot: held.slot,
      residence: residenceOf(held.slot, database),
      // Another tab acted for this one while it was asleep: loaded anew it is a node again.
      onreplaced: () => location.reload(),
      ...(options.name === undefined ? {} : { name: options.name }),
      ...(options.policy === undefined ? {} : { policy: options.policy }),
    }).catch(async (error) => {
      await platform.store.close()
      throw error
    })
    const unguard = guardBackForwardCache()
    const unlisten = sayLastWords(node, options.releaseUrl)
    const unwatch = lookAfterOthers(tools, platform, node, page)
    const { stop } = node
    return Object.assign(node, {
      stop: async () => {
        unguard()
        unlisten()
        await unwatch()
        await stop()
        await release()
      },
    })
  } catch (error) {
    await release()
    throw error
  }
}

/** Beacons are delivered after the page has gone, WebRTC and long writes are not. */
const sayLastWords = (node: Node, url: string | undefined): (() => void) => {
  const onhide = (): void => {
    const words = url === undefined ? [] : node.releases()
    if (url !== undefined && words.length > 0)
      navigator.sendBeacon(url, new Blob([packLastWords(words) as Uint8Array<ArrayBuffer>]))
  }
  window.addEventListener('pagehide', onhide)
  return () => window.removeEventListener('pagehide', onhide)
}

/** What the node of this tab and those that it acts for are made of. */
interface Tools {
  readonly database: string
  readonly warn: (warning: NodeWarning) => void
  readonly reach: (seed: Uint8Array) => Promise<Network>
  readonly platform: (parallelism: number, network: Platform['network']) => Promise<Platform>
}

const residenceOf = (slot: string, database: string): Residence => {
  const twin = incarnationTwin(slot, database)
  return { read: () => twin.get(), write: (residence) => twin.set(residence) }
}

/** Takes in the agents of tabs that are gone. */
const lookAfterOthers = (tools: Tools, { clock, store }: Platform, node: Node, page: MemoryHub): (() => Promise<void>) => {
  const { database } = tools
  return watchSlots({
    name: database,
    clock,
    isNeeded: async (slot) => {
      const { active, pending } = await belongingsOf(store, slot)
      return active.length + pending.length > 0
    },
    empty: async (slot) => {
      const { needsNetwork } = await belongingsOf(store, slot)
      // Mostly the line inside this page is enough, and it works with the server dead.
      const network = async (seed: Uint8Array): Promise<Network> =>
        needsNetwork ? besideNetwork(page.join(seed), await tools.reach(seed)) : page.join(seed)
      const platform = await tools.platform(1, network)
      await emptySlot(platform, { slot, to: node.id, residence: residenceOf(slot, database) })
    },
    onerror: (slot, error) => {
      const message = `the agents of the closed tab ${slot} could not be taken in: ${error instanceof Error ? error.message : error}`
      tools.warn({ code: 'CLOSED_TAB', message })
    },
  })
}
