/**
 * The worker of `src/worker.ts`, measured.
 *
 * @module
 */
import { threadId } from 'node:worker_threads'
import { joinSplit } from './split.ts'

joinSplit(`worker ${threadId}`)
await import('../src/worker.ts')
