/**
 * A node in a tab.
 *
 * @module
 */
import { createCoreNode, type Node, type NodePolicy } from '@igor/core'
import { createNetwork, type IceServer, type NetworkWarning } from '@igor/libp2p'
import { guardBackForwardCache } from './bfcache.ts'
import { workerClock } from './clock.ts'
import { webCrypto } from './crypto.ts'
import { claimSlot } from './slots.ts'
import { openIdbStore } from './store.ts'
import { webThreads } from './threads.ts'
import { incarnationTwin } from './twin.ts'

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
  readonly onwarning?: (warning: NetworkWarning) => void
}

/**
 * Starts the node that this tab is: the same one after a reload, with the agents that it had.
 *
 * @throws IgorError QUOTA (too many tabs) | STORE_VERSION | STORE_DAMAGED; see `canRun` for what a browser may lack
 */
export const createNode = async (options: BrowserNodeOptions = {}): Promise<Node> => {
  const { database } = options
  const held = await claimSlot(database === undefined ? {} : { name: database })
  const clock = workerClock(options.clockWorkerUrl === undefined ? {} : { workerUrl: options.clockWorkerUrl })
  const release = async (): Promise<void> => {
    clock.close()
    await held.release()
  }
  try {
    const twin = incarnationTwin(held.slot, database)
    const store = await openIdbStore(database)
    const node = await createCoreNode(
      {
        clock,
        crypto: webCrypto(),
        store,
        threads: webThreads({
          parallelism: Math.min(MAX_WORKERS, navigator.hardwareConcurrency),
          ...(options.workerUrl === undefined ? {} : { workerUrl: options.workerUrl }),
        }),
        network: (seed) =>
          createNetwork({
            seed,
            bootstrap: options.relays ?? [],
            iceServers: options.iceServers ?? [],
            ...(options.onwarning === undefined ? {} : { onwarning: options.onwarning }),
          }),
      },
      {
        kind: 'tab',
        slot: held.slot,
        residence: { read: () => twin.get(), write: (residence) => twin.set(residence) },
        ...(options.name === undefined ? {} : { name: options.name }),
        ...(options.policy === undefined ? {} : { policy: options.policy }),
      },
    ).catch(async (error) => {
      await store.close()
      throw error
    })
    const unguard = guardBackForwardCache()
    const { stop } = node
    return Object.assign(node, {
      stop: async () => {
        unguard()
        await stop()
        await release()
      },
    })
  } catch (error) {
    await release()
    throw error
  }
}
