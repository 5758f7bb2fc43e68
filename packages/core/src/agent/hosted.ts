/**
 * An agent that lives here: ticks when due, takes messages and orders at tick boundaries, commits
 * before anything of it is seen. One step runs at a time; a handoff takes the same turn.
 *
 * @module
 */

import { chunkEntries, MAX_ORDERS } from '@igor/lineage'
import type { AgentEvent, View } from '../api.ts'
import { IgorError } from '../errors.ts'
import type { Executor, Placed } from '../execution/executor.ts'
import { granted, type Manifest } from '../manifest.ts'
import type { Image, JobResult } from '../worker/protocol.ts'
import type { Context } from './context.ts'
import type { HostPart } from './host-part.ts'
import { deliver } from './inbox.ts'
import type { Change, Ledger } from './ledger.ts'
import { readModule } from './modules.ts'
import { seedRoot } from './seed.ts'
import { createSerial } from './serial.ts'

/** Failed ticks in a row after which an agent rests until its owner resumes it. */
const MAX_FAILURES = 5
/** Hung workers in a row after which an agent is put aside at this node. */
const MAX_HANGS = 3
/** Longest wait between attempts after failures. */
const MAX_BACKOFF_MS = 60_000
/** The same when it was this node that failed, as a full disk does: the agent goes on as soon as it can. */
const MAX_FAULT_WAIT_MS = 5000
/** Ticks that one batch may run when the agent asks for more at once … */
const BATCH_TICKS = 64
/** … and for how long: what was done is committed at least this often. */
const BATCH_MS = 50
/** Log lines kept for whoever looks later. */
const LOG_LINES = 200

export interface PendingOrder {
  readonly kind: 'pause' | 'resume' | 'retire'
  readonly n: number
  readonly bytes: Uint8Array
}

export interface LogLine {
  readonly tick: number
  readonly time: number
  readonly text: string
}

export interface Hosted {
  readonly ledger: Ledger
  readonly manifest: Manifest
  /** A fault of this node's own: it does not run here for now, and why; it may end by itself. Nothing of it is in the lineage. */
  readonly aside: string | undefined
  readonly logs: readonly LogLine[]
  readonly view: (View & { readonly tick: number }) | undefined
  readonly memory: number
  /** Resolves when the message is committed in the inbox, or taken by a committed tick. */
  deliver(id: Uint8Array, message: Uint8Array): Promise<void>
  /** Resolves when the order is committed. */
  order(order: PendingOrder): Promise<void>
  /**
   * Runs at the next tick boundary, before what the last tick did is committed. `task` writes that, if there
   * is anything, together with its own; when it fails nothing was written, and the agent goes on.
   * @throws IgorError NOT_AUTHORITATIVE, and what `task` throws
   */
  depart<T>(task: (boundary: Boundary) => Promise<T>): Promise<T>
  /** Runs at a tick boundary, with the agent standing still. */
  atBoundary<T>(task: () => Promise<T>): Promise<T>
  /** Ticks as soon as it can. */
  wake(): void
  stop(): Promise<void>
}

export interface HostedOptions {
  readonly context: Context
  readonly ledger: Ledger
  readonly executor: Executor
  readonly manifest: Manifest
  readonly init: Uint8Array
  /** What its birth showed: tick 0 is committed already. */
  readonly born?: { readonly result: JobResult; readonly time: bigint }
  /** Already placed in a worker with exactly the current state (after a move). */
  readonly placed?: Placed
  readonly onevent: (event: AgentEvent) => void
  /** State, head or authority changed. */
  readonly onchange: () => void
  /** It only ticked on: nothing that others have to be told at once. */
  readonly onticked: () => void
  /** The first tick after a move is handed to a worker. */
  readonly onbegin?: () => void
  /** The first tick after a move was tried; it began at `at`, by the clock's `elapsed`. */
  readonly onfirst?: (at: number) => void
}

/** Where an agent stands when it is about to leave. */
export interface Boundary {
  /** What is not committed yet. */
  readonly change?: Change
  /**
   * Since when it stands still, by the clock's `elapsed`: the end of its last tick when the next one is due,
   * else now, as it was only waiting.
   */
  readonly since: number
}

