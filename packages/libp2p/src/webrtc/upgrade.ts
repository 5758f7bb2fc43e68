/**
 * From a relayed connection to a direct one.
 *
 * Of two peers the one with the smaller id dials, and the other asks it to: so two that want each
 * other at the same moment make one connection, not two. The dialler has one dial per peer under
 * way; whoever else wants it waits for the same. A handshake that does not get through is tried again.
 *
 * @module
 */
import type { Channel } from '@igor/core'
import type { Connection, Libp2p, PeerId, StreamMuxerFactory, Upgrader } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { createChannel } from '../channel.ts'
import { isDirect, type Links } from '../links.ts'
import { serve } from '../serve.ts'
import { limited, pause, raced } from '../signals.ts'
import { dataChannelConnection } from './connection.ts'
import { parseSignal, type Role, type Signal, sendSignal, shakeHands } from './handshake.ts'

const PROTOCOL = '/igor/webrtc/1.0.0'
const MUXER = '/yamux/1.0.0'
/** A handshake takes half a second; one that takes this long has lost something. */
const ATTEMPT_MS = 6_000
const ATTEMPTS = 5
/** All attempts together. */
const UPGRADE_MS = 18_000
/** A failure that comes at once is most likely a race in an implementation (libdatachannel has one): not again in step. */
const PAUSE_MS = 50
/** What a peer may have under way: its dial, its question, and those it gave up on. */
const MAX_PER_PEER = 8
const LABEL = 'webrtc'

export type MakePeerConnection = () => Promise<RTCPeerConnection>

export interface Upgrades {
  /** A direct connection to a peer that `relay` leads to. @throws Error that says why not */
  upgrade(peer: PeerId, relay: (signal: AbortSignal) => Promise<Connection>, signal: AbortSignal): Promise<Connection>
  close(): void
}

