/**
 * Asks the worker beside this module about an agent's file.
 *
 * @module
 */
import type { Summary } from '@igor/lineage'
import type { Replay, ReplayOptions, ReplayProgress } from './api.ts'

/** The largest file with the longest history stays well below. */
const TIMEOUT_MS = 60_000

export interface Question {
  readonly bytes: Uint8Array
  /** Run what it carries again, too. */
  readonly again: boolean
}

export interface Answer {
  readonly summary?: Summary
  readonly progress?: ReplayProgress
  readonly replay?: Replay
  readonly failed?: string
}

/** Ends with the first answer that `take` makes something of, and the worker with it. */
const ask = <T>(question: Question, signal: AbortSignal | undefined, take: (answer: Answer) => T | undefined): Promise<T> => {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  const worker = new Worker(new URL('./inspect-worker.js', import.meta.url), { type: 'module', name: 'igor-inspect' })
  const onabort = (): void =>
    reject(signal?.reason?.name === 'TimeoutError' ? new Error('Looking into the file took too long.') : signal?.reason)
  signal?.addEventListener('abort', onabort)
  worker.onmessage = ({ data }: MessageEvent<Answer>) => {
    const found = take(data)
    if (data.failed !== undefined) reject(new Error(data.failed))
    else if (found !== undefined) resolve(found)
  }
  worker.onerror = (event) => {
    event.preventDefault()
    reject(new Error(event.message || 'The part of the page that looks into files did not load.'))
  }
  worker.postMessage(question)
  return promise.finally(() => {
    signal?.removeEventListener('abort', onabort)
    worker.terminate()
  })
}

/** @throws Error if the file could not be looked into at all; what is wrong inside it is in the summary */
export const inspectFile = (bytes: Uint8Array): Promise<Summary> =>
  ask({ bytes, again: false }, AbortSignal.timeout(TIMEOUT_MS), ({ summary }) => summary)

/** Runs again what an agent's file carries. @throws Error why it cannot be; the signal's reason */
export const replayFile = (bytes: Uint8Array, { signal, onprogress }: ReplayOptions): Promise<Replay> =>
  ask({ bytes, again: true }, signal, ({ progress, replay }) => {
    if (progress !== undefined) onprogress?.(progress)
    return replay
  })
