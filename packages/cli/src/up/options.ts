/**
 * What `igor up` is told, checked.
 *
 * @module
 */
import { parseMoney } from '../format.ts'

/**
 * The page's port, always: a page's storage, and with it its agents, belong to its origin. The node's own ports follow it.
 */
export const DEFAULT_PORT = 4747
const MAX_PORT = 65_535
/** How many ports the node takes after the page's: TCP, WebSocket, WebRTC (UDP). */
const NODE_PORTS = 3

export interface IceServer {
  readonly urls: string
  readonly username?: string
  readonly credential?: string
}

/** @throws Error that says what a port is */
export function parsePort(text: string): number {
  const port = Number(text)
  if (!/^\d{1,5}$/.test(text) || port > MAX_PORT - NODE_PORTS) throw new Error(`not a port from 0 to ${MAX_PORT - NODE_PORTS}`)
  return port
}

/** @throws Error */
export function parseCount(text: string): number {
  const value = Number(text)
  if (!/^\d{1,6}$/.test(text)) throw new Error('not a number from 0 to 999999')
  return value
}

/** @throws Error */
export function parseKeep(text: string): number | 'all' {
  if (text === 'all') return text
  const value = Number(text)
  if (!/^\d{1,6}$/.test(text) || value < 1) throw new Error('not a number from 1 to 999999, nor all')
  return value
}

/** @returns milliseconds @throws Error */
export function parseLease(text: string): number {
  const seconds = Number(text)
  if (!/^\d{1,2}$/.test(text) || seconds < 1 || seconds > 60) throw new Error('not a number of seconds from 1 to 60')
  return seconds * 1000
}

/** @throws Error that says what a peer id is */
export function parsePeer(text: string): string {
  if (!/^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/.test(text)) throw new Error('not a peer id, which begins with 12D3KooW: see igor id')
  return text
}

/** @throws Error */
export function parsePrice(text: string): bigint {
  const price = parseMoney(text)
  if (price === undefined) throw new Error('not an amount such as 0.25')
  return price
}

/**
 * `stun:host:port`, `turn:host:port`, or `turn:user:password@host:port` (RFC 7064, RFC 7065; the user part is ours).
 *
 * @throws Error
 */
export function parseIceServer(text: string): IceServer {
  const match = /^(stuns?|turns?):(?:([^:@\s]+):([^@\s]+)@)?([a-z0-9.[\]:-]+)(\?transport=(?:udp|tcp))?$/i.exec(text)
  if (match === null) throw new Error('not like stun:example.org:3478 or turn:user:password@example.org:3478')
  const [, scheme = '', username, credential, host = '', query = ''] = match
  const urls = `${scheme.toLowerCase()}:${host}${query}`
  return username === undefined || credential === undefined ? { urls } : { urls, username, credential }
}

/** Where the node itself listens; all free ones when the page's is. */
export function nodePorts(port: number): { tcp: number; ws: number; webrtc: number } {
  return port === 0 ? { tcp: 0, ws: 0, webrtc: 0 } : { tcp: port + 1, ws: port + 2, webrtc: port + 3 }
}
