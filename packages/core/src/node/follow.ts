/**
 * Watching an agent wherever it lives, and following it when it moves.
 *
 * @module
 */
import type { AgentEvent } from '../api.ts'
import { IgorError } from '../errors.ts'
import { watchAt } from '../protocols/watch.ts'
import type { Handles } from './handles.ts'
import { createLogOrder } from './log-order.ts'

/** Where it went is known by then, of an agent that has just moved. */
const SETTLE_MS = 600
/** Events that wait for a consumer that does not read. */
const MAX_QUEUE = 1024

/** What tells of a change. */
type News = Pick<Handles, 'context' | 'onchange'>

/** Waits for news of where the agent is. */
export const changedOr = async ({ context, onchange }: News, ms: number, signal: AbortSignal): Promise<void> => {
  const woken = new AbortController()
  const wake = (): void => woken.abort()
  const off = onchange(wake)
  signal.addEventListener('abort', wake)
  await context.clock.sleep(ms, woken.signal).catch(() => {})
  signal.removeEventListener('abort', wake)
  off()
}

/**
 * Everything that an agent shows, until the signal is aborted.
 *
 * @param proofFor the owner's word, for its host; undefined: this node has not its key
 */
export async function* follow(
  id: string,
  node: Pick<Handles, 'context' | 'residents' | 'owner' | 'status' | 'listen' | 'onchange'>,
  proofFor: () => Promise<Uint8Array | undefined>,
  signal: AbortSignal,
): AsyncGenerator<AgentEvent> {
  const { context, residents, owner, listen } = node
  const { clock } = context

  /** Events from where it lives now; ends when it leaves, or its host is lost. */
  async function* attachment(): AsyncGenerator<AgentEvent> {
    try {
      const { here, host } = node.status(id)
      if (here) yield* watchHere()
      else {
        using gone = onceGone(host)
        const until = AbortSignal.any([signal, gone.signal])
        for await (const event of watchAt(context, host, id, await proofFor(), until)) {
          if (event.type !== 'status') {
            yield event
            continue
          }
          const resided = residents.ledger(id) !== undefined
          const moved = event.status.host !== host
          yield {
            type: 'status',
            status: { ...event.status, here: event.status.host === context.peer, owned: owner.owns(id) === true, resided },
          }
          // Its host knows where it went; from there the watch goes on.
          if (moved) break
        }
      }
    } catch (error) {
      if (signal.aborted) return
      if (error instanceof IgorError && error.code === 'NOT_OWNER') throw error
    }
  }

  /** Ends soon after the agent is known to live elsewhere: a host that froze or died never says so itself. */
  function onceGone(host: string): { readonly signal: AbortSignal } & Disposable {
    const left = new AbortController()
    const over = new AbortController()
    const off = node.onchange(() => {
      if (node.status(id).host === host) return
      off()
      // One that is alive has its last words to say.
      clock.sleep(SETTLE_MS, over.signal).then(
        () => left.abort(),
        () => {},
      )
    })
    return {
      signal: left.signal,
      [Symbol.dispose]: () => {
        off()
        over.abort()
      },
    }
  }

  /** Events while the agent lives here; ends when it leaves. */
  async function* watchHere(): AsyncGenerator<AgentEvent> {
    const queue: AgentEvent[] = []
    let ring = (): void => {}
    const off = listen(id, (event) => {
      if (queue.length >= MAX_QUEUE) queue.shift()
      queue.push(event)
      ring()
    })
    const end = (): void => ring()
    signal.addEventListener('abort', end)
    try {
      while (!signal.aborted) {
        const event = queue.shift()
        if (event !== undefined) {
          yield event
          if (event.type === 'status' && !event.status.here) return
        } else {
          await new Promise<void>((resolve) => {
            ring = resolve
          })
          ring = () => {}
        }
      }
    } finally {
      signal.removeEventListener('abort', end)
      off()
    }
  }

  const order = createLogOrder()
  while (!signal.aborted) {
    // Each attachment begins with the log that its host kept.
    const isNew = order.attach()
    for await (const event of attachment()) if (event.type !== 'log' || isNew(event)) yield event
    if (!signal.aborted) await changedOr(node, SETTLE_MS, signal)
  }
}
