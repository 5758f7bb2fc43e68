/**
 * Makes a WebRTC connection by messages over a channel that both peers already have, through a relay.
 *
 * The DTLS fingerprints travel in that channel, which is encrypted and authenticated by the peers'
 * keys; so the new connection needs no handshake of its own to know who is at its other end (as in
 * libp2p's /webrtc, https://github.com/libp2p/specs/blob/master/webrtc/webrtc.md).
 *
 * The data channel is negotiated beforehand, under an agreed number: both sides wait for it to open,
 * neither for the other's announcement.
 *
 * @module
 */
import type { Channel } from '@igor/core'

/** A session description with a hundred candidates stays below this. */
const MAX_SIGNAL = 32 * 1024
/** More candidates than a machine has addresses. */
const MAX_SIGNALS = 128
const DATA_CHANNEL = { negotiated: true, id: 0, ordered: true } as const

export interface Handshaken {
  readonly pc: RTCPeerConnection
  readonly channel: RTCDataChannel
}

export type Role = 'offerer' | 'answerer'

/** The one kind of signal that is not part of the handshake: the other side shall begin. */
export type Signal =
  | { readonly type: 'offer' | 'answer'; readonly sdp: string }
  | { readonly type: 'candidate'; readonly candidate: RTCIceCandidateInit }
  | { readonly type: 'ask' }
  | { readonly type: 'done' }
  | { readonly type: 'failed'; readonly reason: string }

export async function sendSignal(channel: Channel, signal: Signal): Promise<void> {
  await channel.send(new TextEncoder().encode(JSON.stringify(signal)))
}

/** @throws Error when it is none */
export function parseSignal(message: Uint8Array): Signal {
  if (message.length > MAX_SIGNAL) throw new Error(`a signal of ${message.length} bytes`)
  const value = JSON.parse(new TextDecoder().decode(message)) as Record<string, unknown> | null
  switch (value?.type) {
    case 'offer':
    case 'answer':
      if (typeof value.sdp === 'string') return { type: value.type, sdp: value.sdp }
      break
    case 'candidate':
      if (typeof value.candidate === 'object' && value.candidate !== null) {
        return { type: 'candidate', candidate: value.candidate as RTCIceCandidateInit }
      }
      break
    case 'failed':
      if (typeof value.reason === 'string') return { type: 'failed', reason: value.reason.slice(0, 200) }
      break
    case 'ask':
    case 'done':
      return { type: value.type }
  }
  throw new Error('not a signal')
}

/**
 * Runs the handshake until the data channel is open.
 *
 * @param first the offer, when the answerer has read it already
 * @param prepare called with the fresh connection, before anything can arrive on it
 * @throws Error when it fails or is aborted; the peer connection is closed then
 */
export async function shakeHands(
  signalling: Channel,
  role: Role,
  pc: RTCPeerConnection,
  prepare: (handshaken: Handshaken) => void,
  signal: AbortSignal,
  first?: Signal,
): Promise<Handshaken> {
  const ended = new AbortController()
  const stop = AbortSignal.any([signal, ended.signal])
  try {
    let channel: RTCDataChannel | undefined
    const open = Promise.withResolvers<RTCDataChannel>()
    const failed = Promise.withResolvers<never>()
    failed.promise.catch(() => {})
    const createChannel = (): void => {
      const created = pc.createDataChannel('igor', DATA_CHANNEL)
      channel = created
      created.onopen = () => open.resolve(created)
      created.onerror = () => failed.reject(new Error('the data channel failed'))
      prepare({ pc, channel: created })
    }
    const onstate = (): void => {
      if (pc.connectionState === 'failed') failed.reject(new Error('no route was found between the two (ICE failed)'))
      if (pc.connectionState === 'closed') failed.reject(new Error('the connection was closed'))
    }
    pc.addEventListener('connectionstatechange', onstate)
    const onabort = (): void => failed.reject(signal.reason)
    signal.addEventListener('abort', onabort, { once: true })
    signal.throwIfAborted()

    pc.onicecandidate = ({ candidate }) => {
      if (candidate === null || candidate.candidate === '') return
      // Once connected, the relayed connection may be gone; what matters is the data channel.
      sendSignal(signalling, { type: 'candidate', candidate: candidate.toJSON() }).catch(() => {})
    }

    // Candidates may come before the description that they belong to.
    const early: RTCIceCandidateInit[] = []
    let described = false
    async function take(message: Signal): Promise<void> {
      if (message.type === 'candidate') {
        if (!described) early.push(message.candidate)
        // A candidate of a kind that this browser does not know is none; others may do.
        else await pc.addIceCandidate(message.candidate).catch(() => {})
        return
      }
      if (message.type === 'failed') throw new Error(`the other side failed: ${message.reason}`)
      if (message.type !== (role === 'offerer' ? 'answer' : 'offer') || described) {
        throw new Error(`an unexpected ${message.type}`)
      }
      described = true
      await pc.setRemoteDescription({ type: message.type, sdp: message.sdp })
      if (role === 'answerer') {
        createChannel()
        const answer = await pc.createAnswer()
        await pc.setLocalDescription(answer)
        await sendSignal(signalling, { type: 'answer', sdp: answer.sdp ?? '' })
      }
      for (const candidate of early.splice(0)) await pc.addIceCandidate(candidate).catch(() => {})
    }

    async function listen(): Promise<void> {
      if (first !== undefined) await take(first)
      for (let count = 0; count < MAX_SIGNALS; count++) {
        const message = await signalling.receive(stop)
        if (message === undefined) return
        await take(parseSignal(message))
      }
      throw new Error('too many signals')
    }

    if (role === 'offerer') {
      createChannel()
      const offer = await pc.createOffer()
      await pc.setLocalDescription(offer)
      await sendSignal(signalling, { type: 'offer', sdp: offer.sdp ?? '' })
    }
    listen().catch((error: Error) => failed.reject(error))
    try {
      return { pc, channel: await Promise.race([open.promise, failed.promise]) }
    } finally {
      ended.abort()
      if (channel !== undefined) {
        channel.onopen = null
        channel.onerror = null
      }
      pc.removeEventListener('connectionstatechange', onstate)
      signal.removeEventListener('abort', onabort)
      pc.onicecandidate = null
    }
  } catch (error) {
    pc.close()
    throw error
  }
}