interface Waiting<T> {
  readonly value: T
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** The whole memory, as a worker takes it. */
export const readImage = async (ledger: Ledger): Promise<Image> => {
  const { current } = ledger
  if (current === undefined) throw new IgorError('NOT_AUTHORITATIVE', `${ledger.agent} does not live here`)
  const entries = [...chunkEntries(current.block)]
  const chunks = await Promise.all(
    entries.map(async ([index, digest]) => {
      const bytes = await ledger.readBlock(digest)
      if (bytes === undefined) throw new IgorError('STORE_DAMAGED', `chunk ${index} of ${ledger.agent} is missing`)
      return [index, bytes] as const
    }),
  )
  return { chunks, memoryBytes: current.block.memory.bytes, globals: current.block.globals, kv: current.host.kv }
}

export const createHosted = (options: HostedOptions): Hosted => {
  const { context, ledger, executor, manifest, onevent, onchange, onticked } = options
  const { clock } = context
  const serial = createSerial()
  const ended = new AbortController()
  const { signal } = ended
  const logs: LogLine[] = []
  let view: (View & { tick: number }) | undefined
  let placed = options.placed
  let aside: string | undefined
  let hangs = 0
  let faults = 0
  let alone = false
  let trouble: string | undefined
  let root: { readonly epoch: number; readonly seed: Uint8Array } | undefined
  let { onbegin, onfirst } = options
  let lastTickEnd = clock.elapsed()
  let due = clock.elapsed()
  let more = false
  let nudge = new AbortController()
  const messages: Waiting<{ id: Uint8Array; message: Uint8Array }>[] = []
  const orders: Waiting<PendingOrder>[] = []
  const departures: Waiting<(boundary: Boundary) => Promise<void>>[] = []

  const isActive = (): boolean => ledger.row.state === 'active-owner' && !signal.aborted

  const wake = (): void => nudge.abort()

  const ensurePlaced = async (): Promise<Placed> => {
    if (placed !== undefined) return placed
    const { module } = ledger.chain.genesis.body
    const limits = { maxMemoryBytes: manifest.limits.maxMemoryBytes, granted: granted(manifest) }
    await executor
      .load(module.toString(), () => readModule(context.store, module), limits)
      .catch((cause) => {
        if (!(cause instanceof IgorError) || cause.code !== 'STORE_DAMAGED') throw cause
        // Nothing of the agent's own is in doubt: with its module it can go on, here or elsewhere.
        throw new IgorError('HOST_FAULT', `the module of ${ledger.agent} is damaged in the store of this node`, { cause })
      })
    const { placed: at } = await executor.place({
      module: module.toString(),
      ...limits,
      init: options.init,
      tickMs: manifest.limits.maxTickMs,
      image: await readImage(ledger),
    })
    placed = at
    return at
  }

  const unplace = (): void => {
    if (placed !== undefined) executor.drop(placed)
    placed = undefined
  }

  /** One attempt. `lost` leaves no trace in the lineage: it is this node's fault. */
  const attempt = async (host: HostPart): Promise<{ result: JobResult; time: bigint; ended: number } | undefined> => {
    const at = await ensurePlaced()
    const { epoch } = ledger.chain
    // Taken back after a refusal, it goes on in a new epoch.
    if (root?.epoch !== epoch) root = { epoch, seed: await seedRoot(context.crypto, ledger.records) }
    const now = clock.now()
    const time = now > host.time ? now : host.time
    const posted = clock.elapsed()
    const running = executor.run(at, {
      tick: host.tick + 1,
      time,
      root: root.seed,
      messages: host.inbox,
      maxTicks: BATCH_TICKS,
      maxMs: BATCH_MS,
      alone,
    })
    onbegin?.()
    onbegin = undefined
    const outcome = await running
    const back = clock.elapsed()
    // A thread's clock may differ from this one; what it says lies between question and answer.
    const stamp = (at: number): number => Math.min(Math.max(at, posted), back)
    onfirst?.(outcome.kind === 'ran' ? stamp(outcome.result.startedAt) : posted)
    onfirst = undefined
    if (outcome.kind === 'ran') {
      hangs = 0
      alone = false
      return { result: outcome.result, time, ended: stamp(outcome.result.endedAt) }
    }
    placed = undefined
    alone = outcome.suspect
    if (outcome.reason === 'hung') hangs++
    context.report({ level: 'warn', code: 'WORKER_LOST', agent: ledger.agent, message: outcome.message })
    if (hangs >= MAX_HANGS) {
      aside = `its tick ran past ${manifest.limits.maxTickMs} ms ${hangs} times: put aside at this node; resume it to try again, or move it`
    }
    return undefined
  }

  const hostAfter = (host: HostPart, result: JobResult, time: bigint): HostPart => {
    const failures = result.trap === undefined ? 0 : host.failures + 1
    return {
      ...host,
      kv: result.delta.kv ?? host.kv,
      tick: host.tick + result.ticks,
      time: result.ticks > 0 ? time : host.time,
      inbox: host.inbox.slice(result.taken),
      failures,
      faulted:
        failures >= MAX_FAILURES
          ? `${failures} ticks in a row failed, the last with: ${(result.trap ?? '').slice(0, 512)}`
          : null,
    }
  }

  const show = (result: JobResult, time: bigint): void => {
    const at = Number(time / 1_000_000n)
    const lines = result.logs.map((line): LogLine => ({ ...line, time: at }))
    if (result.trap !== undefined)
      lines.push({ tick: ledger.chain.tick + 1, time: at, text: `tick failed and was undone: ${result.trap}` })
    logs.push(...lines)
    logs.splice(0, Math.max(0, logs.length - LOG_LINES))
    for (const line of lines) onevent({ type: 'log', ...line })
    if (result.view !== undefined) {
      view = result.view
      const { tick, ...frame } = result.view
      onevent({ type: 'view', tick, view: frame })
    }
  }

  const scheduleNext = (started: number, host: HostPart): void => {
    const failed = Math.max(host.failures, hangs)
    const own = faults === 0 ? 0 : Math.min(MAX_FAULT_WAIT_MS, manifest.tickIntervalMs * 2 ** faults)
    const wait = Math.max(
      own,
      failed === 0 ? manifest.tickIntervalMs : Math.min(MAX_BACKOFF_MS, manifest.tickIntervalMs * 2 ** failed),
    )
    due = more ? started : started + wait
  }

  /** Lets waiting messages in; whoever sent one that has no place is told at once. */
  const admit = (host: HostPart): { host: HostPart; admitted: Waiting<unknown>[] } => {
    let next = host
    const admitted: Waiting<unknown>[] = []
    for (const waiting of messages.splice(0)) {
      try {
        next = deliver(next, waiting.value.id, waiting.value.message)
        admitted.push(waiting)
      } catch (error) {
        waiting.reject(error)
      }
    }
    return { host: next, admitted }
  }

  const applyOrders = (
    host: HostPart,
  ): { host: HostPart; applied: Waiting<PendingOrder>[]; retire: Waiting<PendingOrder> | undefined } => {
    let next = host
    let retire: Waiting<PendingOrder> | undefined
    const applied: Waiting<PendingOrder>[] = []
    const all = orders.splice(0).sort((a, b) => a.value.n - b.value.n)
    for (const [i, waiting] of all.entries()) {
      const { kind, n } = waiting.value
      if (applied.length === MAX_ORDERS - 1 || retire !== undefined) {
        orders.push(...all.slice(i))
        break
      }
      if (n <= Math.max(next.lastOrder, ledger.lastOrder)) {
        waiting.reject(new IgorError('BAD_ORDER', `order ${n} is not newer than the last one applied to ${ledger.agent}`))
        continue
      }
      if (kind === 'retire') {
        retire = waiting
        continue
      }
      if (kind === 'resume') aside = undefined
      if (kind === 'resume') hangs = 0
      next =
        kind === 'pause'
          ? { ...next, paused: true, lastOrder: n }
          : { ...next, paused: false, faulted: null, failures: 0, lastOrder: n }
      applied.push(waiting)
    }
    return { host: next, applied, retire }
  }

  const standstill = (justRan: boolean): number => (justRan || more || due <= clock.elapsed() ? lastTickEnd : clock.elapsed())

  const turnAway = (error: IgorError): void => {
    for (const waiting of [...messages.splice(0), ...orders.splice(0), ...departures.splice(0)]) waiting.reject(error)
  }

  /** Lets one task write the change. False: there is none, or it failed. */
  const leaveWith = async (change: Change | undefined, since: number): Promise<boolean> => {
    const leaving = departures.shift()
    if (leaving === undefined) return false
    try {
      await leaving.value({ since, ...(change === undefined ? {} : { change }) })
      leaving.resolve()
      return true
    } catch (error) {
      leaving.reject(error)
      return false
    }
  }

  const step = async (): Promise<void> => {
    if (!isActive() || ledger.current === undefined) {
      turnAway(new IgorError('NOT_AUTHORITATIVE', `${ledger.agent} does not live here now (${ledger.row.state}): send it again`))
      return
    }
    const started = clock.elapsed()
    const inbox = admit(ledger.current.host)
    const ordered = applyOrders(inbox.host)
    const settled = [...inbox.admitted, ...ordered.applied]
    let host = ordered.host
    try {
      if (ordered.retire !== undefined) {
        const given = [...ordered.applied, ordered.retire]
        await ledger.retire(
          'ordered by its owner',
          given.map(({ value }) => value.bytes),
        )
        for (const waiting of given) waiting.resolve()
        // What it was sent with its end will never be read.
        for (const waiting of inbox.admitted) waiting.reject(new IgorError('NOT_AUTHORITATIVE', `${ledger.agent} was retired`))
        unplace()
        onchange()
        return
      }
      const rested = host.paused || host.faulted !== null || aside !== undefined
      const runs = !rested && (started >= due || host.inbox.length > 0 || more)
      const ran = runs ? await attempt(host) : undefined
      if (ran !== undefined) lastTickEnd = ran.ended
      more = ran?.result.more === true && ran.result.trap === undefined
      if (ran !== undefined) host = hostAfter(host, ran.result, ran.time)
      if (ran !== undefined || settled.length > 0) {
        const change = {
          host,
          orders: ordered.applied.map(({ value }) => value.bytes),
          ...(ran === undefined ? {} : { delta: ran.result.delta }),
        }
        // Orders have a record of their own: the one of whoever leaves names those that make it leave.
        const left = ordered.applied.length === 0 && (await leaveWith(change, standstill(ran !== undefined)))
        if (!left) await ledger.checkpoint(change)
        for (const waiting of settled) waiting.resolve()
        if (ran !== undefined) show(ran.result, ran.time)
        if (settled.length > 0 || host.faulted !== null) onchange()
        else onticked()
      } else {
        await leaveWith(undefined, standstill(false))
        if (aside !== undefined) onchange()
      }
      if (ran !== undefined || settled.length > 0) {
        faults = 0
        trouble = undefined
      }
      if (runs) scheduleNext(started, host)
    } catch (error) {
      // What the worker holds is ahead of what is committed: go on from the last commit.
      unplace()
      faults++
      scheduleNext(started, host)
      for (const waiting of [...settled, ...(ordered.retire ? [ordered.retire] : [])]) waiting.reject(error)
      if (!signal.aborted) await onfault(error)
    }
  }

  const onfault = async (error: unknown): Promise<void> => {
    const message = error instanceof Error ? error.message : String(error)
    context.report({ level: 'error', code: error instanceof IgorError ? error.code : 'HOST_FAULT', agent: ledger.agent, message })
    const full = error instanceof IgorError && error.code === 'STORE_FULL'
    trouble = full
      ? `this node has no room to write: ${message}. It goes on as soon as there is room`
      : `this node cannot run it now and keeps trying: ${message}`
    if (error instanceof IgorError && error.code === 'STORE_CONFLICT') {
      aside = 'another tab of this browser took it over'
      ended.abort()
    }
    if (error instanceof IgorError && error.code === 'STORE_DAMAGED') await ledger.halt(message).catch(() => {})
    onchange()
  }

  const rests = (): boolean => {
    const host = ledger.current?.host
    return host === undefined || host.paused || host.faulted !== null || aside !== undefined || !isActive()
  }

  const loop = async (): Promise<void> => {
    while (!signal.aborted) {
      const now = clock.elapsed()
      const asked = messages.length + orders.length + departures.length > 0
      const waits = !asked && !nudge.signal.aborted
      if (waits && (rests() || now < due)) {
        const until = rests() ? MAX_BACKOFF_MS : due - now
        await clock.sleep(until, nudge.signal).catch(() => {})
      }
      if (nudge.signal.aborted) nudge = new AbortController()
      if (!signal.aborted) await serial(step)
    }
  }
  if (options.born !== undefined) show(options.born.result, options.born.time)
  const running = loop()

  const enqueue = <T>(queue: Waiting<T>[], value: T): Promise<void> =>
    new Promise((resolve, reject) => {
      if (!isActive()) {
        reject(new IgorError('NOT_AUTHORITATIVE', `${ledger.agent} does not live here now (${ledger.row.state})`))
        return
      }
      queue.push({ value, resolve, reject })
      wake()
    })

  return {
    ledger,
    manifest,
    get aside() {
      return aside ?? trouble
    },
    logs,
    get view() {
      return view
    },
    get memory() {
      return ledger.current?.block.memory.bytes ?? 0
    },
    deliver: (id, message) => enqueue(messages, { id, message }),
    order: (order) => enqueue(orders, order),
    depart: async (task) => {
      let result: { value: Awaited<ReturnType<typeof task>> } | undefined
      await enqueue(departures, async (boundary) => {
        result = { value: await task(boundary) }
      })
      if (result === undefined) throw new IgorError('HOST_FAULT', `${ledger.agent} did not leave`)
      return result.value
    },
    atBoundary: async (task) => {
      const result = await serial(task)
      wake()
      return result
    },
    wake,
    stop: async () => {
      ended.abort()
      nudge.abort()
      await running
      await serial(async () => {})
      unplace()
      turnAway(new IgorError('NODE_STOPPED', `the node that hosts ${ledger.agent} is stopping`))
    },
  }
}
