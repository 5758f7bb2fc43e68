/**
 * An agent that lives here: ticks when due, takes messages and orders at tick boundaries, commits
 * before anything of it is seen. One step runs at a time; a handoff takes the same turn.
 *
 * @module
 */
import type { JournalEntry } from '@igor/lineage'
import type { AgentEvent, View } from '../api.ts'
import { IgorError } from '../errors.ts'
import type { Executor, Placed } from '../execution/executor.ts'
import type { Manifest } from '../manifest.ts'
import { messageOf } from '../thrown.ts'
import type { Delta, JobResult } from '../worker/protocol.ts'
import { advanceHost } from './advance.ts'
import { createRunner } from './attempt.ts'
import { ALONE, type Commitment } from './commitment.ts'
import type { Context } from './context.ts'
import type { HostPart } from './host-part.ts'
import type { Ledger } from './ledger.ts'
import type { Change } from './live-state.ts'
import { applyOrders, type NewModule, type PendingOrder } from './orders.ts'
import { createOutbox, type Promised } from './outbox.ts'
import { createOutput, hasOutput, type LogLine } from './output.ts'
import { admitMessages, type Boundary, createRequests, leaveWith, type Waiting } from './requests.ts'
import { MAX_BACKOFF_MS, nextDue } from './schedule.ts'
import { createSerial } from './serial.ts'

/** Ticks without output are made durable together, at least this often: what a status shows is durable. */
const DURABLE_MS = 1000
/** Bytes of journal since the last state: ten thousand agents hold as much in memory. */
const MAX_JOURNAL_BYTES = 64 * 1024
/** Fuel since the last state: a restart runs it again, two nominal seconds at most for each agent. */
const MAX_JOURNAL_FUEL = 2_000_000_000n