export function createUpgrades(
  libp2p: Libp2p,
  upgrader: Upgrader,
  links: Links,
  makePeerConnection: MakePeerConnection,
): Upgrades {
  const self = libp2p.peerId.toString()
  const dials = new Map<string, Promise<Connection>>()
  const answers = new Map<string, AbortController>()
  const stop = new AbortController()

  function muxerFactory(): StreamMuxerFactory {
    const muxer = upgrader.getStreamMuxers().get(MUXER)
    if (muxer === undefined) throw new Error(`no ${MUXER}`)
    return muxer
  }

  async function connect(signalling: Channel, peer: PeerId, role: Role, signal: AbortSignal, first?: Signal): Promise<void> {
    const pc = await makePeerConnection()
    let connection: ReturnType<typeof dataChannelConnection> | undefined
    try {
      await shakeHands(
        signalling,
        role,
        pc,
        (handshaken) => {
          connection = dataChannelConnection({
            ...handshaken,
            remoteAddr: multiaddr(`/webrtc/p2p/${peer}`),
            direction: role === 'offerer' ? 'outbound' : 'inbound',
            log: libp2p.logger.forComponent(`igor:${LABEL}`),
          })
        },
        signal,
        first,
      )
      if (connection === undefined) throw new Error('no connection')
      const options = {
        skipEncryption: true,
        skipProtection: true,
        remotePeer: peer,
        muxerFactory: muxerFactory(),
        signal,
      } as const
      const older = libp2p.getConnections(peer).filter((each) => each.remoteAddr.toString().startsWith(`/${LABEL}/`))
      if (role === 'offerer') await upgrader.upgradeOutbound(connection, options)
      else await upgrader.upgradeInbound(connection, options)
      // Whoever makes a second connection has lost the first, though this side may not know yet.
      for (const each of older) each.abort(new Error('replaced by a newer connection'))
    } catch (error) {
      connection?.abort(error as Error)
      pc.close()
      throw error
    }
  }

  async function signallingTo(connection: Connection, signal: AbortSignal): Promise<ReturnType<typeof createChannel>> {
    const stream = await connection.newStream(PROTOCOL, { signal, runOnLimitedConnection: true })
    return createChannel(stream, { peer: connection.remotePeer.toString(), protocol: PROTOCOL, direct: isDirect(connection) })
  }

  /** Runs `attempt` until it succeeds, a few times, each with a limit of its own. */
  async function repeatedly(signal: AbortSignal, attempt: (signal: AbortSignal) => Promise<void>): Promise<void> {
    for (let left = ATTEMPTS; ; left--) {
      try {
        return await limited(ATTEMPT_MS, signal, attempt)
      } catch (error) {
        if (left === 1 || signal.aborted || (error as Error).name === 'UnsupportedProtocolError') throw error
        await pause(PAUSE_MS * (1 + Math.random()), signal)
      }
    }
  }

  function established(peer: PeerId): Connection | undefined {
    return links.best(peer.toString(), true)
  }

  /** The other side may have the connection a moment before this one. */
  async function untilEstablished(peer: PeerId, signal: AbortSignal): Promise<Connection> {
    const opened = Promise.withResolvers<Connection>()
    const onopened = ({ detail }: CustomEvent<Connection>): void => {
      if (detail.remotePeer.equals(peer) && isDirect(detail)) opened.resolve(detail)
    }
    libp2p.addEventListener('connection:open', onopened)
    try {
      return established(peer) ?? (await raced(opened.promise, signal))
    } finally {
      libp2p.removeEventListener('connection:open', onopened)
    }
  }

  async function dial(peer: PeerId, relay: (signal: AbortSignal) => Promise<Connection>, signal: AbortSignal): Promise<void> {
    await repeatedly(signal, async (limit) => {
      if (established(peer) !== undefined) return
      const signalling = await signallingTo(await relay(limit), limit)
      try {
        await connect(signalling, peer, 'offerer', limit)
      } finally {
        void signalling.finish(ATTEMPT_MS)
      }
    })
  }

  async function ask(peer: PeerId, relay: (signal: AbortSignal) => Promise<Connection>, signal: AbortSignal): Promise<void> {
    if (established(peer) !== undefined) return
    // The dialler tries several times itself.
    const signalling = await signallingTo(await relay(signal), signal)
    try {
      await sendSignal(signalling, { type: 'ask' })
      const answer = await signalling.receive(signal)
      const reply = answer === undefined ? undefined : parseSignal(answer)
      if (reply?.type === 'failed') throw new Error(reply.reason)
      if (reply?.type !== 'done') throw new Error('it went away')
    } finally {
      void signalling.finish(ATTEMPT_MS)
    }
  }

  function upgrade(peer: PeerId, relay: (signal: AbortSignal) => Promise<Connection>, signal: AbortSignal): Promise<Connection> {
    const id = peer.toString()
    let running = dials.get(id)
    if (running === undefined) {
      running = limited(UPGRADE_MS, stop.signal, async (limit) => {
        await (self < id ? dial : ask)(peer, relay, limit)
        return await untilEstablished(peer, limit)
      }).finally(() => dials.delete(id))
      dials.set(id, running)
    }
    return raced(running, signal)
  }

  async function answer(signalling: Channel): Promise<void> {
    const message = await signalling.receive(AbortSignal.timeout(ATTEMPT_MS))
    if (message === undefined) return
    const signal = parseSignal(message)
    const peer = libp2p.getPeers().find((each) => each.toString() === signalling.peer)
    if (peer === undefined) throw new Error('it is gone')
    try {
      if (signal.type === 'ask') {
        await upgrade(peer, async () => relayed(peer), stop.signal)
        await sendSignal(signalling, { type: 'done' })
        return
      }
      // The newest offer counts: its sender has given up on the one before.
      answers.get(signalling.peer)?.abort(new Error('a newer offer came'))
      const own = new AbortController()
      answers.set(signalling.peer, own)
      try {
        await limited(ATTEMPT_MS, own.signal, (limit) => connect(signalling, peer, 'answerer', limit, signal))
      } finally {
        if (answers.get(signalling.peer) === own) answers.delete(signalling.peer)
      }
    } catch (error) {
      await sendSignal(signalling, { type: 'failed', reason: (error as Error).message.slice(0, 200) }).catch(() => {})
    }
  }

  function relayed(peer: PeerId): Connection {
    const connection = libp2p.getConnections(peer).find((each) => !isDirect(each) && each.status === 'open')
    if (connection === undefined) throw new Error('the relayed connection is gone')
    return connection
  }

  function onopen({ detail }: CustomEvent<Connection>): void {
    const peer = detail.remotePeer
    // Both see the relayed connection; the one that dials begins, unasked.
    if (isDirect(detail) || self > peer.toString()) return
    upgrade(peer, async () => relayed(peer), stop.signal).catch(() => {})
  }

  const unserve = serve(libp2p, PROTOCOL, answer, { maxPerPeer: MAX_PER_PEER })
  libp2p.addEventListener('connection:open', onopen)

  return {
    upgrade,
    close() {
      const reason = new Error('the network is closed')
      stop.abort(reason)
      for (const answering of answers.values()) answering.abort(reason)
      libp2p.removeEventListener('connection:open', onopen)
      unserve()
    },
  }
}
