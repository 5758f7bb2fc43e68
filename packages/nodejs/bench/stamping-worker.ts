/**
 * The worker of `src/worker.ts`, which also tells when its agents' ticks began and ended: a second opinion on
 * what the runtime says of itself.
 *
 * @module
 */
import { parentPort } from 'node:worker_threads'
import { type Port, serve } from '@igor/core/worker'
import { sha256 } from '../src/crypto.ts'

/** Unix ms of the latest job's first tick's start and last tick's end. */
export interface Stamp {
  readonly type: 'stamp'
  readonly first: number
  readonly last: number
}

const parent = parentPort
if (parent === null) throw new Error('this file runs in a worker thread of Igor only')
let first = 0
let last = 0
const port: Port = {
  post: (message, transfer = []) => {
    if (message.type === 'ran' && message.results.some(({ ticks }) => ticks > 0)) {
      parent.postMessage({ type: 'stamp', first, last } satisfies Stamp)
    }
    parent.postMessage(message, transfer)
  },
  onmessage: undefined,
}
// The clock is read when a job comes, when its first tick begins, and after each tick.
serve(port, {
  sha256,
  now: () => {
    const now = performance.now()
    last = performance.timeOrigin + now
    return now
  },
})
parent.on('message', (message: unknown) => {
  first = performance.timeOrigin + performance.now()
  port.onmessage?.(message)
})
