/**
 * Asks the worker beside this module what an agent's file says.
 *
 * @module
 */
import type { Summary } from '@igor/lineage'

/** The largest file with the longest history stays well below. */
const TIMEOUT_MS = 60_000

/** @throws Error if the file could not be looked into at all; what is wrong inside it is in the summary */
export const inspectFile = (bytes: Uint8Array): Promise<Summary> => {
  const { promise, resolve, reject } = Promise.withResolvers<Summary>()
  const worker = new Worker(new URL('./inspect-worker.js', import.meta.url), { type: 'module', name: 'igor-inspect' })
  const timer = setTimeout(() => reject(new Error('Looking into the file took too long.')), TIMEOUT_MS)
  worker.onmessage = ({ data }: MessageEvent<Summary>) => resolve(data)
  worker.onerror = (event) => {
    event.preventDefault()
    reject(new Error(event.message || 'The part of the page that looks into files did not load.'))
  }
  worker.postMessage(bytes)
  return promise.finally(() => {
    clearTimeout(timer)
    worker.terminate()
  })
}
