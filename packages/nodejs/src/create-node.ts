/**
 * A node in Node.js: agents in files, ticks in worker threads, a host and a relay for tabs.
 *
 * @module
 */
import { stat } from 'node:fs/promises'
import { hostname } from 'node:os'
import {
  createCoreNode,
  type Node,
  type NodePolicy,
  openForks,
  openLogStore,
  type Residence,
  type WitnessOptions,
  witnessOffice,
} from '@igor/core'
import { createNetwork, type IceServer, type ListenOptions, type NetworkWarning } from '@igor/libp2p'
import { nodeClock } from './clock.ts'
import { nodeCrypto } from './crypto.ts'
import { openFiles } from './files.ts'
import { nodeThreads } from './threads.ts'

export interface NodejsNodeOptions {
  /** Holds identity, keys and agents; made if need be. One process at a time. */
  readonly dataDir: string
  /** Shown to people; default: made from the peer id. */
  readonly name?: string
  readonly listen?: ListenOptions
  /** Multiaddrs to tell others instead of those that the listeners know. */
  readonly announce?: readonly string[]
  readonly policy?: NodePolicy
  /** Serves as a witness. Default: no. */
  readonly witness?: WitnessOptions | boolean
  /** Multiaddrs of relays to stay connected to. */
  readonly relays?: readonly string[]
  readonly iceServers?: readonly IceServer[]
  readonly onwarning?: (warning: NetworkWarning) => void
}

/** A folder that was copied or restored is another one by number and birth, and so is one on another machine. */
const residenceOf = async (folder: string): Promise<Residence> => {
  const { ino, birthtimeMs } = await stat(folder)
  const place = `${hostname()} ${ino} ${Math.floor(birthtimeMs)}`
  return { read: () => place }
}

/** @throws IgorError STORE_BUSY when another process has the folder | STORE_VERSION | STORE_DAMAGED | StoreFullError */
export const createNode = async (options: NodejsNodeOptions): Promise<Node> => {
  const files = await openFiles(options.dataDir)
  const crypto = nodeCrypto()
  const store = await openLogStore(files, { random: (length) => crypto.random(length) })
  try {
    return await createCoreNode(
      {
        clock: nodeClock(),
        crypto,
        store,
        threads: nodeThreads(),
        network: (seed) =>
          createNetwork({
            seed,
            listen: options.listen ?? { tcp: 0, ws: 0 },
            bootstrap: options.relays ?? [],
            iceServers: options.iceServers ?? [],
            ...(options.announce === undefined ? {} : { announce: options.announce }),
            ...(options.onwarning === undefined ? {} : { onwarning: options.onwarning }),
          }),
      },
      {
        kind: 'server',
        forks: openForks,
        residence: await residenceOf(options.dataDir),
        ...(options.name === undefined ? {} : { name: options.name }),
        ...(options.policy === undefined ? {} : { policy: options.policy }),
        ...(options.witness === undefined ? {} : { witness: options.witness, office: witnessOffice }),
      },
    )
  } catch (error) {
    await store.close()
    throw error
  }
}
