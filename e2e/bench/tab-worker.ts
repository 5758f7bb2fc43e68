/**
 * The worker of `@igor/browser/worker`, with stamps.
 *
 * @module
 */
import { createSha256 } from '../../packages/browser/src/hash.ts'
import { serveStamped } from '../../packages/nodejs/bench/stamp.ts'

// The types of the DOM and of workers cannot be loaded together.
interface WorkerScope {
  onmessage: ((event: MessageEvent<unknown>) => void) | null
  postMessage(message: unknown, transfer?: ArrayBuffer[]): void
}
const scope = globalThis as unknown as WorkerScope
const early: unknown[] = []
scope.onmessage = ({ data }) => early.push(data)

const stamps = new BroadcastChannel('stamps')
const take = serveStamped(
  (message, transfer) => scope.postMessage(message, transfer),
  (stamp) => stamps.postMessage(stamp),
  { sha256: await createSha256(), now: () => performance.timeOrigin + performance.now() },
)
for (const message of early) take(message)
scope.onmessage = ({ data }) => take(data)
