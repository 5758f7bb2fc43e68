/**
 * The page server: the built page, `/node.json`, `/healthz`, `/metrics`. Browsers give keys, storage and workers only to secure
 * contexts, so other hosts than localhost are served only over TLS.
 *
 * @module
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { CommandError } from '../failure.ts'
import type { PageFile, PageFiles } from './files.ts'
import { cacheControl, encodingOf, type Host, hostOf, isFresh, SAFETY_HEADERS } from './headers.ts'
import { headlessPage, insecurePage, strangerPage, unbuiltPage } from './plain.ts'
import { RELEASE_PATH, takeLastWords } from './release.ts'
import { passWebSockets } from './websocket.ts'

export interface PageOptions {
  /** Address to listen on. Default 127.0.0.1, and ::1 where there is one. */
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  readonly tls?: { readonly cert: string | Buffer; readonly key: string | Buffer }
  /** A proxy in front ends TLS: its X-Forwarded-Proto is believed. */
  readonly behindProxy?: boolean
  /** 'headless' shows no page; undefined: it was not built. */
  readonly files: PageFiles | 'headless' | undefined
  /** What the page asks the server it came from; undefined until the node is there. */
  readonly node: (host: Host, secure: boolean) => NodeDescription | undefined
  /** Prometheus text; undefined until the node is there. */
  readonly metrics: () => Promise<string | undefined>
  /** Takes the last words of a page that is being closed; undefined until the node is there. */
  readonly release?: (words: Uint8Array) => Promise<boolean>
  /** Port of the node's WebSocket listener, to which WebSockets on the page's own port are passed where there is TLS. */
  readonly webSocketPort?: () => number | undefined
}

/** `/node.json`. */
export interface NodeDescription {
  readonly peerId: string
  readonly name: string
  readonly multiaddrs: readonly string[]
  readonly iceServers: readonly object[]
  /** Peer id of the witness that it serves; null: none. */
  readonly witness?: string | null
}

export interface PageServer {
  readonly url: string
  readonly port: number
  close(): Promise<void>
}

export const LOOPBACK = '127.0.0.1'
const LOOPBACK_6 = '::1'
/** Browsers and scrapers at a time. */
const MAX_CONNECTIONS = 1024
const HEADERS_TIMEOUT_MS = 10_000
const REQUEST_TIMEOUT_MS = 30_000
/** Tries to find a port that is free on both loopback addresses. */
const FREE_PORT_TRIES = 20

/**
 * Starts serving.
 *
 * @throws CommandError PORT_BUSY, BAD_HOST, BAD_CERTIFICATE: never another port than asked for, since a page's storage belongs to it
 */
export async function openPage(options: PageOptions): Promise<PageServer> {
  const servers = await listen(options)
  const port = portOf(servers[0])
  const scheme = options.tls === undefined ? 'http' : 'https'
  const name = options.host === '0.0.0.0' || options.host === '::' || isLoopback(options.host) ? 'localhost' : options.host
  return {
    url: `${scheme}://${name.includes(':') ? `[${name}]` : name}:${port}/`,
    port,
    async close() {
      await Promise.all(
        servers.map(async (server) => {
          const closed = once(server, 'close')
          server.close()
          server.closeAllConnections()
          await closed
        }),
      )
    },
  }
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port
}

async function listen(options: PageOptions): Promise<[Server, ...Server[]]> {
  if (options.host !== LOOPBACK) return [await bind(options, options.host, options.port)]
  // A browser may try either address for localhost.
  for (let tries = 1; ; tries++) {
    const first = await bind(options, LOOPBACK, options.port)
    try {
      return [first, await bind(options, LOOPBACK_6, portOf(first))]
    } catch (error) {
      if (!(error instanceof CommandError) || error.code !== 'PORT_BUSY') return [first]
      first.close()
      if (options.port !== 0 || tries === FREE_PORT_TRIES) throw error
    }
  }
}

async function bind(options: PageOptions, host: string, port: number): Promise<Server> {
  const server = create(options)
  server.maxConnections = MAX_CONNECTIONS
  server.listen({ host, port })
  try {
    await once(server, 'listening')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EADDRINUSE') {
      throw new CommandError(
        'PORT_BUSY',
        `port ${port} is busy: stop what uses it, or choose another with --port (a page's agents belong to its port)`,
      )
    }
    if (code === 'EACCES')
      throw new CommandError('PORT_BUSY', `port ${port} is not yours to use: choose one above 1023 with --port`)
    throw new CommandError('BAD_HOST', `cannot listen on ${host}: give an address of this machine with --host`, { cause: error })
  }
  return server
}

