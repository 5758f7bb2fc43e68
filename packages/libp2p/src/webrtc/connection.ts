import type { AbortOptions, Logger, MessageStreamDirection, MultiaddrConnection } from '@libp2p/interface'
import { AbstractMultiaddrConnection, type SendResult } from '@libp2p/utils'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Uint8ArrayList } from 'uint8arraylist'

/** The largest message that every implementation takes (RFC 8841 section 6.1: the default is 64 KiB). */
const MAX_MESSAGE = 64 * 1024
/** What may wait in the browser before the muxer is told to pause; Chromium closes a channel at 16 MiB. */
const MAX_BUFFERED = 1024 * 1024
const RESUME_BUFFERED = 256 * 1024

interface Init {
  readonly pc: RTCPeerConnection
  readonly channel: RTCDataChannel
  readonly remoteAddr: Multiaddr
  readonly direction: MessageStreamDirection
  readonly log: Logger
}

/** libp2p wants an instance of its own base class here. */
class DataChannelConnection extends AbstractMultiaddrConnection {
  readonly #pc: RTCPeerConnection
  readonly #channel: RTCDataChannel

  constructor({ pc, channel, remoteAddr, direction, log }: Init) {
    super({ remoteAddr, direction, log, maxMessageSize: MAX_MESSAGE })
    this.#pc = pc
    this.#channel = channel
    channel.binaryType = 'arraybuffer'
    channel.bufferedAmountLowThreshold = RESUME_BUFFERED
    channel.onmessage = ({ data }) => {
      if (data instanceof ArrayBuffer) this.onData(new Uint8Array(data))
      else this.abort(new Error('it sent text where bytes were expected'))
    }
    channel.onbufferedamountlow = () => {
      if (this.writableNeedsDrain) this.safeDispatchEvent('drain')
    }
    channel.onclose = () => this.#end()
    pc.onconnectionstatechange = () => {
      if (pc.connectionState === 'failed' || pc.connectionState === 'closed') this.#end()
    }
  }

  /** Browsers collect closed connections late and allow only some hundreds: each is closed by hand. */
  #end(): void {
    this.#channel.onmessage = null
    this.#channel.onbufferedamountlow = null
    this.#channel.onclose = null
    this.#pc.onconnectionstatechange = null
    this.#pc.close()
    this.onTransportClosed()
  }

  sendData(data: Uint8ArrayList): SendResult {
    const sentBytes = data.byteLength
    try {
      this.#channel.send(data.subarray() as Uint8Array<ArrayBuffer>)
    } catch (error) {
      // Closed this very moment. Not thrown: muxers send from timers, where nobody would catch it.
      queueMicrotask(() => this.abort(error as Error))
      return { sentBytes, canSendMore: true }
    }
    return { sentBytes, canSendMore: this.#channel.bufferedAmount < MAX_BUFFERED }
  }

  async sendClose({ signal }: AbortOptions = {}): Promise<void> {
    const channel = this.#channel
    if (channel.readyState === 'open' && channel.bufferedAmount > 0) {
      await new Promise<void>((resolve) => {
        channel.bufferedAmountLowThreshold = 0
        channel.onbufferedamountlow = () => resolve()
        signal?.addEventListener('abort', () => resolve(), { once: true })
      })
    }
    this.#end()
  }

  sendReset(): void {
    this.#end()
  }

  sendPause(): void {}

  sendResume(): void {}
}

/**
 * A libp2p connection over one data channel, on which a muxer makes streams. libp2p's own WebRTC
 * makes a data channel for each stream, which is slower to open and loses a race at every dial.
 */
export function dataChannelConnection(init: Init): MultiaddrConnection {
  return new DataChannelConnection(init)
}
