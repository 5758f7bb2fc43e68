import { afterEach, describe, expect, it, onTestFinished } from 'vitest'
import type { Clock, Thread, Threads } from '../platform.ts'
import { attemptAt, type Bench, createBench, peek32 } from '../worker/fixtures/bench.ts'
import { systemClock } from '../worker/fixtures/clock.ts'
import { buildAgent, count, i32 } from '../worker/fixtures/wasm.ts'
import type { Request } from '../worker/protocol.ts'
import type { Executor, Placed, RunOutcome } from './executor.ts'
import { inThreads } from './in-thread.ts'
import { createExecutor } from './pool.ts'

const COUNT = 8
const counter = buildAgent({ tick: [...count(COUNT), ...i32(1)] })
const LIMITS = { maxMemoryBytes: 65_536, granted: [] }
/** Short, so that tests of hangs are. */
const SLACK = 60

/** Threads in this one, as seen and disturbed from outside. */
interface Watched extends Threads {
  readonly threads: { readonly requests: Request[]; ended: boolean; exit(reason: string): void }[]
  /** Places whose runs are never answered. */
  readonly hang: Set<number>
  /** Requests of these types are never answered. */
  readonly deaf: Set<Request['type']>
}

const watched = (parallelism: number): Watched => {
  const inner = inThreads({ parallelism })
  const result: Watched = {
    parallelism,
    threads: [],
    hang: new Set(),
    deaf: new Set(),
    spawn: () => {
      const thread = inner.spawn()
      let stuck = false
      const view: Thread = {
        post: (message, transfer) => {
          const request = message as Request
          entry.requests.push(request)
          const hangs =
            result.deaf.has(request.type) || (request.type === 'run' && request.jobs.some(({ place }) => result.hang.has(place)))
          stuck ||= hangs
          if (!stuck) thread.post(message, transfer)
        },
        onmessage: undefined,
        onexit: undefined,
        terminate: () => {
          entry.ended = true
          thread.terminate()
        },
      }
      thread.onmessage = (message) => view.onmessage?.(message)
      const entry = {
        requests: [] as Request[],
        ended: false,
        exit: (reason: string) => {
          thread.terminate()
          view.onexit?.(reason)
        },
      }
      result.threads.push(entry)
      return view
    },
  }
  return result
}

const open = (threads: Threads, clock: Clock = systemClock): Executor => {
  const executor = createExecutor(threads, clock, { slackMs: SLACK })
  onTestFinished(() => executor.close())
  return executor
}

const spawnCounter = async (executor: Executor): Promise<Placed> => {
  await executor.load('counter', async () => counter, LIMITS)
  const { placed } = await executor.place({
    module: 'counter',
    ...LIMITS,
    init: new Uint8Array(),
    tickMs: 20,
    attempt: attemptAt(0),
  })
  return placed
}
const spawnCounters = (executor: Executor, n: number): Promise<Placed[]> =>
  Promise.all(Array.from({ length: n }, () => spawnCounter(executor)))

const run = (executor: Executor, placed: Placed, alone = false): Promise<RunOutcome> =>
  executor.run(placed, { ...attemptAt(1), maxTicks: 1, maxMs: 10, alone })
const ran = { kind: 'ran', result: { ticks: 1 } }
const requests = (thread: Watched['threads'][number] | undefined, type: Request['type']): Request[] =>
  thread?.requests.filter((request) => request.type === type) ?? []

