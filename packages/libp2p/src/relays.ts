/**
 * Staying connected to relays, for as long as the node lives: redials with back-off, and asks for a
 * reservation again after a relay has forgotten it. (libp2p itself does so only in some cases:
 * https://github.com/libp2p/js-libp2p/issues/3601)
 *
 * @module
 */
import type { Libp2p, PeerId } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import type { Dialer } from './dial.ts'
import type { Reservations } from './host.ts'
import type { NetworkWarning } from './options.ts'
import { pause, reasonOf } from './signals.ts'

const FIRST_DELAY_MS = 500
const MAX_DELAY_MS = 5_000
/** How often to look whether the reservation still stands. */
const CHECK_MS = 2_000

export interface Relays {
  close(): void
}

interface Init {
  readonly addresses: readonly string[]
  /** Undefined: this node needs no address at relays. */
  readonly reservations: Reservations | undefined
  readonly warn: (warning: NetworkWarning) => void
}

export function keepRelays(libp2p: Libp2p, dialer: Dialer, { addresses, reservations, warn }: Init): Relays {
  const stop = new AbortController()

  async function untilLost(peer: PeerId): Promise<void> {
    let warned = false
    while (!stop.signal.aborted) {
      const lost = new AbortController()
      const ondisconnect = ({ detail }: CustomEvent<PeerId>): void => {
        if (detail.equals(peer)) lost.abort()
      }
      libp2p.addEventListener('peer:disconnect', ondisconnect)
      try {
        if (libp2p.getConnections(peer).length === 0) return
        if (reservations !== undefined && !reservations.hasReservation(peer)) {
          await reservations.addRelay(peer, 'discovered').catch((error: Error) => {
            if (warned || lost.signal.aborted) return
            warned = true
            warn({ code: 'RELAY_REFUSED', message: `relay ${peer} gives this node no address: ${reasonOf(error)}` })
          })
        }
        await pause(CHECK_MS, AbortSignal.any([stop.signal, lost.signal]))
      } finally {
        libp2p.removeEventListener('peer:disconnect', ondisconnect)
      }
    }
  }

  async function keep(address: string): Promise<void> {
    let delay = FIRST_DELAY_MS
    let warned = false
    while (!stop.signal.aborted) {
      try {
        const peer = await dialer.dial(multiaddr(address), stop.signal)
        delay = FIRST_DELAY_MS
        warned = false
        await untilLost(peer)
      } catch (error) {
        if (stop.signal.aborted) return
        if (!warned) warn({ code: 'RELAY_LOST', message: `relay ${address} does not answer, trying on: ${reasonOf(error)}` })
        warned = true
        // Not all at once when a relay comes back.
        await pause(delay * (0.5 + Math.random() / 2), stop.signal)
        delay = Math.min(delay * 2, MAX_DELAY_MS)
      }
    }
  }

  for (const address of addresses) void keep(address)

  return {
    close() {
      stop.abort(new Error('the network is closed'))
    },
  }
}
