/**
 * Messages with credits over a libp2p stream.
 *
 * libp2p streams have no back-pressure on reading: a slow reader's stream is reset at 4 MiB. So the
 * sender counts what the receiver's user has not yet taken, and waits.
 *
 * Wire: units of a 32-bit big-endian header, whose first byte is the kind and whose other three are
 * a number: `0` a message of that many bytes, which follow; `1` credit of that many; `2` the end, number 0.
 *
 * @module
 */
import { type Channel, ChannelError, IgorError, MAX_FRAME } from '@igor/core'
import type { Stream, StreamCloseEvent, StreamMessageEvent } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'

const DATA = 0
const CREDIT = 1
const END = 2

const HEADER = 4
const MAX_NUMBER = 0xffffff

/** What a message costs beyond its bytes: bounds the number of small ones that wait. */
const MESSAGE_COST = 64
/** The receiver gives credit back in steps of this: small enough to keep the line busy, large enough to be rare. */
const CREDIT_STEP = 256 * 1024
/** What may be under way: one message of the largest size fits even when the receiver holds back a step. */
const WINDOW = MAX_FRAME + MESSAGE_COST + CREDIT_STEP

interface Receiver {
  resolve(message: Uint8Array | undefined): void
  reject(error: unknown): void
}

interface Sender {
  readonly cost: number
  write(): void
  reject(error: unknown): void
}

export interface ChannelInit {
  readonly peer: string
  readonly protocol: string
  readonly direct: boolean
}

/** A channel that can tell when its stream is gone. */
export interface StreamChannel extends Channel {
  /** Resolves when the stream has ended, in whatever way. */
  readonly closed: Promise<void>
  /** Ends it when nobody will read any more: says the end, discards what comes, aborts after `graceMs`. */
  finish(graceMs: number): Promise<void>
}

