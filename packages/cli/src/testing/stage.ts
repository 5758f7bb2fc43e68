/**
 * An example agent in a real worker thread, ticked by hand.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { type Manifest, parseManifest } from '@igor/core'
import type { Attempt, JobResult, Reply, Request } from '@igor/core/worker'
import { nodeThreads } from '@igor/nodejs'
import { onTestFinished } from 'vitest'

export const agentsFolder = fileURLToPath(new URL('../../../../agents/', import.meta.url))

export interface Stage {
  /** What its birth left: logs of tick 0, the whole first state. */
  readonly born: JobResult
  /** One tick. @throws Error when it traps */
  tick(options?: TickOptions): Promise<JobResult>
  /** Log lines of so many ticks. */
  logs(ticks: number, options?: TickOptions): Promise<string[]>
  /** Length of its linear memory. */
  memory(): number
}

export interface TickOptions {
  /** Milliseconds that pass before it. Default 1000. */
  readonly pass?: number
  readonly messages?: readonly string[]
}

const START_NS = 1_790_000_000_000_000_000n
const NS_PER_MS = 1_000_000n
type WithId = Extract<Request, { readonly id: number }>
type Unnumbered = WithId extends infer R ? (R extends WithId ? Omit<R, 'id'> : never) : never

/** What its host tells an agent of its budget. */
export type Terms = Pick<Attempt, 'price' | 'balance' | 'receipts'>

const FREE: Terms = { price: 0n, balance: 0n, receipts: [] }

/** @param init text that it is given at birth */
export async function stage(name: string, init = ''): Promise<Stage> {
  const manifest = parseManifest(await readFile(`${agentsFolder}${name}/manifest.json`, 'utf8'))
  return stageModule(name, new Uint8Array(await readFile(`${agentsFolder}${name}/${name}.wasm`)), manifest, init)
}

/** The same with a module and manifest of one's own. */
export async function stageModule(
  name: string,
  wasm: Uint8Array,
  manifest: Manifest,
  init = '',
  terms: Terms = FREE,
): Promise<Stage> {
  const thread = nodeThreads().spawn()
  onTestFinished(() => thread.terminate())
  let id = 0
  const ask = async (request: Unnumbered): Promise<Reply> => {
    const answer = Promise.withResolvers<Reply>()
    thread.onmessage = (message) => {
      const reply = message as Reply
      // Signs of life come before the results.
      if (reply.type !== 'ran' || reply.results.length > 0) answer.resolve(reply)
    }
    thread.onexit = (reason) => answer.reject(new Error(reason))
    thread.post({ ...request, id: ++id })
    const reply = await answer.promise
    if (reply.type === 'refused' || reply.type === 'failed') throw new Error(`${name} is ${reply.type}: ${reply.message}`)
    return reply
  }

  const key = { module: name, maxMemoryBytes: manifest.limits.maxMemoryBytes, granted: [...manifest.capabilities.keys()].sort() }
  let time = START_NS
  let ticks = 0
  const attempt = (messages: readonly string[]) => ({
    tick: ticks,
    time,
    root: new Uint8Array(32).fill(7),
    messages: messages.map((text) => new TextEncoder().encode(text)),
    limit: BigInt(manifest.limits.maxFuelPerTick) * (ticks === 0 ? 10n : 1n),
    ...terms,
  })
  await ask({ type: 'setup', live: 4 })
  await ask({ type: 'load', ...key, bytes: wasm.slice() })
  const placed = await ask({ type: 'place', place: 1, ...key, init: new TextEncoder().encode(init), attempt: attempt([]) })
  if (placed.type !== 'placed' || placed.result === undefined) throw new Error(`${name} was not born`)
  let memory = placed.result.memoryBytes
  const staged: Stage = {
    born: placed.result,
    async tick({ pass = 1000, messages = [] } = {}) {
      time += BigInt(pass) * NS_PER_MS
      ticks++
      const job = { place: 1, maxTicks: 1, maxMs: 1000, allowance: 2n ** 62n, state: true }
      const reply = await ask({ type: 'run', jobs: [{ ...job, ...attempt(messages) }] })
      const [result] = reply.type === 'ran' ? reply.results : []
      if (result === undefined || result.ticks !== 1)
        throw new Error(`${name} failed at tick ${ticks}: ${result?.trap ?? result?.fault}`)
      memory = result.memoryBytes
      return result
    },
    async logs(count, options) {
      const lines: string[] = []
      for (let i = 0; i < count; i++) lines.push(...(await staged.tick(options)).logs.map(({ text }) => text))
      return lines
    },
    memory: () => memory,
  }
  return staged
}