export interface Hosted {
  readonly ledger: Ledger
  readonly manifest: Manifest
  /** A fault of this node's own: it does not run here for now, and why; it may end by itself. Nothing of it is in the lineage. */
  readonly aside: string | undefined
  readonly logs: readonly LogLine[]
  readonly view: (View & { readonly tick: number }) | undefined
  readonly memory: number
  /** When what it did is committed, and until when it may go on. */
  readonly commitment: Commitment
  /** Binds what it did by a record when it comes to its next boundary. */
  bind(): void
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
  /** The same with everything that it did in its last state: a checkpoint is made if need be. */
  atState<T>(task: () => Promise<T>): Promise<T>
  /** From now on each job ends in a checkpoint with a state, until the returned function is called: others follow it. */
  keepStates(): () => void
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
  /** Default: it has no witness. */
  readonly commitment?: Commitment
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

export const createHosted = (options: HostedOptions): Hosted => {
  const { context, ledger, manifest, onevent, onchange, onticked, commitment = ALONE } = options
  const { clock } = context
  const serial = createSerial()
  const ended = new AbortController()
  const { signal } = ended
  const runner = createRunner(options)
  const output = createOutput(onevent)
  let taken: string | undefined
  let faults = 0
  let trouble: string | undefined
  let lastTickEnd = clock.elapsed()
  let due = clock.elapsed()
  let durableAt = clock.elapsed()
  let more = false
  let followers = 0
  const alarm = context.timetable.alarm()
  const requests = createRequests()
  const { messages, orders, departures, turnAway } = requests

  const isHere = (): boolean => ledger.row.state === 'active-owner'
  const isActive = (): boolean => isHere() && !signal.aborted

  const wake = (): void => alarm.wake()

  const outbox = createOutbox({ clock, ledger, commitment, isActive, onkept: onticked })

  const isExhausted = (): boolean => ledger.payable === 0n

  const scheduleNext = (started: number, host: HostPart): void => {
    const failed = Math.max(host.failures, runner.hangs)
    due = nextDue({ due, started, interval: manifest.tickIntervalMs, failed, faults, more })
  }

  const standstill = (justRan: boolean): number => (justRan || more || due <= clock.elapsed() ? lastTickEnd : clock.elapsed())

  /** What changed since the last state; undefined: nothing of the memory can have. */
  const deltaSince = async (entries: readonly JournalEntry[] = []): Promise<Delta | undefined> =>
    [...ledger.entries(), ...entries].some(({ kind }) => kind !== 'message') ? runner.delta() : undefined

  /** Puts everything that was done into a state. */
  const settle = async (): Promise<void> => {
    const { present } = ledger
    if (present === undefined || ledger.since.bytes === 0) return
    const delta = await deltaSince()
    try {
      await ledger.checkpoint({ host: present, orders: [], entries: [], ...(delta === undefined ? {} : { delta }) })
    } catch (error) {
      // The worker counts what it said as known: what changed until then would be in no later answer.
      runner.unplace()
      throw error
    }
  }

  /** One special tick. @returns why the old module stays, if it does */
  const changeModule = async (
    before: HostPart,
    host: HostPart,
    { cid, rows }: NewModule,
    bytes: readonly Uint8Array[],
  ): Promise<IgorError | undefined> => {
    const { entry, delta } = await runner.upgrade(before, cid)
    const upgrade = entry.failed === null ? { upgrade: { module: cid, rows } } : {}
    await ledger.checkpoint({ host, orders: bytes, entries: [entry], delta, ...upgrade })
    if (entry.failed === null) return undefined
    return new IgorError(
      'BAD_MODULE',
      `the new module did not take over, ${ledger.agent} goes on with the old one: ${entry.failed}`,
    )
  }

  /** Orders have a record of their own. */
  const obey = async (host: HostPart): Promise<void> => {
    const ordered = applyOrders(host, ledger.lastOrder, orders.splice(0))
    for (const waiting of ordered.stale)
      waiting.reject(
        new IgorError('BAD_ORDER', `order ${waiting.value.n} is not newer than the last one applied to ${ledger.agent}`),
      )
    orders.push(...ordered.later)
    const { applied } = ordered
    if (applied.length === 0) return
    let refused: IgorError | undefined
    try {
      const bytes = applied.map(({ value }) => value.bytes)
      if (ordered.retires) {
        await settle()
        await ledger.retire('ordered by its owner', bytes)
        runner.unplace()
      } else if (ordered.changesWitness) {
        // Should it not happen after all, nothing is lost with its record.
        await settle()
        await ledger.seal(bytes)
      } else if (ordered.upgrade !== undefined) {
        refused = await changeModule(host, ordered.host, ordered.upgrade, bytes)
      } else {
        const delta = await deltaSince()
        await ledger.checkpoint({ host: ordered.host, orders: bytes, entries: [], ...(delta === undefined ? {} : { delta }) })
        if (applied.some(({ value }) => value.kind === 'resume')) runner.forgive()
      }
    } catch (error) {
      for (const waiting of applied) waiting.reject(error)
      throw error
    }
    const told = ({ value, resolve, reject }: Waiting<PendingOrder>): Promised =>
      value.kind === 'upgrade' && refused !== undefined
        ? { keep: () => reject(refused), fail: reject }
        : { keep: resolve, fail: reject }
    outbox.promise(applied.map(told))
    if (ordered.retires) turnAway(new IgorError('NOT_AUTHORITATIVE', `${ledger.agent} was retired`))
    onchange()
  }

  const rested = (host: HostPart): boolean =>
    host.paused ||
    host.faulted !== null ||
    runner.aside !== undefined ||
    taken !== undefined ||
    isExhausted() ||
    commitment.left() === 0

  /** It is tried when it is due; a message is worth a tick of its own, unless the last ones failed. */
  const isDue = (host: HostPart, now: number): boolean =>
    now >= due || (host.inbox.length > 0 && host.failures + runner.hangs + faults === 0)

  const stateIsDue = (): boolean =>
    followers > 0 || departures.length > 0 || ledger.since.bytes >= MAX_JOURNAL_BYTES || ledger.since.fuel >= MAX_JOURNAL_FUEL

  const live = async (host: HostPart, started: number): Promise<void> => {
    const { host: before, admitted, entries } = admitMessages(host, messages)
    let next = before
    try {
      const runs = !rested(next) && isDue(next, started)
      const tried = runs ? await runner.attempt(next, stateIsDue()) : undefined
      // The machine may have slept in the middle of it.
      if (tried !== undefined && commitment.left() === 0) runner.unplace()
      const ran = commitment.left() === 0 ? undefined : tried
      if (ran !== undefined) {
        lastTickEnd = ran.ended
        more = ran.result.more && ran.result.trap === undefined
        next = advanceHost(next, ran.entry)
        entries.push(ran.entry)
      }
      const leaving = departures.length > 0
      const delta = ran?.result.delta ?? (leaving || stateIsDue() ? await deltaSince(entries) : undefined)
      const hasNews = delta !== undefined || entries.length > 0
      const change = { host: next, orders: [], entries, ...(delta === undefined ? {} : { delta }) }
      // What was journaled since the last state leaves with it, though nothing came in this turn.
      const leaves = hasNews || ledger.since.bytes > 0
      const left = leaving && (await leaveWith(departures, leaves ? change : undefined, standstill(ran !== undefined)))
      if (!left && (hasNews || owesDurable()))
        await write(change, admitted.length > 0 || (ran !== undefined && hasOutput(ran.result)))
      const show = (): void => {
        if (ran !== undefined) output.show(ran.result, ran.entry.header.time, next.tick + 1)
      }
      outbox.add(...admitted.map(({ resolve, reject }) => ({ keep: resolve, fail: reject })))
      if (ran !== undefined && hasOutput(ran.result)) outbox.add({ keep: show, fail: () => {} })
      if (left || !commitment.witnessed) outbox.promiseAll()
      else await outbox.bind(admitted.length > 0)
      if (ran !== undefined && isActive() && isExhausted()) await settle()
      if (admitted.length > 0 || next.faulted !== null || runner.aside !== undefined || isExhausted()) onchange()
      else if (hasNews) onticked()
      if (hasNews || started >= due) {
        faults = 0
        trouble = undefined
      }
      if (runs) scheduleNext(started, next)
    } catch (error) {
      for (const waiting of admitted) waiting.reject(error)
      throw error
    }
  }

  /** Silent ticks are not kept from the disk for longer. */
  const owesDurable = (): boolean => ledger.pending && clock.elapsed() - durableAt >= DURABLE_MS

  const write = async (change: Change, seen: boolean): Promise<void> => {
    const now = clock.elapsed()
    const durable = seen || now - durableAt >= DURABLE_MS
    if (change.delta !== undefined) await ledger.checkpoint(change)
    else await ledger.commit(change.entries, durable)
    if (durable || change.delta !== undefined) durableAt = now
  }

  const step = async (): Promise<void> => {
    const { present } = ledger
    if (!isActive() || present === undefined) {
      const gone = new IgorError(
        'NOT_AUTHORITATIVE',
        `${ledger.agent} does not live here now (${ledger.row.state}): send it again`,
      )
      turnAway(gone)
      // No record of this node will bind it any more.
      outbox.fail(gone)
      return
    }
    if (ledger.chain.changing !== null) {
      turnAway(new IgorError('HANDOFF_PENDING', `${ledger.agent} is between two witnesses: send it again`))
      return
    }
    const started = clock.elapsed()
    try {
      // What ran by another version than this node's ends in a state: from there on it is this one.
      if (ledger.outdated) await settle()
      await obey(ledger.present ?? present)
      if (ledger.chain.changing === null && isActive() && ledger.present !== undefined) await live(ledger.present, started)
    } catch (error) {
      // What the worker holds may be ahead of what is committed: go on from there.
      runner.unplace()
      faults++
      scheduleNext(started, present)
      if (!signal.aborted) await onfault(error)
    }
  }

  const onfault = async (error: unknown): Promise<void> => {
    const message = messageOf(error)
    const code = error instanceof IgorError ? error.code : 'HOST_FAULT'
    context.report({ level: 'error', code, agent: ledger.agent, message })
    trouble =
      code === 'STORE_FULL'
        ? `this node has no room to write: ${message}. It goes on as soon as there is room`
        : `this node cannot run it now and keeps trying: ${message}`
    if (code === 'STORE_CONFLICT') {
      taken = 'another tab of this browser took it over'
      ended.abort()
    }
    if (code === 'STORE_DAMAGED' || code === 'REPLAY_DIFFERS') await ledger.halt(message).catch(() => {})
    onchange()
  }

  const rests = (): boolean => ledger.present === undefined || rested(ledger.present) || !isActive()

  const loop = async (): Promise<void> => {
    while (!signal.aborted) {
      const now = clock.elapsed()
      // What this node could not do just now it tries when it is due, whatever waits for it.
      const troubled = faults > 0 && isActive()
      const waits = (troubled || !requests.any) && !alarm.rung
      if (waits && (now < due || (rests() && !troubled))) {
        const until = rests() && !troubled ? MAX_BACKOFF_MS : due - now
        const owed = ledger.pending ? Math.max(0, durableAt + DURABLE_MS - now) : until
        await alarm.wait(now + Math.min(until, owed, outbox.dueIn() ?? until))
      }
      // Others have the thread between two batches of one that always has more to do.
      else if (more) await clock.sleep(0, signal).catch(() => {})
      alarm.quiet()
      if (!signal.aborted) await serial(step)
    }
  }
  if (options.born !== undefined) output.show(options.born.result, options.born.time, 0)
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

  const atBoundary = async <T>(task: () => Promise<T>): Promise<T> => {
    const result = await serial(task)
    wake()
    return result
  }

  return {
    ledger,
    manifest,
    get aside() {
      return taken ?? runner.aside ?? trouble
    },
    logs: output.logs,
    get view() {
      return output.view
    },
    get memory() {
      return ledger.current?.block.memory.bytes ?? 0
    },
    commitment,
    bind: () => {
      outbox.bindNext()
      wake()
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
    atBoundary,
    atState: (task) =>
      atBoundary(async () => {
        if (isActive()) await settle()
        return task()
      }),
    keepStates: () => {
      followers++
      let held = true
      return () => {
        if (held) followers--
        held = false
      }
    },
    wake,
    stop: async () => {
      ended.abort()
      wake()
      await running
      await serial(async () => {
        if (ledger.pending && isHere()) await ledger.commit([], true).catch(() => {})
      })
      runner.unplace()
      await commitment.stop()
      const stopped = new IgorError('NODE_STOPPED', `the node that hosts ${ledger.agent} is stopping`)
      outbox.fail(stopped)
      turnAway(stopped)
    },
  }
}