describe('the pool', () => {
  it('spawns threads when they are needed, up to what the machine runs at once', async () => {
    const threads = watched(3)
    const executor = open(threads)
    expect(threads.threads.length).toBe(0)
    await spawnCounter(executor)
    expect(threads.threads.length).toBe(1)
    await spawnCounters(executor, 8)
    expect(threads.threads.map((thread) => requests(thread, 'place').length)).toEqual([3, 3, 3])
  })

  it('loads a module once in each thread that needs it', async () => {
    const threads = watched(2)
    let read = 0
    const executor = open(threads)
    const bytes = async () => {
      read++
      return counter
    }
    await Promise.all([1, 2, 3].map(() => executor.load('counter', bytes, LIMITS)))
    expect(read).toBe(1)
    await spawnCounters(executor, 6)
    expect(threads.threads.map((thread) => requests(thread, 'load').length)).toEqual([1, 1])
    expect(counter.length).toBeGreaterThan(0)
  })

  it('forgets modules that nothing needs, and loads them again', async () => {
    const threads = watched(1)
    const executor = open(threads)
    const kept = await spawnCounter(executor)
    for (let i = 0; i < 40; i++) await executor.load(`m${i}`, async () => counter, LIMITS)
    const [thread] = threads.threads
    const unloaded = requests(thread, 'unload') as Extract<Request, { type: 'unload' }>[]
    expect(unloaded.length).toBeGreaterThan(20)
    expect(unloaded.map(({ module }) => module)).not.toContain('counter')
    expect(await run(executor, kept)).toMatchObject(ran)
    await executor.load('m0', async () => counter, LIMITS)
    const { placed } = await executor.place({
      module: 'm0',
      ...LIMITS,
      init: new Uint8Array(),
      tickMs: 20,
      attempt: attemptAt(0),
    })
    expect(await run(executor, placed)).toMatchObject(ran)
  })

  it('asks for bytes again where they failed to come', async () => {
    const executor = open(watched(1))
    const broken = async (): Promise<Uint8Array> => {
      throw new Error('the store is on fire')
    }
    await expect(executor.load('counter', broken, LIMITS)).rejects.toThrow('the store is on fire')
    expect(await run(executor, await spawnCounter(executor))).toMatchObject(ran)
  })

  it('sends what is asked in one turn as one batch', async () => {
    const threads = watched(1)
    const executor = open(threads)
    const all = await spawnCounters(executor, 20)
    expect(await Promise.all(all.map((placed) => run(executor, placed)))).toEqual(
      all.map(() => expect.objectContaining({ kind: 'ran' })),
    )
    const batches = requests(threads.threads[0], 'run') as Extract<Request, { type: 'run' }>[]
    expect(batches.map(({ jobs }) => jobs.length)).toEqual([20])
  })

  it('gives each its own result', async () => {
    const executor = open(watched(2))
    const all = await spawnCounters(executor, 9)
    const outcomes = await Promise.all(
      all.map((placed, i) => executor.run(placed, { ...attemptAt(1), maxTicks: i + 1, maxMs: 1000 })),
    )
    expect(outcomes.map((outcome) => (outcome.kind === 'ran' ? outcome.result.ticks : outcome))).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8, 9,
    ])
  })

  it('does not run what was dropped, and its neighbours do not notice', async () => {
    const executor = open(watched(1))
    const [first, second] = (await spawnCounters(executor, 2)) as [Placed, Placed]
    const outcomes = [run(executor, first), run(executor, second)]
    executor.drop(first)
    executor.drop(first)
    expect(await outcomes[0]).toMatchObject({ kind: 'lost', suspect: false })
    expect(await outcomes[1]).toMatchObject(ran)
    expect(await run(executor, first)).toMatchObject({
      kind: 'lost',
      reason: 'worker',
      suspect: false,
      message: 'it was dropped',
    })
  })
})

describe('what cannot be posted', () => {
  it('is a fault of this host, and of that request alone', async () => {
    const executor = open(watched(1))
    const placed = await spawnCounter(executor)
    // Holds a function, which cannot be cloned.
    const torn = Object.assign([() => {}], { byteLength: 0, buffer: { byteLength: 0 } }) as unknown as Uint8Array
    const spec = { module: 'counter', ...LIMITS, init: torn, tickMs: 20, attempt: attemptAt(0) }
    await expect(executor.place(spec)).rejects.toMatchObject({ code: 'HOST_FAULT' })
    expect(await run(executor, placed)).toMatchObject(ran)
  })

  it('is left out where it is none of ours', async () => {
    const executor = open(watched(1))
    const placed = await spawnCounter(executor)
    const chatty = { ...attemptAt(1), maxTicks: 1, maxMs: 10, onprogress: () => {} }
    expect(await executor.run(placed, chatty)).toMatchObject(ran)
  })
})

