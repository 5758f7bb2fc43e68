/**
 * The running node's side of the control socket: HTTP/1.1 over a Unix domain socket (a named pipe on Windows).
 * `POST /v1/<method>`, parameters and result as in `wire.ts`; streams answer one line an item.
 *
 * @module
 */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { codeOf, messageOf } from '../failure.ts'
import { type CallName, type Calls, checks, type StreamName, type Streams } from './methods.ts'
import { lockDown, removePlace, socketPath, writePlace } from './place.ts'
import { decodeMessage, encodeLine, encodeMessage, MAX_MESSAGE_BYTES } from './wire.ts'

export type CallHandlers = { [K in CallName]: (params: Calls[K][0], signal: AbortSignal) => Promise<Calls[K][1]> }
export type StreamHandlers = { [K in StreamName]: (params: Streams[K][0], signal: AbortSignal) => AsyncIterable<Streams[K][1]> }

export interface ControlOptions {
  readonly dataDir: string
  readonly calls: CallHandlers
  readonly streams: StreamHandlers
}

export interface ControlServer {
  readonly path: string
  /** Ends open streams, lets answers go out, removes the socket. */
  close(): Promise<void>
}

/** Commands at a time; a person starts a handful, a script some more. */
const MAX_CONNECTIONS = 64
/** A command sends its request at once. */
const REQUEST_TIMEOUT_MS = 60_000

/**
 * Opens the socket. The caller holds the lock of the data folder, so a socket that is there is a dead one's.
 *
 * @throws NodeJS.ErrnoException when the socket cannot be made
 */
export async function openControl(options: ControlOptions): Promise<ControlServer> {
  const path = await socketPath(options.dataDir)
  const token = randomBytes(32).toString('hex')
  const stopping = new AbortController()
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
    void serve(options, token, stopping.signal, request, response)
  })
  server.maxConnections = MAX_CONNECTIONS
  if (process.platform !== 'win32') await rm(path, { force: true })
  server.listen(path)
  await once(server, 'listening')
  await lockDown(path)
  await writePlace(options.dataDir, { path, token, pid: process.pid })
  return {
    path,
    async close() {
      stopping.abort()
      await removePlace(options.dataDir)
      await closeServer(server)
    },
  }
}

/** How long an answer under way may take when the server closes. */
const LINGER_MS = 2_000

async function closeServer(server: Server): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  server.closeIdleConnections()
  const timer = setTimeout(() => server.closeAllConnections(), LINGER_MS)
  await closed
  clearTimeout(timer)
}

async function serve(
  options: ControlOptions,
  token: string,
  stopping: AbortSignal,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  response.on('error', () => gone.abort())
  const signal = AbortSignal.any([gone.signal, stopping])
  try {
    if (!isToken(request.headers.authorization, token)) return answer(response, 401, failure('NOT_YOURS', 'wrong control token'))
    const name = request.method === 'POST' ? /^\/v1\/([a-zA-Z]+)$/.exec(request.url ?? '')?.[1] : undefined
    const isCall = name !== undefined && Object.hasOwn(options.calls, name)
    if (name === undefined || !(isCall || Object.hasOwn(options.streams, name))) {
      return answer(response, 404, failure('OTHER_VERSION', 'the running node is of another version: igor down, then igor up'))
    }
    let params: unknown
    try {
      params = checks[name as CallName | StreamName](decodeMessage(await readBody(request)))
    } catch (error) {
      return answer(response, 400, failure('BAD_REQUEST', messageOf(error)))
    }
    if (isCall) {
      const call = options.calls[name as CallName] as (params: unknown, signal: AbortSignal) => Promise<unknown>
      // `stop` ends the others, not itself.
      const result = await call(params, name === 'stop' ? gone.signal : signal)
      return answer(response, 200, { ok: true, result })
    }
    const stream = options.streams[name as StreamName] as (params: unknown, signal: AbortSignal) => AsyncIterable<unknown>
    await pour(stream(params, signal), response, signal)
  } catch (error) {
    const message = failure(codeOf(error), messageOf(error))
    if (!response.headersSent) answer(response, 200, message)
    else response.end(encodeLine(message))
  }
}

/** Sends items as they come, no faster than the command reads them. */
async function pour(items: AsyncIterable<unknown>, response: ServerResponse, signal: AbortSignal): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/x-ndjson' })
  response.flushHeaders()
  try {
    for await (const item of items) {
      if (!response.write(encodeLine({ item }))) await once(response, 'drain', { signal })
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
  response.end(encodeLine({ end: true }))
}

function failure(code: string, message: string): object {
  return { ok: false, code, message }
}

function answer(response: ServerResponse, status: number, value: object): void {
  response.writeHead(status, { 'content-type': 'application/octet-stream', connection: 'close' })
  for (const part of encodeMessage(value)) response.write(part)
  response.end()
}

function isToken(header: string | undefined, token: string): boolean {
  const given = Buffer.from(header ?? '')
  const wanted = Buffer.from(`Bearer ${token}`)
  return given.length === wanted.length && timingSafeEqual(given, wanted)
}

async function readBody(request: IncomingMessage): Promise<Uint8Array> {
  const parts: Buffer[] = []
  let length = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    length += part.length
    if (length > MAX_MESSAGE_BYTES) throw new Error(`more than ${MAX_MESSAGE_BYTES} bytes`)
    parts.push(part)
  }
  return Buffer.concat(parts)
}
