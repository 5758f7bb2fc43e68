/**
 * Where the processor's time goes while something runs: by thread, and within each by the folder or function that it
 * was spent in, sampled.
 *
 * @module
 */
import { Session } from 'node:inspector/promises'
import { BroadcastChannel } from 'node:worker_threads'

/** What threads call each other by. */
const CHANNEL = 'igor-bench-split'
const SAMPLE_US = 500

/** Of one thread. */
export interface Share {
  readonly thread: string
  /** Microseconds. */
  readonly cpu: number
  /** The samples' parts of the thread's time that was not idle, largest first. */
  readonly parts: readonly (readonly [part: string, share: number])[]
}

interface CallFrame {
  readonly functionName: string
  readonly url: string
}

const partOf = ({ functionName, url }: CallFrame): string => {
  const folder = /(?:packages\/(\w+)\/src\/([\w-]+(?:\/[\w-]+)?)|node_modules\/((?:@[\w-]+\/)?[\w-]+))/.exec(url)
  if (folder?.[1] !== undefined) return `${folder[1]}/${folder[2]}`
  if (folder?.[3] !== undefined) return folder[3]
  if (url.startsWith('node:')) return url
  return url.startsWith('wasm') ? 'wasm' : functionName || '(anonymous)'
}

/** Begins to sample this thread. */
export const sample = async (thread: string): Promise<() => Promise<Share>> => {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.setSamplingInterval', { interval: SAMPLE_US })
  await session.post('Profiler.start')
  const before = process.threadCpuUsage()
  return async () => {
    const { user, system } = process.threadCpuUsage(before)
    const { profile } = await session.post('Profiler.stop')
    session.disconnect()
    const nodes = new Map(profile.nodes.map((node) => [node.id, node]))
    const found = new Map<string, number>()
    let busy = 0
    for (const [i, id] of (profile.samples ?? []).entries()) {
      const frame = nodes.get(id)?.callFrame
      const took = profile.timeDeltas?.[i] ?? 0
      if (frame === undefined || frame.functionName === '(idle)') continue
      busy += took
      const part = partOf(frame)
      found.set(part, (found.get(part) ?? 0) + took)
    }
    const parts = [...found].map(([part, took]) => [part, took / busy] as const).sort((a, b) => b[1] - a[1])
    return { thread, cpu: user + system, parts }
  }
}

/** In a worker: takes part in what `startSplit` of the main thread measures. */
export const joinSplit = (thread: string): void => {
  const channel = new BroadcastChannel(CHANNEL)
  channel.unref()
  let stop: (() => Promise<Share>) | undefined
  channel.onmessage = async ({ data }: { readonly data: unknown }) => {
    if (data === 'start') stop = await sample(thread)
    else if (data === 'stop' && stop !== undefined) channel.postMessage(await stop())
  }
}

/** @param workers that have joined @returns what ends it: each thread's share, and the process's time in microseconds */
export const startSplit = async (workers: number): Promise<() => Promise<{ shares: readonly Share[]; total: number }>> => {
  const channel = new BroadcastChannel(CHANNEL)
  const shares: Share[] = []
  const stop = await sample('main')
  channel.postMessage('start')
  const before = process.cpuUsage()
  return async () => {
    const { user, system } = process.cpuUsage(before)
    const all = new Promise<void>((resolve) => {
      channel.onmessage = ({ data }) => {
        shares.push(data as Share)
        if (shares.length === workers) resolve()
      }
    })
    channel.postMessage('stop')
    const own = await stop()
    if (workers > 0) await all
    channel.close()
    return { shares: [own, ...shares], total: user + system }
  }
}
