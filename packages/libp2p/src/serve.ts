import { type Channel, type HandleOptions, IgorError } from '@igor/core'
import type { Connection, Libp2p, Stream } from '@libp2p/interface'
import { createChannel } from './channel.ts'
import { isDirect } from './links.ts'

/** Far above what `maxPerPeer` allows: libp2p's own cap resets the excess without a word to either side. */
export const MAX_STREAMS = 1024
/** How long the other side may take to end a channel whose handler is done. */
const FINISH_MS = 10_000

type Handler = (channel: Channel) => Promise<void>

const served = new WeakMap<Libp2p, Set<string>>()

/**
 * Serves a protocol with at most `maxPerPeer` channels per peer at a time, over all connections.
 *
 * @returns a function that stops serving; channels that are open go on
 * @throws IgorError BAD_REQUEST when it is served already
 */
export function serve(libp2p: Libp2p, protocol: string, handler: Handler, { maxPerPeer }: HandleOptions): () => void {
  const protocols = served.get(libp2p) ?? new Set()
  served.set(libp2p, protocols)
  if (protocols.has(protocol)) throw new IgorError('BAD_REQUEST', `${protocol} is served already`)
  protocols.add(protocol)
  const open = new Map<string, number>()

  async function run(stream: Stream, connection: Connection): Promise<void> {
    const peer = connection.remotePeer.toString()
    const count = open.get(peer) ?? 0
    if (count >= maxPerPeer) {
      stream.abort(new Error(`${peer} has ${count} channels of ${protocol} open already`))
      return
    }
    open.set(peer, count + 1)
    const channel = createChannel(stream, { peer, protocol, direct: isDirect(connection) })
    try {
      await handler(channel)
      await channel.finish(FINISH_MS)
    } catch (error) {
      channel.abort(error instanceof Error ? error : new Error(String(error)))
      await channel.closed
    } finally {
      const left = (open.get(peer) ?? 1) - 1
      if (left === 0) open.delete(peer)
      else open.set(peer, left)
    }
  }

  // Both take effect at once; what they wait for is a note in the book of peers.
  libp2p
    .handle(protocol, (stream, connection) => void run(stream, connection), {
      maxInboundStreams: MAX_STREAMS,
      maxOutboundStreams: MAX_STREAMS,
      runOnLimitedConnection: true,
    })
    .catch(() => {})
  let serving = true
  return () => {
    if (!serving) return
    serving = false
    protocols.delete(protocol)
    libp2p.unhandle(protocol).catch(() => {})
  }
}
