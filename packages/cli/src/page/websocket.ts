/**
 * WebSockets on the page's own port, passed to the node's listener: a page that came over TLS may open no plain WebSocket, and
 * an operator has one port to open and one certificate.
 *
 * @module
 */
import type { IncomingMessage, Server } from 'node:http'
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'

/** Tabs at a time; the node has limits of its own. */
const MAX_SOCKETS = 512

/** Passes every WebSocket handshake for `/` to 127.0.0.1:`port()`. */
export function passWebSockets(server: Server, port: () => number | undefined): void {
  const open = new Set<Duplex>()
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const to = port()
    if (to === undefined || request.headers.upgrade?.toLowerCase() !== 'websocket' || open.size >= MAX_SOCKETS) {
      socket.end('HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n')
      return
    }
    open.add(socket)
    const inner = connect(to, '127.0.0.1')
    const end = (): void => {
      open.delete(socket)
      socket.destroy()
      inner.destroy()
    }
    for (const side of [socket, inner]) side.on('error', end).on('close', end)
    inner.once('connect', () => {
      inner.write(`GET / HTTP/1.1\r\n${headerLines(request)}\r\n\r\n`)
      inner.write(head)
      inner.pipe(socket).pipe(inner)
    })
  })
  server.on('close', () => {
    for (const socket of open) socket.destroy()
  })
}

/** As they came; Node.js has checked them. */
function headerLines({ rawHeaders }: IncomingMessage): string {
  const lines: string[] = []
  for (let i = 0; i < rawHeaders.length; i += 2) lines.push(`${rawHeaders[i]}: ${rawHeaders[i + 1]}`)
  return lines.join('\r\n')
}
