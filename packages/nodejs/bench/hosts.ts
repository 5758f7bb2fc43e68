/**
 * Nodes in processes of their own, as `host.ts` runs them.
 *
 * @module
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Asked, Told } from './answer.ts'
import type { Led } from './moves.ts'

export interface Host extends Led {
  /** Multiaddrs. */
  readonly tcp: string
  readonly ws: string
  stop(): Promise<void>
}

/** @param folder holds the node's data, by its name */
export const startHost = async (folder: string, name: string): Promise<Host> => {
  // A folder for profiles: `node --cpu-prof`, for whoever looks for what takes the time.
  const profiles = process.env.IGOR_BENCH_PROFILES
  const child = fork(new URL('./host.ts', import.meta.url), [join(folder, name)], {
    execArgv: ['--conditions=source', ...(profiles === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profiles}`])],
    serialization: 'advanced',
  })
  const [ready] = (await once(child, 'message')) as [{ peer: string; multiaddrs: string[] }]
  const ask = async (asked: Asked): Promise<Told> => {
    child.send(asked)
    const [told] = (await once(child, 'message')) as [Told]
    if (told.error !== undefined) throw new Error(told.error)
    return told
  }
  return {
    peer: ready.peer,
    tcp: ready.multiaddrs.find((one) => !one.includes('/ws')) ?? '',
    ws: ready.multiaddrs.find((one) => one.includes('/ws')) ?? '',
    ask,
    stop: async () => {
      await ask({ op: 'stop' })
      child.disconnect()
      await once(child, 'exit')
    },
  }
}
