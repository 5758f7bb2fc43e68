import { IgorError, type LinkKind } from '@igor/core'
import type { Connection, PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'

/** A multiaddr longer than this is not one that any transport made. */
const MAX_ADDRESS = 512

/** @throws IgorError BAD_ADDRESS */
export function parseMultiaddr(text: string): Multiaddr {
  try {
    if (text.length > MAX_ADDRESS) throw new Error(`it has ${text.length} characters`)
    const address = multiaddr(text)
    if (address.getComponents().length === 0) throw new Error('it is empty')
    peerOf(address)
    return address
  } catch (error) {
    throw new IgorError('BAD_ADDRESS', `not a multiaddr: ${text.slice(0, 100)} (${(error as Error).message})`, { cause: error })
  }
}

/** @throws IgorError BAD_ADDRESS */
export function parsePeer(text: string): PeerId {
  try {
    if (text.length > MAX_ADDRESS) throw new Error(`it has ${text.length} characters`)
    return peerIdFromString(text)
  } catch (error) {
    throw new IgorError('BAD_ADDRESS', `not a peer id: ${text.slice(0, 100)} (${(error as Error).message})`, { cause: error })
  }
}

/** The peer that an address leads to, when it says. */
export function peerOf(address: Multiaddr): PeerId | undefined {
  const last = address.getComponents().findLast(({ name }) => name === 'p2p')
  const final = address.getComponents().at(-1)
  return last?.value === undefined || final?.name === 'p2p-circuit' ? undefined : peerIdFromString(last.value)
}

export function isRelayed(address: Multiaddr): boolean {
  return address.getComponents().some(({ name }) => name === 'p2p-circuit')
}

/** The same address without the part that asks for WebRTC through the relay: that is an upgrade here, not an address. */
export function withoutWebRTC(address: Multiaddr): Multiaddr {
  const components = address.getComponents()
  return components.some(({ name }) => name === 'webrtc')
    ? multiaddr(components.filter(({ name }) => name !== 'webrtc'))
    : address
}

export function kindOf({ remoteAddr }: Connection): LinkKind {
  const names = new Set(remoteAddr.getComponents().map(({ name }) => name))
  if (names.has('p2p-circuit')) return 'relayed'
  if (names.has('webrtc') || names.has('webrtc-direct')) return 'webrtc'
  return names.has('ws') || names.has('wss') ? 'websocket' : 'tcp'
}
