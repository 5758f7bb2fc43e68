/**
 * A network in memory: peers of one hub reach each other, until a line is cut. For a tab that acts
 * for a closed one, for tests, and for whoever simulates many nodes.
 *
 * @module
 */
import { peerIdOf, publicKeyOf } from '@igor/lineage'
import { ChannelError, IgorError, PeerUnreachableError } from '../errors.ts'
import { type Channel, type HandleOptions, MAX_FRAME, type Network } from '../platform.ts'
import { asError } from '../thrown.ts'

/** Frames under way before `send` waits for the reader. */
const WINDOW = 16
/** As the real adapter's gossip. */
const MAX_GOSSIP = 64 * 1024

export interface MemoryHub {
  /** A network of the peer that this seed makes. */
  join(seed: Uint8Array): Network
  /** Cuts or mends the line between two peers; open channels across it break. */
  cut(a: string, b: string, severed: boolean): void
}

interface Member {
  readonly id: string
  readonly handlers: Map<string, { handler: (channel: Channel) => Promise<void>; options: HandleOptions }>
  readonly topics: Map<string, Set<(message: Uint8Array, from: string) => void>>
  readonly listeners: Set<() => void>
  readonly ends: Set<End>
}

/** One end of a channel. */
interface End {
  readonly channel: Channel
  readonly protocol: string
  /** Opened by the other side. */
  readonly served: boolean
  /** Both directions have ended. */
  readonly over: boolean
  fail(error: Error): void
}

const abortable = <T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> => {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    const onabort = (): void => reject(signal.reason)
    if (signal.aborted) return onabort()
    signal.addEventListener('abort', onabort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onabort))
  })
}

/** Why a pipe carries no more. */
class PipeError extends Error {}

/** A one-way queue of frames, bounded, that ends or fails. */
const createPipe = () => {
  const frames: Uint8Array[] = []
  let ended = false
  let writers = 0
  let failure: Error | undefined
  let waiting: (() => void)[] = []
  const ring = (): void => {
    for (const wake of waiting.splice(0)) wake()
    waiting = []
  }
  const change = (): Promise<void> => new Promise((resolve) => waiting.push(resolve))
  return {
    write: async (frame: Uint8Array): Promise<void> => {
      if (ended) throw new PipeError('the channel is closed')
      // What was sent before the close arrives, also what still waits for the reader.
      writers++
      try {
        while (frames.length >= WINDOW && failure === undefined) await change()
        if (failure !== undefined) throw failure
        frames.push(frame)
      } finally {
        writers--
        ring()
      }
    },
    read: async (): Promise<Uint8Array | undefined> => {
      for (;;) {
        if (failure !== undefined) throw failure
        const frame = frames.shift()
        if (frame !== undefined) {
          ring()
          return frame
        }
        if (ended && writers === 0) return undefined
        await change()
      }
    },
    end: (): void => {
      ended = true
      ring()
    },
    fail: (error: Error): void => {
      failure ??= error
      ring()
    },
    get over(): boolean {
      return ended || failure !== undefined
    },
  }
}
type Pipe = ReturnType<typeof createPipe>

