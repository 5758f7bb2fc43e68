import type { MultiaddrConnection, Stream, StreamMuxerFactory } from '@libp2p/interface'
import { yamux } from '@libp2p/yamux'
import { MAX_STREAMS } from './serve.ts'

/** What yamux 8 has beside the interface. */
interface Opening {
  onCreateStream(options: object): Stream & { sendWindowUpdate(): void }
}

/**
 * Yamux that survives a connection's end. In a microtask of its own yamux 8.0.3 tells the other side of a new stream; where the
 * connection below has begun to close just then, that throws where nobody can catch it, which ends a Node.js process. Here it
 * ends the stream, as any other loss of the connection does.
 */
export const createMuxers = (): (() => StreamMuxerFactory) => {
  // Early ones too: the first to finish a handshake may open many before the other has its connection.
  const create = yamux({ maxInboundStreams: MAX_STREAMS, maxOutboundStreams: MAX_STREAMS, maxEarlyStreams: MAX_STREAMS })
  return () => {
    const factory = create()
    return {
      protocol: factory.protocol,
      createStreamMuxer: (connection: MultiaddrConnection) => {
        const muxer = factory.createStreamMuxer(connection)
        const opening = muxer as unknown as Opening
        const open = opening.onCreateStream.bind(opening)
        opening.onCreateStream = (options) => {
          const stream = open(options)
          const tell = stream.sendWindowUpdate.bind(stream)
          stream.sendWindowUpdate = () => {
            try {
              tell()
            } catch (error) {
              stream.abort(error instanceof Error ? error : new Error(String(error)))
            }
          }
          return stream
        }
        return muxer
      },
    }
  }
}