function create(options: PageOptions): Server {
  const timeouts = { headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS }
  const onrequest = (request: IncomingMessage, response: ServerResponse): void => {
    answer(options, request, response).catch(() => response.destroy())
  }
  let server: Server
  try {
    server =
      options.tls === undefined ? createServer(timeouts, onrequest) : createTlsServer({ ...timeouts, ...options.tls }, onrequest)
  } catch (error) {
    throw new CommandError('BAD_CERTIFICATE', `the certificate or key is none: ${(error as Error).message}`, { cause: error })
  }
  if (options.tls !== undefined || options.behindProxy === true) passWebSockets(server, () => options.webSocketPort?.())
  return server
}

async function answer(options: PageOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const reply = createReply(request, response)
  const path = (request.url ?? '/').split(/[?#]/, 1)[0] as string
  if (request.method === 'POST' && path === RELEASE_PATH && options.release !== undefined) {
    const { status, text } = await takeLastWords(request, options.release)
    return reply.text(status, text)
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') return reply.text(405, 'only GET and HEAD\n', { allow: 'GET, HEAD' })
  const host = hostOf(request)
  const port = request.socket.localPort ?? options.port
  const secure = options.tls !== undefined || (options.behindProxy === true && request.headers['x-forwarded-proto'] === 'https')
  if (host === undefined) return reply.text(400, 'which host?\n')
  // A name that someone let point at this machine (DNS rebinding) learns nothing, not even through /metrics.
  const local = host.name === 'localhost' || isLoopback(host.name)
  if (!local && !secure && isLoopback(options.host)) return reply.html(421, strangerPage())

  if (path === '/healthz') return health(options, host, secure, reply)
  if (path === '/metrics') {
    const text = await options.metrics()
    return text === undefined
      ? reply.text(503, 'starting\n')
      : reply.text(200, text, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' })
  }
  if (options.files === 'headless' && path === '/') return reply.html(404, headlessPage())
  if (!local && !secure) return reply.html(403, insecurePage(host.name, port))
  // One origin, one storage.
  if (isLoopback(host.name) && options.tls === undefined) return reply.redirect(`http://localhost${host.port}${request.url}`)
  if (path === '/node.json') {
    const node = options.node(host, secure)
    return node === undefined ? reply.text(503, 'starting\n') : reply.json(200, node)
  }
  if (options.files === 'headless') return reply.text(404, 'no such page\n')
  if (options.files === undefined) return path === '/' ? reply.html(503, unbuiltPage()) : reply.text(404, 'no such page\n')
  const file = options.files.get(path)
  return file === undefined ? reply.text(404, 'no such page\n') : reply.file(file)
}

function health(options: PageOptions, host: Host, secure: boolean, reply: Reply): void {
  const node = options.node(host, secure)
  if (node === undefined) reply.json(503, { status: 'starting' })
  else reply.json(200, { status: 'ok', peerId: node.peerId })
}

function isLoopback(name: string): boolean {
  const bare = name.replace(/^\[|\]$/g, '')
  return bare === LOOPBACK_6 || /^127(\.\d{1,3}){3}$/.test(bare)
}

interface Reply {
  text(status: number, text: string, headers?: Record<string, string>): void
  html(status: number, text: string): void
  json(status: number, value: object): void
  redirect(location: string): void
  file(file: PageFile): Promise<void>
}

function createReply(request: IncomingMessage, response: ServerResponse): Reply {
  const send = (status: number, headers: Record<string, string>, body: Uint8Array | string): void => {
    response.writeHead(status, { ...SAFETY_HEADERS, 'content-length': String(Buffer.byteLength(body)), ...headers })
    response.end(request.method === 'HEAD' ? undefined : body)
  }
  const fresh = { 'cache-control': 'no-store' }
  return {
    text: (status, text, headers = {}) =>
      send(status, { ...fresh, 'content-type': 'text/plain; charset=utf-8', ...headers }, text),
    html: (status, text) => send(status, { ...fresh, 'content-type': 'text/html; charset=utf-8' }, text),
    json: (status, value) =>
      send(status, { ...fresh, 'content-type': 'application/json; charset=utf-8' }, `${JSON.stringify(value)}\n`),
    redirect: (location) => send(307, { ...fresh, 'content-type': 'text/plain; charset=utf-8', location }, 'on localhost\n'),
    async file(file) {
      const encoding = encodingOf(request, file)
      // Each encoding is a representation of its own (RFC 9110, section 8.8.3.3).
      const etag = encoding === 'identity' ? file.etag : `${file.etag.slice(0, -1)}-${encoding}"`
      const headers: Record<string, string> = {
        etag,
        'cache-control': cacheControl(file),
        ...(file.compressible ? { vary: 'accept-encoding' } : {}),
      }
      if (isFresh(request, etag)) {
        response.writeHead(304, { ...SAFETY_HEADERS, ...headers })
        response.end()
        return
      }
      if (encoding !== 'identity') headers['content-encoding'] = encoding
      send(200, { ...headers, 'content-type': file.type }, await file.body(encoding))
    },
  }
}
