/**
 * Live instances of a thread: engines limit how many memories there may be, and machines how large they are together.
 * Who was not used for longest gives its own up, and rests as bytes.
 *
 * @module
 */
import { SandboxError } from '@igor/sandbox'
import type { Agent, Pool } from './agent.ts'
import type { Live } from './live.ts'

/** Chromium allows about 125 live memories in all threads of a page together; core says how many are ours. */
const DEFAULT_LIVE = 64
/** Bytes of live memories, each of which stands beside its boundary's copy … */
const MAX_BYTES = 512 * 1024 * 1024
/** … but so many large ones may always be there. */
const FEW = 16

export interface LivePool extends Pool {
  /** Instances at a time, at least 1; less from where the machine has no memory for more. */
  limit: number
}

export const createLivePool = (maxBytes = MAX_BYTES): LivePool => {
  // In the order of their last use.
  const live = new Map<Agent, number>()
  let bytes = 0
  const release = (agent: Agent): void => {
    bytes -= live.get(agent) ?? 0
    live.delete(agent)
  }
  /** Takes instances away, longest unused first; returns the last one. */
  const shrink = (to: number): Live | undefined => {
    let given: Live | undefined
    for (const agent of live.keys()) {
      if (live.size <= to && (live.size < FEW || bytes <= maxBytes)) break
      given = agent.rest()
    }
    return given
  }
  const add = (agent: Agent, length: number): void => {
    release(agent)
    live.set(agent, length)
    bytes += length
  }
  const pool: LivePool = {
    limit: DEFAULT_LIVE,
    admit: (agent, make) => {
      const spare = shrink(pool.limit - 1)
      let length: number
      try {
        length = make(spare)
      } catch (error) {
        if (!(error instanceof SandboxError) || error.code !== 'HOST_MEMORY' || live.size === 0) throw error
        // More would only fail again.
        pool.limit = Math.max(1, live.size >> 1)
        length = make(shrink(pool.limit - 1))
      }
      add(agent, length)
    },
    touch: add,
    release,
  }
  return pool
}
