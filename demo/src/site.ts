/**
 * What the server that serves this page says of itself, at `/node.json`; the last word is kept, so that a reload with
 * the server dead still knows its relay and its name.
 *
 * @module
 */

export interface Site {
  readonly peerId: string
  readonly name: string
  readonly multiaddrs: readonly string[]
  readonly iceServers: readonly RTCIceServer[]
  /** Peer id of the witness that it serves. */
  readonly witness?: string
}

const KEY = 'igor.site'
/** A server that is alive answers at once; one that hangs must not hold up the page. */
const TIMEOUT_MS = 1500
const MAX_CHARS = 65_536

const strings = (value: unknown, most: number): string[] =>
  Array.isArray(value) ? value.filter((v): v is string => typeof v === 'string' && v.length <= 512).slice(0, most) : []

const iceServer = (value: unknown): RTCIceServer | undefined => {
  if (typeof value === 'string') return { urls: value }
  if (typeof value !== 'object' || value === null || !('urls' in value)) return undefined
  const { urls } = value
  const list = typeof urls === 'string' ? [urls] : strings(urls, 8)
  if (list.length === 0) return undefined
  const username = 'username' in value && typeof value.username === 'string' ? value.username : undefined
  const credential = 'credential' in value && typeof value.credential === 'string' ? value.credential : undefined
  return { urls: list, ...(username === undefined ? {} : { username }), ...(credential === undefined ? {} : { credential }) }
}

/** @returns undefined if it is not what a server says */
export const parseSite = (text: string): Site | undefined => {
  if (text.length > MAX_CHARS) return undefined
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { peerId, name, multiaddrs, iceServers, witness } = value as Record<string, unknown>
  if (typeof peerId !== 'string' || peerId.length > 128) return undefined
  return {
    peerId,
    ...(typeof witness === 'string' && witness.length <= 128 ? { witness } : {}),
    name: typeof name === 'string' && name !== '' ? name.slice(0, 64) : 'server',
    multiaddrs: strings(multiaddrs, 32),
    iceServers: Array.isArray(iceServers) ? iceServers.slice(0, 8).flatMap((v) => iceServer(v) ?? []) : [],
  }
}

export const rememberedSite = (): Site | undefined => parseSite(localStorage.getItem(KEY) ?? '')

/** The server's word, or the last one it gave; undefined where there never was one. */
export const findSite = async (): Promise<{ readonly site: Site | undefined; readonly answered: boolean }> => {
  try {
    const response = await fetch('/node.json', { cache: 'no-store', signal: AbortSignal.timeout(TIMEOUT_MS) })
    const text = response.ok ? await response.text() : ''
    const site = parseSite(text)
    if (site) {
      localStorage.setItem(KEY, text)
      return { site, answered: true }
    }
  } catch {
    // No server: what it said last is what there is.
  }
  return { site: rememberedSite(), answered: false }
}
