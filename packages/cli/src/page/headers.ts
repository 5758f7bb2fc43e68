/**
 * Headers that every answer of the page server carries, and how a request's own are read.
 *
 * @module
 */
import type { IncomingMessage } from 'node:http'
import type { Encoding, PageFile } from './files.ts'

/** docs/design.md, section 10. Workers take theirs from their own answer, so it is on all of them. */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self'",
  "connect-src 'self' ws: wss: https:",
  "style-src 'self'",
  "img-src 'self'",
  "font-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

export const SAFETY_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': CONTENT_SECURITY_POLICY,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  // Not the microphone: with its permission Chromium offers local addresses to other tabs, which tests rely on.
  'permissions-policy': 'camera=(), geolocation=(), payment=(), usb=(), serial=(), hid=(), midi=(), browsing-topics=()',
}

/** Names that change with their content never change; the rest is asked about each time. */
export function cacheControl(file: PageFile): string {
  return file.immutable ? 'public, max-age=31536000, immutable' : 'no-cache'
}

/** The best encoding that a browser takes (RFC 9110, section 12.5.3; weights other than 0 make no difference here). */
export function encodingOf(request: IncomingMessage, file: PageFile): Encoding {
  if (!file.compressible) return 'identity'
  const taken = new Set(
    String(request.headers['accept-encoding'] ?? '')
      .split(',')
      .map((part) => part.trim().toLowerCase())
      .filter((part) => !/;\s*q=0(\.0*)?$/.test(part))
      .map((part) => part.split(';')[0]),
  )
  return taken.has('br') ? 'br' : taken.has('gzip') ? 'gzip' : 'identity'
}

/** True if the browser has this file (RFC 9110, section 13.1.2). */
export function isFresh(request: IncomingMessage, etag: string): boolean {
  const given = request.headers['if-none-match']
  if (given === undefined) return false
  return given.split(',').some((part) => part.trim().replace(/^W\//, '') === etag || part.trim() === '*')
}

export interface Host {
  /** Lower case, IPv6 in brackets, without the port. */
  readonly name: string
  /** With its colon, or empty. */
  readonly port: string
}

/** The `Host` of a request, or undefined when it has none that can be right. */
export function hostOf(request: IncomingMessage): Host | undefined {
  const match = /^(\[[0-9a-f:.]{2,45}\]|[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)(:\d{1,5})?$/i.exec(request.headers.host ?? '')
  if (match === null) return undefined
  return { name: (match[1] as string).toLowerCase(), port: match[3] ?? '' }
}