/** @returns a channel over a negotiated stream; it owns the stream from here on */
export function createChannel(stream: Stream, { peer, protocol, direct }: ChannelInit): StreamChannel {
  const unread = new Uint8ArrayList()
  const messages: Uint8Array[] = []
  const receivers: Receiver[] = []
  const senders: Sender[] = []
  let sendWindow = WINDOW
  let receiveWindow = WINDOW
  let consumed = 0
  let discarding = false
  let remoteEnded = false
  let localEnd: Promise<void> | undefined
  let endWritten = false
  let failure: ChannelError | undefined
  const gone = Promise.withResolvers<void>()

  function fail(error: ChannelError): void {
    if (failure !== undefined) return
    failure = error
    for (const sender of senders.splice(0)) sender.reject(error)
    if (!remoteEnded) for (const receiver of receivers.splice(0)) receiver.reject(error)
  }

  function abort(reason: Error): void {
    messages.length = 0
    fail(new ChannelError(peer, `channel ${protocol} with ${peer} was aborted: ${reason.message}`, { cause: reason }))
    stream.abort(reason)
  }

  function write(kind: number, number: number, message?: Uint8Array): void {
    const unit = new Uint8Array(HEADER + (message?.length ?? 0))
    new DataView(unit.buffer).setUint32(0, kind * (MAX_NUMBER + 1) + number)
    // A copy: the caller may reuse its bytes, and the stream keeps what it is given.
    if (message !== undefined) unit.set(message, HEADER)
    try {
      stream.send(unit)
    } catch (error) {
      abort(error instanceof Error ? error : new Error(String(error)))
    }
  }

  function pump(): void {
    while (failure === undefined) {
      const next = senders[0]
      if (next === undefined || next.cost > sendWindow) return
      senders.shift()
      sendWindow -= next.cost
      next.write()
    }
  }

  function giveBack(cost: number): void {
    consumed += cost
    if (consumed < CREDIT_STEP || remoteEnded || failure !== undefined) return
    receiveWindow += consumed
    write(CREDIT, consumed)
    consumed = 0
  }

  function take(): Uint8Array | undefined {
    const message = messages.shift()
    if (message !== undefined) giveBack(message.length + MESSAGE_COST)
    return message
  }

  function deliver(message: Uint8Array): void {
    const receiver = receivers.shift()
    if (receiver !== undefined) {
      giveBack(message.length + MESSAGE_COST)
      receiver.resolve(message)
    } else if (discarding) giveBack(message.length + MESSAGE_COST)
    else messages.push(message)
  }

  function closeStream(): void {
    if (!remoteEnded || !endWritten) return
    stream.close().catch((error: Error) => stream.abort(error))
  }

  /** Takes one unit from the front of `unread`; false when it is not all there. */
  function parse(): boolean {
    if (unread.byteLength < HEADER) return false
    const header = unread.getUint32(0)
    const kind = header >>> 24
    const number = header & MAX_NUMBER
    if (kind === DATA) {
      if (remoteEnded) throw new Error('it sent a message after the end')
      if (number > MAX_FRAME) throw new Error(`it sent a message of ${number} bytes, ${MAX_FRAME} are allowed`)
      if (number + MESSAGE_COST > receiveWindow) throw new Error('it sent more than it had credit for')
      if (unread.byteLength < HEADER + number) return false
      receiveWindow -= number + MESSAGE_COST
      const message = unread.slice(HEADER, HEADER + number)
      unread.consume(HEADER + number)
      deliver(message)
      return true
    }
    if (kind === CREDIT) {
      if (number === 0 || sendWindow + number > WINDOW) throw new Error('it gave more credit than it had to give')
      sendWindow += number
      unread.consume(HEADER)
      pump()
      return true
    }
    if (kind === END && number === 0) {
      if (remoteEnded) throw new Error('it ended twice')
      remoteEnded = true
      unread.consume(HEADER)
      for (const receiver of receivers.splice(0)) receiver.resolve(undefined)
      closeStream()
      return true
    }
    throw new Error('it does not follow the channel protocol')
  }

  function onmessage({ data }: StreamMessageEvent): void {
    if (failure !== undefined) return
    unread.append(data)
    try {
      while (failure === undefined && parse());
    } catch (error) {
      abort(error as Error)
    }
  }

  function onend(): void {
    // The end is said in the stream; a half-closed stream without it is one that broke.
    if (!remoteEnded && stream.status === 'open') abort(new Error('the other side went away'))
  }

  function settle(error?: Error): void {
    stream.removeEventListener('message', onmessage)
    stream.removeEventListener('end', onend)
    const why = error === undefined ? 'the connection was lost' : `it was reset (${error.message})`
    if (!remoteEnded || !endWritten) {
      fail(new ChannelError(peer, `channel ${protocol} with ${peer} ended: ${why}`, error && { cause: error }))
    }
    gone.resolve()
  }

  function onclose({ error }: StreamCloseEvent): void {
    // What arrived before an orderly close may still be on its way through the stream's own buffer.
    if (error === undefined && stream.readBufferLength > 0) {
      stream.addEventListener('end', () => settle(), { once: true })
    } else settle(error)
  }

  stream.addEventListener('message', onmessage)
  stream.addEventListener('end', onend)
  stream.addEventListener('close', onclose, { once: true })
  if (stream.status !== 'open') settle()

  /** Runs `action` after everything that was sent before and when there is credit for it. */
  function enqueue(cost: number, action: () => void, signal?: AbortSignal): Promise<void> {
    // Nobody looks at the senders of a channel that failed any more.
    if (failure !== undefined) return Promise.reject(failure)
    return new Promise((resolve, reject) => {
      const sender: Sender = {
        cost,
        write() {
          signal?.removeEventListener('abort', onabort)
          action()
          resolve()
        },
        reject(error) {
          signal?.removeEventListener('abort', onabort)
          reject(error)
        },
      }
      function onabort(): void {
        senders.splice(senders.indexOf(sender), 1)
        reject(signal?.reason)
        pump()
      }
      signal?.addEventListener('abort', onabort, { once: true })
      senders.push(sender)
      pump()
    })
  }

  /** Resolves when the muxer has taken everything, or the stream is gone. */
  function flushed(): Promise<void> {
    if (stream.writeBufferLength === 0) return Promise.resolve()
    const idle = Promise.withResolvers<void>()
    const done = (): void => idle.resolve()
    stream.addEventListener('idle', done, { once: true })
    void gone.promise.then(done)
    return idle.promise
  }

  async function end(): Promise<void> {
    try {
      await enqueue(0, () => {
        endWritten = true
        write(END, 0)
        closeStream()
      })
    } catch {
      // It failed before: there is nothing left to close.
    }
    await flushed()
  }

  return {
    peer,
    direct,
    closed: gone.promise,
    async send(message, signal) {
      signal?.throwIfAborted()
      if (message.length > MAX_FRAME) {
        throw new IgorError(
          'BAD_MESSAGE',
          `a channel message may have ${MAX_FRAME} bytes, not ${message.length}: send it as several`,
        )
      }
      if (failure !== undefined) throw failure
      if (localEnd !== undefined) throw new ChannelError(peer, `channel ${protocol} with ${peer} was closed here`)
      await enqueue(message.length + MESSAGE_COST, () => write(DATA, message.length, message), signal)
    },
    async receive(signal) {
      signal?.throwIfAborted()
      const message = take()
      if (message !== undefined) return message
      if (remoteEnded) return undefined
      if (failure !== undefined) throw failure
      return await new Promise((resolve, reject) => {
        const receiver: Receiver = {
          resolve(value) {
            signal?.removeEventListener('abort', onabort)
            resolve(value)
          },
          reject(error) {
            signal?.removeEventListener('abort', onabort)
            reject(error)
          },
        }
        function onabort(): void {
          receivers.splice(receivers.indexOf(receiver), 1)
          reject(signal?.reason)
        }
        signal?.addEventListener('abort', onabort, { once: true })
        receivers.push(receiver)
      })
    },
    async close() {
      localEnd ??= end()
      await localEnd
    },
    abort,
    async finish(graceMs) {
      discarding = true
      while (take() !== undefined);
      localEnd ??= end()
      const timer = setTimeout(() => abort(new Error('the other side did not end it')), graceMs)
      await gone.promise
      clearTimeout(timer)
    },
  }
}
