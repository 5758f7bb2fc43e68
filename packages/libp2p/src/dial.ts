/**
 * Finding a way to a peer.
 *
 * @module
 */
import { type Channel, ChannelError, IgorError, type OpenOptions, PeerUnreachableError } from '@igor/core'
import type { Connection, Libp2p, PeerId } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { isRelayed, parseMultiaddr, parsePeer, peerOf, withoutWebRTC } from './addresses.ts'
import { createChannel } from './channel.ts'
import { isDirect, type Links } from './links.ts'
import { MAX_STREAMS } from './serve.ts'

/** Longer than a WebRTC handshake that has to be tried twice. */
const DEFAULT_OPEN_MS = 20_000
/** A dial to one address takes a few round trips. */
const ADDRESS_MS = 6_000

export interface Dialer {
  open(target: string, protocol: string, options?: OpenOptions): Promise<Channel>
  connect(address: string, signal?: AbortSignal): Promise<string>
}

interface Target {
  readonly peer: PeerId
  readonly address?: Multiaddr
}

function parseTarget(target: string): Target {
  if (!target.startsWith('/')) return { peer: parsePeer(target) }
  const address = parseMultiaddr(target)
  const peer = peerOf(address)
  if (peer === undefined) throw new IgorError('BAD_ADDRESS', `${target} does not end in /p2p/ and a peer id`)
  return { peer, address: withoutWebRTC(address) }
}

export function createDialer(libp2p: Libp2p, links: Links, openMs = DEFAULT_OPEN_MS): Dialer {
  const self = libp2p.peerId.toString()

  function bounded(signal?: AbortSignal): AbortSignal {
    const limit = AbortSignal.timeout(openMs)
    return signal === undefined ? limit : AbortSignal.any([signal, limit])
  }

  /** Addresses to try, in order. */
  async function candidates({ peer, address }: Target, direct: boolean): Promise<Multiaddr[]> {
    const known = address === undefined ? [] : [address]
    try {
      known.push(...(await libp2p.peerStore.get(peer)).addresses.map(({ multiaddr }) => withoutWebRTC(multiaddr)))
    } catch {
      // Never met.
    }
    const seen = new Set<string>()
    return known
      .map((candidate) => (peerOf(candidate) === undefined ? candidate.encapsulate(`/p2p/${peer}`) : candidate))
      .filter((candidate) => {
        const text = candidate.toString()
        if (seen.has(text) || (direct && isRelayed(candidate))) return false
        seen.add(text)
        return true
      })
      .sort((a, b) => Number(isRelayed(a)) - Number(isRelayed(b)))
  }

  async function reach(target: Target, direct: boolean, signal: AbortSignal): Promise<Connection> {
    const peer = target.peer.toString()
    if (peer === self) throw new PeerUnreachableError(peer, `${peer} is this node itself`)
    const tried: string[] = []
    const existing = links.best(peer, direct)
    if (existing !== undefined) return existing
    for (const address of await candidates(target, direct)) {
      signal.throwIfAborted()
      try {
        const connection = await libp2p.dial(address, { signal: AbortSignal.any([signal, AbortSignal.timeout(ADDRESS_MS)]) })
        if (!direct || isDirect(connection)) return connection
      } catch (error) {
        tried.push(`${address}: ${(error as Error).message}`)
      }
      const meanwhile = links.best(peer, direct)
      if (meanwhile !== undefined) return meanwhile
    }
    throw new PeerUnreachableError(
      peer,
      `no ${direct ? 'direct ' : ''}connection to ${peer}: ${tried.length > 0 ? tried.join('; ') : 'no address of it is known'}`,
    )
  }

  async function within<T>(peer: string, signal: AbortSignal | undefined, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const limit = bounded(signal)
    try {
      return await run(limit)
    } catch (error) {
      signal?.throwIfAborted()
      if (limit.aborted) {
        throw new PeerUnreachableError(peer, `${peer} did not answer within ${openMs / 1000} s`, { cause: error })
      }
      throw error
    }
  }

  return {
    async open(text, protocol, { direct = false, signal } = {}) {
      const target = parseTarget(text)
      const peer = target.peer.toString()
      return await within(peer, signal, async (limit) => {
        const connection = await reach(target, direct, limit)
        try {
          const stream = await connection.newStream(protocol, {
            signal: limit,
            runOnLimitedConnection: true,
            maxOutboundStreams: MAX_STREAMS,
          })
          return createChannel(stream, { peer, protocol, direct: isDirect(connection) })
        } catch (error) {
          limit.throwIfAborted()
          const unknown = (error as Error).name === 'UnsupportedProtocolError'
          throw new ChannelError(
            peer,
            unknown
              ? `${peer} does not serve ${protocol}: it may run another version`
              : `could not open ${protocol} with ${peer}: ${(error as Error).message}`,
            { cause: error },
          )
        }
      })
    },
    async connect(text, signal) {
      const address = withoutWebRTC(parseMultiaddr(text))
      const peer = peerOf(address)
      return await within(peer?.toString() ?? text, signal, async (limit) => {
        if (peer !== undefined) return (await reach({ peer, address }, false, limit)).remotePeer.toString()
        try {
          return (await libp2p.dial(address, { signal: limit })).remotePeer.toString()
        } catch (error) {
          throw new PeerUnreachableError(text, `nobody answers at ${text}: ${(error as Error).message}`, { cause: error })
        }
      })
    },
  }
}
