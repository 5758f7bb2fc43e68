/**
 * The worker of `src/worker.ts`, with stamps.
 *
 * @module
 */
import { parentPort } from 'node:worker_threads'
import { sha256 } from '../src/crypto.ts'
import { serveStamped } from './stamp.ts'

const parent = parentPort
if (parent === null) throw new Error('this file runs in a worker thread of a bench only')
const take = serveStamped(
  (message, transfer) => parent.postMessage(message, transfer),
  (stamp) => parent.postMessage(stamp),
  { sha256, now: () => performance.now() },
)
parent.on('message', take)
