import { IgorError, type Network } from '@igor/core'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import type { Libp2p } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { createLibp2p } from 'libp2p'
import { platformTransports } from '#transports'
import { parseMultiaddr } from './addresses.ts'
import { createDialer } from './dial.ts'
import { createGossip, createGossipsub } from './gossip.ts'
import { hostService } from './host.ts'
import { createLinks } from './links.ts'
import { createMuxers } from './muxer.ts'
import type { NetworkOptions } from './options.ts'
import { keepRelays, type Relays } from './relays.ts'
import { serve } from './serve.ts'
import { keepTidy } from './tidy.ts'
import { createUpgrades } from './webrtc/upgrade.ts'

/** Many tabs behind one address, or on one machine, connect at once. */
const CONNECTIONS_PER_SECOND = 100
const PENDING_CONNECTIONS = 100

/** A running node, seen from inside. */
export interface Running {
  readonly network: Network
  readonly libp2p: Libp2p
}

/**
 * Starts a libp2p node: in a tab or in Node.js, by the same options.
 *
 * Does not wait for the relays, nor fail when they are down: they are connected to when they come up.
 *
 * @throws IgorError BAD_ADDRESS when an address among the options is none
 * @throws Error when a port to listen on is taken
 */
export async function createNetwork(options: NetworkOptions): Promise<Network> {
  return (await startNetwork(options)).network
}

/** As `createNetwork`, for tests that look below it. */
export async function startNetwork(options: NetworkOptions): Promise<Running> {
  const warn = options.onwarning ?? (() => {})
  const bootstrap = options.bootstrap ?? []
  for (const address of [...bootstrap, ...(options.announce ?? [])]) parseMultiaddr(address)
  const platform = await platformTransports(options, warn)
  const libp2p = await createLibp2p({
    start: false,
    privateKey: await generateKeyPairFromSeed('Ed25519', options.seed),
    addresses: { listen: platform.listen, announce: [...(options.announce ?? [])] },
    transports: platform.transports,
    connectionEncrypters: [noise()],
    streamMuxers: [createMuxers()],
    connectionManager: {
      maxConnections: platform.maxConnections,
      inboundConnectionThreshold: CONNECTIONS_PER_SECOND,
      maxIncomingPendingConnections: PENDING_CONNECTIONS,
    },
    // Pings are sent by links.ts, which also needs the round trip at connect.
    connectionMonitor: { enabled: false },
    // The default for browsers refuses loopback and ws://, which is where a person's own server is.
    connectionGater: { denyDialMultiaddr: () => false },
    services: {
      identify: identify(),
      ping: ping(),
      pubsub: createGossipsub,
      host: hostService,
      ...(platform.relay && { relay: platform.relay as never }),
    },
  })
  const { host } = libp2p.services.host
  const links = createLinks(libp2p)
  const gossip = createGossip(libp2p.services.pubsub, warn)
  const tidy = keepTidy(libp2p, host, libp2p.services.pubsub.protocols)
  const upgrades =
    options.webrtc === false ? undefined : createUpgrades(libp2p, host.upgrader, links, platform.makePeerConnection)
  const dialer = createDialer(libp2p, host, links, upgrades, options.limits?.openMs)

  let closing: Promise<void> | undefined
  function close(): Promise<void> {
    closing ??= (async () => {
      relays?.close()
      dialer.close()
      upgrades?.close()
      tidy.close()
      links.close()
      gossip.close()
      await libp2p.stop()
      platform.release?.()
    })()
    return closing
  }
  function running(): void {
    if (closing !== undefined) throw new IgorError('NODE_STOPPED', 'the network of this node is closed')
  }

  let relays: Relays | undefined
  try {
    await libp2p.start()
    relays = keepRelays(libp2p, dialer, { addresses: bootstrap, reservations: platform.reservations?.(), warn })
  } catch (error) {
    await close()
    throw error
  }

  const network: Network = {
    id: libp2p.peerId.toString(),
    multiaddrs: () => libp2p.getMultiaddrs().map(String),
    handle(protocol, handler, handleOptions) {
      running()
      return serve(libp2p, protocol, handler, handleOptions)
    },
    async open(target, protocol, openOptions) {
      running()
      return await dialer.open(target, protocol, openOptions)
    },
    async publish(topic, message) {
      running()
      await gossip.publish(topic, message)
    },
    subscribe(topic, handler) {
      running()
      return gossip.subscribe(topic, handler)
    },
    links: () => links.list(),
    onchange: (listener) => links.onchange(listener),
    async connect(address, signal) {
      running()
      return await dialer.connect(address, signal)
    },
    close,
  }
  return { network, libp2p }
}
