/**
 * One direction of a channel: frames in order, a window of credits, an end or a failure at each side.
 *
 * @module
 */

/** Frames under way, or not read yet, before `send` waits. */
const WINDOW = 16

/** Why a pipe carries no more, without saying whose peer is gone. */
export class PipeError extends Error {}

/** What one side waits for. */
const createBell = () => {
  let waiting: (() => void)[] = []
  return {
    ring: (): void => {
      for (const wake of waiting.splice(0)) wake()
    },
    wait: (signal: AbortSignal | undefined): Promise<void> =>
      new Promise((resolve, reject) => {
        if (signal?.aborted === true) {
          reject(signal.reason)
          return
        }
        const wake = (): void => {
          signal?.removeEventListener('abort', onabort)
          resolve()
        }
        const onabort = (): void => {
          waiting = waiting.filter((one) => one !== wake)
          reject(signal?.reason)
        }
        signal?.addEventListener('abort', onabort, { once: true })
        waiting.push(wake)
      }),
  }
}

export interface Pipe {
  /** The writer's side. */
  readonly ended: boolean
  send(frame: Uint8Array, signal: AbortSignal | undefined, carry: (frame: Uint8Array) => void): Promise<void>
  end(): boolean
  failWriter(why: string): void
  /** The reader's side. */
  come(frame: Uint8Array | undefined): void
  receive(signal: AbortSignal | undefined): Promise<Uint8Array | undefined>
  failReader(why: string): void
  /** Nothing more comes out. */
  readonly drained: boolean
  /** When the last frame arrives, so that none overtakes another. */
  arrival: number
}

export const createPipe = (): Pipe => {
  const frames: Uint8Array[] = []
  const writable = createBell()
  const readable = createBell()
  let credits = WINDOW
  let ended = false
  let endCame = false
  let writeFailure: string | undefined
  let readFailure: string | undefined
  return {
    arrival: 0,
    get ended() {
      return ended || writeFailure !== undefined
    },
    send: async (frame, signal, carry) => {
      if (ended) throw new PipeError('the channel is closed')
      while (credits === 0 && writeFailure === undefined) await writable.wait(signal)
      signal?.throwIfAborted()
      if (writeFailure !== undefined) throw new PipeError(writeFailure)
      credits--
      carry(frame)
    },
    end: () => {
      const first = !ended
      ended = true
      return first
    },
    failWriter: (why) => {
      writeFailure ??= why
      writable.ring()
    },
    come: (frame) => {
      if (frame === undefined) endCame = true
      else frames.push(frame)
      readable.ring()
    },
    receive: async (signal) => {
      for (;;) {
        if (readFailure !== undefined) throw new PipeError(readFailure)
        const frame = frames.shift()
        if (frame !== undefined) {
          credits++
          writable.ring()
          return frame
        }
        if (endCame) return undefined
        await readable.wait(signal)
      }
    },
    failReader: (why) => {
      readFailure ??= why
      readable.ring()
    },
    get drained() {
      return endCame || readFailure !== undefined
    },
  }
}
