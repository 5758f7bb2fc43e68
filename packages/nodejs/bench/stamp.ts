/**
 * The worker's side with a second opinion on when ticks began and ended.
 *
 * @module
 */
import { type Port, serve } from '@igor/core/worker'

/** Unix ms of a job's arrival and of its last tick's end. */
export interface Stamp {
  readonly type: 'stamp'
  readonly first: number
  readonly last: number
}

const now = (): number => performance.timeOrigin + performance.now()

/**
 * Serves as `serve` does, and hands each job's stamp over before its result.
 *
 * @param post sends to the host
 * @param clock the worker's own, in ms
 * @returns what takes in messages of the host
 */
export const serveStamped = (
  post: (message: unknown, transfer: ArrayBuffer[]) => void,
  onstamp: (stamp: Stamp) => void,
  tools: { readonly sha256: (bytes: Uint8Array) => Uint8Array; readonly now: () => number },
): ((message: unknown) => void) => {
  let first = 0
  let last = 0
  const port: Port = {
    post: (message, transfer = []) => {
      if (message.type === 'ran' && message.results.some(({ ticks }) => ticks > 0)) onstamp({ type: 'stamp', first, last })
      post(message, transfer)
    },
    onmessage: undefined,
  }
  // The clock is read when a job comes, when its first tick begins, and after each tick.
  serve(port, {
    sha256: tools.sha256,
    now: () => {
      last = now()
      return tools.now()
    },
  })
  return (message) => {
    first = now()
    port.onmessage?.(message)
  }
}
