/**
 * Entry of a worker thread: see `nodeThreads`.
 *
 * @module
 */
import { parentPort } from 'node:worker_threads'
import { type Port, serve } from '@igor/core/worker'
import { sha256 } from './crypto.ts'

const parent = parentPort
if (parent === null) throw new Error('this file runs in a worker thread of Igor only')
const port: Port = {
  post: (message, transfer = []) => parent.postMessage(message, transfer),
  onmessage: undefined,
}
serve(port, { sha256, now: () => performance.now() })
parent.on('message', (message: unknown) => port.onmessage?.(message))
