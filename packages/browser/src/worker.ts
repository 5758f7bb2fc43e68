/**
 * Entry of a thread in a tab. Bundle it by itself and name it in `WebThreadsOptions.workerUrl`.
 *
 * @module
 */
import { serve } from '@igor/core/worker'
import { createSha256 } from './hash.ts'

// The types of the DOM and of workers cannot be loaded together.
interface WorkerScope {
  onmessage: ((event: MessageEvent<unknown>) => void) | null
  postMessage(message: unknown, transfer?: ArrayBuffer[]): void
}
const scope = globalThis as unknown as WorkerScope

// What arrives before the hash is ready would otherwise find no listener.
const early: unknown[] = []
scope.onmessage = ({ data }) => {
  early.push(data)
}

const sha256 = await createSha256()
const port = {
  post: (message: unknown, transfer: readonly ArrayBuffer[] = []) => scope.postMessage(message, [...transfer]),
  onmessage: undefined as ((message: unknown) => void) | undefined,
}
serve(port, { sha256, now: () => performance.timeOrigin + performance.now() })
for (const message of early.splice(0)) port.onmessage?.(message)
scope.onmessage = ({ data }) => port.onmessage?.(data)
