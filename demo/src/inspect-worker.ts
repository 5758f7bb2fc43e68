/**
 * Looks into an agent's file off the main thread: verifying a long history takes a while.
 *
 * @module
 */
import { inspectCar } from '@igor/lineage'

// The types of the DOM and of workers cannot be loaded together.
const scope = globalThis as unknown as {
  onmessage: ((event: MessageEvent<Uint8Array>) => void) | null
  postMessage(message: unknown): void
}

scope.onmessage = async ({ data }) => scope.postMessage(await inspectCar(data))
