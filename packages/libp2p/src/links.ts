/**
 * Who is connected, how and how well. Pings every connection: for the round trip, and to notice a
 * peer that went away without a word.
 *
 * @module
 */
import type { Link, LinkKind } from '@igor/core'
import type { Connection, Libp2p } from '@libp2p/interface'
import { byteStream } from '@libp2p/utils'
import { kindOf } from './addresses.ts'

const PING_PROTOCOL = '/ipfs/ping/1.0.0'
const PING_BYTES = 32
const PING_EVERY_MS = 10_000
const SECOND_PING_MS = 1_500
/** A tab whose main thread is busy answers late; libp2p itself gives up at about 10 s. */
const PING_TIMEOUT_MS = 10_000
/** Unanswered pings in a row until the connection counts as dead. */
const PINGS_LOST = 2
/** Changes come in bursts: a connection, its streams, its first ping. */
const DEBOUNCE_MS = 50

/** Cheapest first. */
const PREFERENCE: readonly LinkKind[] = ['tcp', 'websocket', 'webrtc', 'relayed']

export interface Links {
  list(): Link[]
  /** The connection to use; with `direct`, only one that is not relayed. */
  best(peer: string, direct: boolean): Connection | undefined
  onchange(listener: () => void): () => void
  close(): void
}

export function isDirect(connection: Connection): boolean {
  return connection.limits === undefined
}

/**
 * The order in which connections to one peer are preferred, the same at both ends: direct ones, by
 * kind, those that the smaller id has dialled, and of those the newest: who dials again has lost the one before.
 */
export function byPreference(self: string): (a: Connection, b: Connection) => number {
  const dialledBySmaller = (connection: Connection): boolean =>
    self < connection.remotePeer.toString() === (connection.direction === 'outbound')
  return (a, b) =>
    Number(isDirect(b)) - Number(isDirect(a)) ||
    PREFERENCE.indexOf(kindOf(a)) - PREFERENCE.indexOf(kindOf(b)) ||
    Number(dialledBySmaller(b)) - Number(dialledBySmaller(a)) ||
    b.timeline.open - a.timeline.open
}

export function createLinks(libp2p: Libp2p): Links {
  const better = byPreference(libp2p.peerId.toString())
  const listeners = new Set<() => void>()
  const lost = new WeakMap<Connection, number>()
  const stop = new AbortController()
  const timers = new Set<ReturnType<typeof setTimeout>>()
  let pending: ReturnType<typeof setTimeout> | undefined

  function changed(): void {
    pending ??= setTimeout(() => {
      pending = undefined
      for (const listener of [...listeners]) listener()
    }, DEBOUNCE_MS)
  }

  async function ping(connection: Connection): Promise<void> {
    const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(PING_TIMEOUT_MS)])
    try {
      const stream = await connection.newStream(PING_PROTOCOL, { signal, runOnLimitedConnection: true })
      try {
        const bytes = byteStream(stream)
        const start = performance.now()
        await bytes.write(crypto.getRandomValues(new Uint8Array(PING_BYTES)), { signal })
        await bytes.read({ bytes: PING_BYTES, signal })
        const rtt = performance.now() - start
        if (connection.rtt === undefined || Math.abs(connection.rtt - rtt) > 1) changed()
        connection.rtt = rtt
        lost.delete(connection)
        await stream.close({ signal })
      } catch (error) {
        stream.abort(error as Error)
        throw error
      }
    } catch (error) {
      if (stop.signal.aborted || connection.status !== 'open') return
      const count = (lost.get(connection) ?? 0) + 1
      lost.set(connection, count)
      if (count >= PINGS_LOST) connection.abort(new Error('it does not answer', { cause: error }))
    }
  }

  function onopen({ detail }: CustomEvent<Connection>): void {
    changed()
    void ping(detail)
    // The first one is slowed by all that happens at a connect.
    const again = setTimeout(() => {
      timers.delete(again)
      if (detail.status === 'open') void ping(detail)
    }, SECOND_PING_MS)
    timers.add(again)
  }

  const timer = setInterval(() => {
    for (const connection of libp2p.getConnections()) void ping(connection)
  }, PING_EVERY_MS)
  libp2p.addEventListener('connection:open', onopen)
  libp2p.addEventListener('connection:close', changed)
  libp2p.addEventListener('self:peer:update', changed)

  function byPeer(): Map<string, Connection[]> {
    const peers = new Map<string, Connection[]>()
    for (const connection of libp2p.getConnections()) {
      if (connection.status !== 'open') continue
      const peer = connection.remotePeer.toString()
      const known = peers.get(peer)
      if (known === undefined) peers.set(peer, [connection])
      else known.push(connection)
    }
    return peers
  }

  return {
    list() {
      return [...byPeer()].map(([peer, connections]) => {
        const [best] = connections.sort(better) as [Connection]
        const link = { peer, kind: kindOf(best), direct: isDirect(best) }
        return best.rtt === undefined ? link : { ...link, rtt: best.rtt }
      })
    },
    best(peer, direct) {
      const [best] = (byPeer().get(peer) ?? []).sort(better)
      return best === undefined || (direct && !isDirect(best)) ? undefined : best
    },
    onchange(listener) {
      const own = (): void => listener()
      listeners.add(own)
      return () => void listeners.delete(own)
    },
    close() {
      stop.abort(new Error('the network is closed'))
      clearInterval(timer)
      clearTimeout(pending)
      for (const each of timers) clearTimeout(each)
      libp2p.removeEventListener('connection:open', onopen)
      libp2p.removeEventListener('connection:close', changed)
      libp2p.removeEventListener('self:peer:update', changed)
      listeners.clear()
    },
  }
}
