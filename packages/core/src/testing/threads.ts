import { afterEach, describe, expect, it } from 'vitest'
import type { Thread, Threads } from '../platform.ts'
import type { Reply, Request } from '../worker/protocol.ts'

/**
 * A module whose `agent_tick` never ends:
 * `(module (memory (export "memory") 1) (func (export "agent_tick") (result i32) (loop (br 0)) unreachable))`
 */
const ENDLESS = Uint8Array.from(
  [
    [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    [0x01, 5, 1, 0x60, 0, 1, 0x7f],
    [0x03, 2, 1, 0],
    [0x05, 3, 1, 0, 1],
    [0x07, 23, 2, 6, ...ascii('memory'), 2, 0, 10, ...ascii('agent_tick'), 0, 0],
    [0x0a, 10, 1, 8, 0, 0x03, 0x40, 0x0c, 0, 0x0b, 0x00, 0x0b],
  ].flat(),
)
const PAGE = 65_536

/** Acceptance suite of `Threads`: real threads that run the serve function of `@igor/core/worker`. */
export function threadsSuite(make: () => Threads | Promise<Threads>): void {
  describe('Threads', () => {
    const spawned: Thread[] = []
    afterEach(() => {
      for (const thread of spawned.splice(0)) thread.terminate()
    })
    const spawn = async () => {
      const thread = (await make()).spawn()
      spawned.push(thread)
      return thread
    }

    it('tells how many run at once', async () => {
      const { parallelism } = await make()
      expect(Number.isInteger(parallelism)).toBe(true)
      expect(parallelism).toBeGreaterThanOrEqual(1)
    })

    it('starts one that answers', async () => {
      const reply = await ask(await spawn(), garbage(7))
      expect(reply).toMatchObject({ type: 'refused', id: 7 })
    })

    it('keeps messages that are posted before it has started, in order', async () => {
      const thread = await spawn()
      const replies = await Promise.all([1, 2, 3, 4, 5].map((id) => ask(thread, garbage(id))))
      expect(replies.map((reply) => reply.type)).toEqual(Array(5).fill('refused'))
    })

    it('takes over buffers that are transferred', async () => {
      const thread = await spawn()
      const bytes = new Uint8Array(1_000_000)
      const reply = await ask(thread, { ...garbage(1), bytes }, [bytes.buffer])
      expect(reply.type).toBe('refused')
      expect(bytes.length).toBe(0)
    })

    it('runs several side by side, one busy', async () => {
      const [busy, first, second] = await Promise.all([spawn(), spawn(), spawn()])
      await makeBusy(busy)
      expect(await ask(first, garbage(1))).toMatchObject({ type: 'refused', id: 1 })
      expect(await ask(second, garbage(1))).toMatchObject({ type: 'refused', id: 1 })
    })

    it('terminates one that is busy, and nothing is heard of it', async () => {
      const [busy, other] = await Promise.all([spawn(), spawn()])
      await makeBusy(busy)
      const heard: unknown[] = []
      busy.onmessage = (message) => heard.push(message)
      busy.onexit = (reason) => heard.push(reason)
      busy.terminate()
      busy.terminate()
      busy.post(garbage(99))
      await ask(other, garbage(1))
      await ask(await spawn(), garbage(1))
      expect(heard).toEqual([])
    })

    it('terminates one that has not started yet', async () => {
      const thread = await spawn()
      const heard: unknown[] = []
      thread.onmessage = (message) => heard.push(message)
      thread.onexit = (reason) => heard.push(reason)
      thread.post(garbage(1))
      thread.terminate()
      await ask(await spawn(), garbage(1))
      expect(heard).toEqual([])
    })
  })
}

type Asked = Extract<Request, { readonly id: number }>

function garbage(id: number): Asked & { readonly type: 'load' } {
  return { type: 'load', id, module: `garbage-${id}`, bytes: Uint8Array.of(1, 2, 3), maxMemoryBytes: PAGE, granted: [] }
}

/** Sends a request; resolves with the reply of the same id, rejects when the thread ends. */
function ask(thread: Thread, request: Asked, transfer: readonly ArrayBuffer[] = []): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const before = thread.onmessage
    thread.onmessage = (message) => {
      const reply = message as Reply
      if (reply.id === request.id) resolve(reply)
      else before?.(message)
    }
    thread.onexit = (reason) => reject(new Error(`the thread ended: ${reason}`))
    thread.post(request, transfer)
  })
}

/** Leaves the thread in an endless loop. */
async function makeBusy(thread: Thread): Promise<void> {
  const module = 'endless'
  const bytes = ENDLESS.slice()
  const terms = { limit: 2n ** 62n, price: 0n, balance: 0n, receipts: [] }
  const attempt = { tick: 0, time: 1n, root: new Uint8Array(32), messages: [], ...terms }
  const loaded = await ask(thread, { type: 'load', id: 1001, module, bytes, maxMemoryBytes: PAGE, granted: [] })
  expect(loaded).toMatchObject({ type: 'loaded' })
  const placed = await ask(thread, {
    type: 'place',
    id: 1002,
    place: 1,
    module,
    maxMemoryBytes: PAGE,
    granted: [],
    init: new Uint8Array(),
    attempt,
  })
  expect(placed).toMatchObject({ type: 'placed' })
  const job = { ...attempt, place: 1, tick: 1, maxTicks: 1, maxMs: 1000, allowance: 2n ** 62n, state: false }
  const run: Request = { type: 'run', id: 1003, jobs: [job] }
  thread.post(run)
}

function ascii(text: string): number[] {
  return Array.from(text, (character) => character.charCodeAt(0))
}