describe('a thread that hangs', () => {
  it('is ended; who hung it is known where it ran alone', async () => {
    const threads = watched(1)
    const executor = open(threads)
    const [bad, good] = (await spawnCounters(executor, 2)) as [Placed, Placed]
    threads.hang.add(bad.place)
    const outcomes = await Promise.all([run(executor, bad, true), run(executor, good)])
    expect(outcomes[0]).toMatchObject({
      kind: 'lost',
      reason: 'hung',
      suspect: true,
      message: expect.stringMatching(/within 20 ms/),
    })
    expect(outcomes[1]).toMatchObject({ kind: 'lost', reason: 'worker', suspect: false })
    expect(threads.threads[0]?.ended).toBe(true)
    expect(await run(executor, good)).toMatchObject({ kind: 'lost', suspect: false })
    expect(await run(executor, await spawnCounter(executor))).toMatchObject(ran)
    expect(threads.threads.length).toBe(2)
  })

  it('leaves a suspicion on all that were in the batch', async () => {
    const threads = watched(1)
    const executor = open(threads)
    const all = await spawnCounters(executor, 3)
    threads.hang.add(all[1]?.place as number)
    const outcomes = await Promise.all(all.map((placed) => run(executor, placed)))
    expect(outcomes).toEqual(all.map(() => expect.objectContaining({ kind: 'lost', reason: 'worker', suspect: true })))
  })

  it('costs other threads nothing', async () => {
    const threads = watched(2)
    const executor = open(threads)
    const [bad, good] = (await spawnCounters(executor, 2)) as [Placed, Placed]
    threads.hang.add(bad.place)
    const hung = run(executor, bad)
    for (let i = 0; i < 20; i++) expect(await run(executor, good)).toMatchObject(ran)
    expect(await hung).toMatchObject({ reason: 'hung' })
    expect(await run(executor, good)).toMatchObject(ran)
  })

  it('is not one that slept with the whole machine', async () => {
    const threads = watched(1)
    // Time jumps an hour at each look, as after a suspended laptop; the answer comes meanwhile.
    let looks = 0
    const clock: Clock = {
      ...systemClock,
      elapsed: () => performance.now() + looks * 3_600_000,
      sleep: async (_, signal) => {
        looks++
        await systemClock.sleep(1, signal)
      },
    }
    const executor = open(threads, clock)
    expect(await run(executor, await spawnCounter(executor))).toMatchObject(ran)
  })

  it('at spawning, is the fault of the module', async () => {
    const threads = watched(1)
    const executor = open(threads, fastWhileDeaf(threads))
    await executor.load('counter', async () => counter, LIMITS)
    threads.deaf.add('place')
    await expect(spawnCounter(executor)).rejects.toMatchObject({
      code: 'BAD_MODULE',
      message: expect.stringMatching(/did not finish to start/),
    })
    expect(threads.threads[0]?.ended).toBe(true)
    threads.deaf.clear()
    expect(await run(executor, await spawnCounter(executor))).toMatchObject(ran)
  })

  it('at loading, is the fault of the module', async () => {
    const threads = watched(1)
    threads.deaf.add('load')
    await expect(open(threads, fastWhileDeaf(threads)).load('counter', async () => counter, LIMITS)).rejects.toMatchObject({
      code: 'BAD_MODULE',
    })
  })

  it('at taking an image in, is the fault of this host', async () => {
    const threads = watched(1)
    const executor = open(threads, fastWhileDeaf(threads))
    await executor.load('counter', async () => counter, LIMITS)
    threads.deaf.add('place')
    const image = { chunks: [], memoryBytes: 65_536, globals: [], kv: [] }
    const placing = executor.place({ module: 'counter', ...LIMITS, init: new Uint8Array(), tickMs: 20, image })
    await expect(placing).rejects.toMatchObject({ code: 'HOST_FAULT' })
  })

  it('before it starts, is given up after some tries', async () => {
    const threads = watched(1)
    threads.deaf.add('setup')
    await expect(open(threads, fastWhileDeaf(threads)).load('counter', async () => counter, LIMITS)).rejects.toMatchObject({
      code: 'HOST_FAULT',
    })
    expect(threads.threads.length).toBe(3)
  })
})

