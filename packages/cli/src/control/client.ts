/**
 * A command's side of the control socket.
 *
 * @module
 */
import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { createInterface } from 'node:readline'
import { CommandError } from '../failure.ts'
import type { CallName, Calls, StreamName, Streams } from './methods.ts'
import { type ControlPlace, readPlace } from './place.ts'
import { decodeLine, decodeMessage, encodeMessage, MAX_MESSAGE_BYTES } from './wire.ts'

export interface ControlClient {
  call<K extends CallName>(method: K, params: Calls[K][0]): Promise<Calls[K][1]>
  /** Ends with the node's word, or when the signal is aborted. */
  stream<K extends StreamName>(method: K, params: Streams[K][0]): AsyncIterable<Streams[K][1]>
}

/**
 * Client of the node that runs in `dataDir`. Nothing is opened before the first call.
 *
 * @throws CommandError (from its methods) NO_NODE when none runs there, else the node's own code and message
 */
export function connectControl(dataDir: string, signal: AbortSignal): ControlClient {
  return {
    async call(method, params) {
      const response = await post(dataDir, method, params, signal)
      const answer = decodeMessage(await readAll(response))
      return resultOf(answer) as never
    },
    async *stream(method, params) {
      const response = await post(dataDir, method, params, signal)
      if (response.headers['content-type'] !== 'application/x-ndjson') resultOf(decodeMessage(await readAll(response)))
      const lines = createInterface({ input: response, crlfDelay: Number.POSITIVE_INFINITY })
      try {
        for await (const line of lines) {
          const message = decodeLine(line) as { item?: unknown; end?: boolean }
          if (message.end === true) return
          if (!('item' in message)) resultOf(message)
          yield message.item as never
        }
      } catch (error) {
        if (!signal.aborted) throw error
      } finally {
        lines.close()
        response.destroy()
      }
      if (!signal.aborted) throw new CommandError('NODE_STOPPED', 'the node went away: see its output, then igor up')
    },
  }
}

/** True if a node answers in this data folder. */
export async function isRunning(dataDir: string, signal: AbortSignal): Promise<boolean> {
  try {
    await connectControl(dataDir, signal).call('info', {})
    return true
  } catch (error) {
    if (error instanceof CommandError && error.code === 'NO_NODE') return false
    throw error
  }
}

function noNode(dataDir: string): CommandError {
  return new CommandError('NO_NODE', `no node runs in ${dataDir}: start one with igor up`)
}

async function post(dataDir: string, method: string, params: object, signal: AbortSignal): Promise<IncomingMessage> {
  const place = await readPlace(dataDir)
  if (place === undefined) throw noNode(dataDir)
  const request = open(place, method, signal)
  for (const part of encodeMessage(params)) request.write(part)
  request.end()
  try {
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    // Later errors surface where the response is read.
    request.on('error', () => undefined)
    return response
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT' || code === 'ECONNREFUSED') throw noNode(dataDir)
    if (code === 'EACCES' || code === 'EPERM') {
      throw new CommandError('NOT_YOURS', `the node in ${dataDir} belongs to another user: name your own folder with --data-dir`)
    }
    if (code === 'ECONNRESET' || code === 'EPIPE')
      throw new CommandError('NODE_STOPPED', `the node in ${dataDir} went away while it was asked`)
    throw error
  }
}

function open(place: ControlPlace, method: string, signal: AbortSignal) {
  return httpRequest({
    socketPath: place.path,
    path: `/v1/${method}`,
    method: 'POST',
    headers: { authorization: `Bearer ${place.token}`, host: 'igor' },
    agent: false,
    signal,
  })
}

async function readAll(response: IncomingMessage): Promise<Uint8Array> {
  const parts: Buffer[] = []
  let length = 0
  for await (const part of response as AsyncIterable<Buffer>) {
    length += part.length
    if (length > MAX_MESSAGE_BYTES) {
      response.destroy()
      throw new CommandError('PROTOCOL_VIOLATION', 'the node answers with more than a command can take')
    }
    parts.push(part)
  }
  return Buffer.concat(parts)
}

function resultOf(answer: unknown): unknown {
  const { ok, result, code, message } = answer as { ok?: boolean; result?: unknown; code?: string; message?: string }
  if (ok === true) return result
  throw new CommandError(code ?? 'INTERNAL', message ?? 'the node answers in another language: igor down, then igor up')
}
