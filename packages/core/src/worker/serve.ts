/**
 * The worker's side of the protocol. A platform package calls `serve` in its thread and adds nothing to it.
 *
 * @module
 */
import { Trap } from '@igor/sandbox'
import { messageOf } from '../thrown.ts'
import { type Agent, createAgent, type Tools } from './agent.ts'
import { buffersOf } from './image.ts'
import { createLivePool } from './live-pool.ts'
import { createModules, Refusal } from './modules.ts'
import type { JobResult, Place, Reply, Request } from './protocol.ts'

export interface Port {
  post(message: Reply, transfer?: ArrayBuffer[]): void
  onmessage: ((message: unknown) => void) | undefined
}

/** A batch that takes longer reports on the way. */
const REPORT_MS = 5
/** Hashing so much takes up to a tenth of a second: time for a sign of life. */
const SIGN_BYTES = 4 * 1024 * 1024

const absent = (place: Place): JobResult => ({
  place,
  ticks: 0,
  more: false,
  taken: 0,
  fuel: 0n,
  memoryBytes: 0,
  logs: [],
  longestMs: 0,
  startedAt: 0,
  endedAt: 0,
  fault: 'it was dropped before it ran',
})

/** Serves requests one after the other, in the order in which they came, until the thread ends. */
export const serve = (port: Port, platform: Tools): void => {
  let sign = (): void => {}
  let hashed = 0
  const tools: Tools = {
    now: platform.now,
    sha256: (bytes) => {
      hashed += bytes.length
      if (hashed >= SIGN_BYTES) {
        hashed = 0
        sign()
      }
      return platform.sha256(bytes)
    },
  }
  const modules = createModules()
  const agents = new Map<Place, Agent>()
  const pool = createLivePool()
  const queue: Request[] = []
  let busy = false

  const place = (request: Extract<Request, { type: 'place' }>): void => {
    const { id, place, image, attempt, init, maxMemoryBytes, granted } = request
    const compiled = modules.get(request)
    if (compiled === undefined) throw new Error(`module ${request.module} was not loaded here`)
    const agent = createAgent({ place, compiled, maxMemoryBytes, granted, init }, tools, pool)
    if (image !== undefined) {
      agent.restore(image)
      agents.set(place, agent)
      port.post({ type: 'placed', id })
    } else if (attempt !== undefined) {
      const result = agent.spawn(attempt)
      agents.set(place, agent)
      port.post({ type: 'placed', id, result }, buffersOf(result))
    } else throw new Error('neither an image nor an attempt to spawn')
  }

  const upgrade = (request: Extract<Request, { type: 'upgrade' }>): void => {
    const { id, place, attempt, init, maxMemoryBytes, granted } = request
    const old = agents.get(place)
    const compiled = modules.get(request)
    if (old === undefined || compiled === undefined) throw new Error(`place ${place} or module ${request.module} is not here`)
    const next = createAgent({ place, compiled, maxMemoryBytes, granted, init }, tools, pool)
    try {
      const result = next.takeOver(attempt, old.handOver(attempt))
      old.discard()
      agents.set(place, next)
      port.post({ type: 'upgraded', id, failed: null, result }, buffersOf(result))
    } catch (error) {
      next.discard()
      // What it did to say what it carries is undone.
      old.discard()
      if (!(error instanceof Trap)) throw error
      port.post({ type: 'upgraded', id, failed: error.message })
    }
  }

  const run = ({ id, jobs }: Extract<Request, { type: 'run' }>): void => {
    let results: JobResult[] = []
    let reported = tools.now()
    const report = (done: boolean): void => {
      port.post({ type: 'ran', id, results, done }, results.flatMap(buffersOf))
      results = []
      reported = tools.now()
    }
    sign = () => report(false)
    for (const [i, job] of jobs.entries()) {
      const agent = agents.get(job.place)
      // It may have been dropped while the job was on its way: its neighbours' jobs go on.
      const result = agent?.run(job, sign) ?? absent(job.place)
      results.push(result)
      if (i < jobs.length - 1 && tools.now() - reported >= REPORT_MS) report(false)
    }
    sign = () => {}
    report(true)
  }

  const handle = (request: Request): Promise<void> | undefined => {
    switch (request.type) {
      case 'setup':
        pool.limit = Math.max(1, request.live)
        port.post({ type: 'ready', id: request.id })
        return
      case 'load':
        return modules
          .load(request, request.bytes)
          .then((instrument) => port.post({ type: 'loaded', id: request.id, instrument }))
      case 'place':
        place(request)
        return
      case 'run':
        run(request)
        return
      case 'patch': {
        const agent = agents.get(request.place)
        if (agent === undefined) throw new Error(`there is no agent in place ${request.place}`)
        agent.patch(request.image)
        port.post({ type: 'patched', id: request.id })
        return
      }
      case 'replay': {
        const agent = agents.get(request.place)
        if (agent === undefined) throw new Error(`there is no agent in place ${request.place}`)
        port.post({ type: 'replayed', id: request.id, results: agent.replay(request.inbox, request.steps, () => {}) })
        return
      }
      case 'upgrade':
        upgrade(request)
        return
      case 'drop':
        agents.get(request.place)?.discard()
        agents.delete(request.place)
        return
      case 'unload':
        modules.unload(request)
    }
  }

  const fail = (request: Request, error: unknown): void => {
    if (!('id' in request)) return
    const { id } = request
    if (error instanceof Refusal) port.post({ type: 'refused', id, code: error.code, message: error.message })
    else port.post({ type: 'failed', id, message: messageOf(error) })
  }

  const pump = async (): Promise<void> => {
    busy = true
    for (let request = queue.shift(); request !== undefined; request = queue.shift()) {
      try {
        const waiting = handle(request)
        // Only loading waits: all else is answered before the next message is looked at.
        if (waiting !== undefined) await waiting
      } catch (error) {
        fail(request, error)
      }
    }
    busy = false
  }

  port.onmessage = (message) => {
    queue.push(message as Request)
    if (!busy) void pump()
  }
}