/** Sleeps of this clock end at the next turn while a thread is deaf: for waits that are long. */
const fastWhileDeaf = (threads: Watched): Clock => ({
  ...systemClock,
  sleep: async (ms, signal) => {
    if (threads.deaf.size === 0) return systemClock.sleep(ms, signal)
    const { port1, port2 } = new MessageChannel()
    await new Promise((resolve) => {
      port1.onmessage = resolve
      port2.postMessage(0)
    })
    port1.close()
    signal?.throwIfAborted()
  },
})

describe('a thread that ends by itself', () => {
  it('loses what it held; others go on', async () => {
    const threads = watched(2)
    const executor = open(threads)
    const [first, second] = (await spawnCounters(executor, 2)) as [Placed, Placed]
    threads.hang.add(first.place)
    const lost = run(executor, first)
    await Promise.resolve()
    threads.threads[0]?.exit('out of memory')
    expect(await lost).toMatchObject({
      kind: 'lost',
      reason: 'worker',
      suspect: true,
      message: expect.stringMatching(/out of memory/),
    })
    expect(await run(executor, second)).toMatchObject(ran)
    expect(await run(executor, await spawnCounter(executor))).toMatchObject(ran)
  })

  it('while something is placed: it is placed elsewhere', async () => {
    const threads = watched(1)
    const executor = open(threads)
    await executor.load('counter', async () => counter, LIMITS)
    threads.deaf.add('place')
    const placing = spawnCounter(executor)
    while (requests(threads.threads[0], 'place').length === 0) await Promise.resolve()
    threads.deaf.clear()
    threads.threads[0]?.exit('gone')
    expect(await run(executor, await placing)).toMatchObject(ran)
  })
})

describe('close', () => {
  it('ends every thread and everything that waits', async () => {
    const threads = watched(2)
    const sleeps = new Set<AbortSignal>()
    const clock: Clock = {
      ...systemClock,
      sleep: async (ms, signal) => {
        if (signal) sleeps.add(signal)
        await systemClock.sleep(ms, signal)
        if (signal) sleeps.delete(signal)
      },
    }
    const executor = open(threads, clock)
    const all = await spawnCounters(executor, 4)
    threads.hang.add(all[0]?.place as number)
    threads.deaf.add('place')
    const outcomes = all.map((placed) => run(executor, placed))
    const placing = expect(spawnCounter(executor)).rejects.toMatchObject({ code: 'NODE_STOPPED' })
    await Promise.resolve()
    await executor.close()
    await executor.close()
    await placing
    for (const outcome of await Promise.all(outcomes))
      expect(outcome.kind === 'lost' ? outcome.suspect : outcome.kind).toBe(outcome.kind === 'lost' ? false : 'ran')
    expect(threads.threads.every(({ ended }) => ended)).toBe(true)
    expect([...sleeps].every(({ aborted }) => aborted)).toBe(true)
    await expect(spawnCounter(executor)).rejects.toMatchObject({ code: 'NODE_STOPPED' })
    await expect(
      executor.patch(all[1] as Placed, { chunks: [], memoryBytes: 65_536, globals: [], kv: [] }),
    ).rejects.toMatchObject({ code: 'HOST_FAULT' })
  })
})

describe('what is handed over', () => {
  let bench: Bench | undefined
  afterEach(() => bench?.executor.close())

  it('stays with the caller', async () => {
    bench = createBench()
    const agent = await bench.spawn(counter)
    await agent.run()
    const image = structuredClone(agent.image)
    const there = await bench.place(counter, agent.image, 1)
    await there.run()
    await agent.run()
    expect(image.chunks.every(([, bytes]) => bytes.length === 4096)).toBe(true)
    expect(peek32(agent.image, COUNT)).toBe(2)
    expect(peek32(there.image, COUNT)).toBe(2)
    expect(peek32(image, COUNT)).toBe(1)
  })
})
