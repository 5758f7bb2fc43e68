/**
 * Threads that are none: the worker's side runs in this thread, behind queued messages. For tests and
 * simulation: deterministic, and nothing can stop an endless loop.
 *
 * @module
 */
import { sha256 } from '@noble/hashes/sha2.js'
import type { Thread, Threads } from '../platform.ts'
import type { Tools } from '../worker/agent.ts'
import { type Port, serve } from '../worker/serve.ts'

export interface InThreadOptions extends Partial<Tools> {
  /** What the pool is told. Default 1. */
  readonly parallelism?: number
}

const spawn = (tools: Tools): Thread => {
  let ended = false
  // Copied as between real threads, so that neither side sees the other's later changes.
  const deliver = (
    to: { onmessage: ((message: unknown) => void) | undefined },
    message: unknown,
    transfer: ArrayBuffer[],
  ): void => {
    const copy = structuredClone(message, { transfer })
    void Promise.resolve().then(() => {
      if (!ended) to.onmessage?.(copy)
    })
  }
  const port: Port = {
    post: (message, transfer = []) => deliver(thread, message, transfer),
    onmessage: undefined,
  }
  const thread: Thread = {
    post: (message, transfer = []) => {
      if (!ended) deliver(port, message, [...transfer])
    },
    onmessage: undefined,
    onexit: undefined,
    terminate: () => {
      ended = true
    },
  }
  serve(port, tools)
  return thread
}

export const inThreads = (options: InThreadOptions = {}): Threads => {
  const tools: Tools = { sha256: options.sha256 ?? sha256, now: options.now ?? (() => performance.now()) }
  return { parallelism: options.parallelism ?? 1, spawn: () => spawn(tools) }
}