export const createMemoryHub = (): MemoryHub => {
  const members = new Map<string, Member>()
  const severed = new Set<string>()
  const line = (a: string, b: string): string => [a, b].sort().join(' ')
  const joined = (a: string, b: string): boolean => members.has(a) && members.has(b) && !severed.has(line(a, b))
  const tellAll = (): void => {
    for (const { listeners } of members.values()) for (const listener of listeners) listener()
  }

  const createEnd = (owner: Member, peer: string, protocol: string, served: boolean, incoming: Pipe, outgoing: Pipe): End => {
    // A pipe fails with a plain reason; each end says it of its own peer.
    const own = async <T>(step: Promise<T>): Promise<T> => {
      try {
        return await step
      } catch (error) {
        if (error instanceof PipeError) throw new ChannelError(peer, error.message)
        throw error
      }
    }
    const fail = (why: string): void => {
      incoming.fail(new PipeError(why))
      outgoing.fail(new PipeError(why))
      owner.ends.delete(end)
    }
    const end: End = {
      protocol,
      served,
      get over() {
        return incoming.over && outgoing.over
      },
      channel: {
        peer,
        direct: true,
        send: async (message, signal) => {
          if (message.length > MAX_FRAME) throw new IgorError('BAD_MESSAGE', `a frame has at most ${MAX_FRAME} bytes`)
          await own(abortable(outgoing.write(new Uint8Array(message)), signal))
        },
        receive: (signal) => own(abortable(incoming.read(), signal)),
        close: async () => {
          outgoing.end()
          if (incoming.over) owner.ends.delete(end)
        },
        abort: (reason) => fail(`the channel was aborted: ${reason.message}`),
      },
      fail: (error) => fail(error.message),
    }
    // Whoever closes first does not see the other close.
    for (const old of owner.ends) if (old.over) owner.ends.delete(old)
    owner.ends.add(end)
    return end
  }

  const serve = (callee: Member, caller: string, protocol: string, end: End): void => {
    const served = callee.handlers.get(protocol)
    if (served === undefined) {
      end.channel.abort(new Error(`${protocol} is not served`))
      return
    }
    const open = [...callee.ends].filter(
      (one) => one.served && !one.over && one.protocol === protocol && one.channel.peer === caller,
    ).length
    if (open > served.options.maxPerPeer) {
      end.channel.abort(new Error(`more than ${served.options.maxPerPeer} channels of ${protocol}`))
      return
    }
    served.handler(end.channel).then(
      () => void end.channel.close(),
      (error) => end.channel.abort(asError(error)),
    )
  }

  const networkOf = (member: Member): Network => {
    const { id } = member
    const peerOf = (target: string): string => (target.startsWith('/') ? (target.split('/p2p/').at(-1) ?? '') : target)
    const live = (): void => {
      if (!members.has(id)) throw new IgorError('NODE_STOPPED', 'the network is closed')
    }
    return {
      id,
      multiaddrs: () => [`/memory/${id}/p2p/${id}`],
      handle: (protocol, handler, options) => {
        member.handlers.set(protocol, { handler, options })
        return () => member.handlers.delete(protocol)
      },
      open: async (target, protocol, { signal } = {}) => {
        live()
        signal?.throwIfAborted()
        const peer = peerOf(target)
        const callee = members.get(peer)
        if (callee === undefined || !joined(id, peer)) throw new PeerUnreachableError(peer, `${peer} cannot be reached`)
        if (!callee.handlers.has(protocol)) throw new ChannelError(peer, `${peer} does not serve ${protocol}`)
        const there = createPipe()
        const back = createPipe()
        const near = createEnd(member, peer, protocol, false, back, there)
        const far = createEnd(callee, id, protocol, true, there, back)
        void Promise.resolve().then(() => serve(callee, id, protocol, far))
        return near.channel
      },
      publish: async (topic, message) => {
        live()
        if (message.length > MAX_GOSSIP) throw new IgorError('BAD_MESSAGE', `gossip carries at most ${MAX_GOSSIP} bytes`)
        const copy = message.slice()
        for (const other of members.values()) {
          if (other === member || !joined(id, other.id)) continue
          for (const handler of other.topics.get(topic) ?? []) void Promise.resolve().then(() => handler(copy, id))
        }
      },
      subscribe: (topic, handler) => {
        const handlers = member.topics.get(topic) ?? new Set()
        handlers.add(handler)
        member.topics.set(topic, handlers)
        return () => handlers.delete(handler)
      },
      links: () =>
        [...members.keys()]
          .filter((other) => other !== id && joined(id, other))
          .map((peer) => ({ peer, kind: 'tcp', direct: true, rtt: 0 })),
      onchange: (listener) => {
        member.listeners.add(listener)
        return () => member.listeners.delete(listener)
      },
      connect: async (multiaddr, signal) => {
        signal?.throwIfAborted()
        const peer = peerOf(multiaddr)
        if (!joined(id, peer)) throw new PeerUnreachableError(peer, `nobody answers at ${multiaddr}`)
        return peer
      },
      close: async () => {
        for (const end of [...member.ends]) end.fail(new Error('the network is closed'))
        for (const other of members.values()) {
          for (const end of [...other.ends]) if (end.channel.peer === id) end.fail(new Error(`${id} is gone`))
        }
        members.delete(id)
        tellAll()
      },
    }
  }

  return {
    join: (seed) => {
      const id = peerIdOf(publicKeyOf(seed))
      const member: Member = { id, handlers: new Map(), topics: new Map(), listeners: new Set(), ends: new Set() }
      members.set(id, member)
      tellAll()
      return networkOf(member)
    },
    cut: (a, b, cut) => {
      if (cut) severed.add(line(a, b))
      else severed.delete(line(a, b))
      for (const [from, to] of [
        [a, b],
        [b, a],
      ] as const) {
        for (const end of [...(members.get(from)?.ends ?? [])])
          if (cut && end.channel.peer === to) end.fail(new Error('the line was cut'))
      }
      tellAll()
    },
  }
}
