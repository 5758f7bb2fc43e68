/**
 * A network of many processes: connections that take time, stall, break and come back; gossip that is lost, repeated
 * and late. Peers are who they say they are, as with libp2p: that much is not simulated.
 *
 * @module
 */
import {
  type Channel,
  ChannelError,
  type HandleOptions,
  IgorError,
  MAX_FRAME,
  type Network,
  PeerUnreachableError,
} from '@igor/core'
import { BLOCKS_PROTOCOL, HANDOFF_PROTOCOL, MESSAGE_PROTOCOL, ORDER_PROTOCOL } from '@igor/core/simulated'
import { peerIdOf, publicKeyOf } from '@igor/lineage'
import { peek } from './peek.ts'
import { createPipe, type Pipe, PipeError } from './pipe.ts'
import type { Points } from './points.ts'
import type { Process } from './process.ts'
import type { Random } from './random.ts'
import type { Scheduler } from './scheduler.ts'
import { CAME, GOSSIP, SENT, type Trace } from './trace.ts'
import type { Lines, Weather } from './wire.ts'

const MAX_GOSSIP = 64 * 1024
/** Nobody answers a dial. */
const DIAL_US = 10_000_000
/** A peer that is silent so long is taken for gone, at the earliest and the latest. */
const SILENT_US = [4_000_000, 14_000_000] as const
/** Messages that may come again on a channel of their own. */
const REPEATED: readonly string[] = [HANDOFF_PROTOCOL, ORDER_PROTOCOL, MESSAGE_PROTOCOL, BLOCKS_PROTOCOL]

/** What a node sends, as the checks see it. */
export type Tap = (machine: number, protocol: string, message: Uint8Array) => void

export interface NetworkOptions {
  readonly scheduler: Scheduler
  readonly lines: Lines
  readonly weather: Weather
  readonly points: Points
  readonly trace: Trace
  readonly random: Random
  readonly tap: Tap
}

export interface Fabric {
  join(process: Process, seed: Uint8Array): Network
  /** Who answers under a peer id; several processes with one key are possible, the last one is dialled. */
  readonly peers: ReadonlyMap<string, number>
}

interface End {
  readonly process: Process
  readonly peer: string
  readonly protocol: string
  readonly served: boolean
  readonly incoming: Pipe
  readonly outgoing: Pipe
  other: End | undefined
  /** Stops working at this side alone. */
  fail(why: string): void
}

interface Member {
  readonly id: string
  readonly process: Process
  readonly handlers: Map<string, { handler: (channel: Channel) => Promise<void>; options: HandleOptions }>
  readonly topics: Map<string, Set<(message: Uint8Array, from: string) => void>>
  readonly listeners: Set<() => void>
  readonly ends: Set<End>
}

/** What a liar says may be called anything, or nothing. */
const typeOf = (message: Uint8Array): string => {
  const type = peek(message, 'type')
  return /^[a-z]+\??$/.test(type) ? type : 'something'
}

/** `/igor/handoff/1.0.0` is handoff. */
const shortOf = (protocol: string): string => protocol.split('/')[2] ?? protocol

export const createFabric = ({ scheduler, lines, weather, points, trace, random, tap }: NetworkOptions): Fabric => {
  const members = new Map<string, Member>()
  const stalled = new Map<string, (() => void)[]>()
  /** Pairs of machines whose connection is known to be gone, until the line is whole again. */
  const lost = new Set<string>()
  const pair = (a: number, b: number): string => `${Math.min(a, b)} ${Math.max(a, b)}`
  const tell = (member: Member): void => {
    for (const listener of [...member.listeners]) listener()
  }
  const tellAll = (): void => {
    for (const member of members.values()) if (member.process.alive) member.process.after(0, () => tell(member))
  }

  /** Carries something over the line, after what was sent before it on the same pipe. */
  const carry = (from: Process, to: Process, bytes: number, pipe: Pipe | undefined, arrive: () => void): void => {
    const { latency, jitter, bandwidth } = lines.of(from.machine, to.machine)
    const takes = latency + random.between(0, jitter) + bytes / bandwidth
    const at = Math.max(scheduler.now + takes, pipe?.arrival ?? 0)
    if (pipe !== undefined) pipe.arrival = at
    scheduler.after(at - scheduler.now, () => {
      const line = lines.of(from.machine, to.machine)
      const key = `${from.machine} ${to.machine}`
      const queue = stalled.get(key)
      // What was sent before still waits.
      if (line.blocked || (queue !== undefined && queue.length > 0)) {
        const waiting = queue ?? []
        waiting.push(arrive)
        stalled.set(key, waiting)
      } else arrive()
    })
  }

  const breakPair = (a: number, b: number, why: string): void => {
    for (const member of members.values()) {
      for (const end of [...member.ends]) {
        const [here, there] = [member.process.machine, end.other?.process.machine]
        if ((here === a && there === b) || (here === b && there === a)) end.fail(why)
      }
    }
  }

  lines.onchange((from, to, blocked) => {
    const key = `${from} ${to}`
    if (!blocked) {
      for (const arrive of stalled.get(key)?.splice(0) ?? []) scheduler.after(random.between(0, 1000), arrive)
      if (lines.open(from, to) && lost.delete(pair(from, to))) tellAll()
      return
    }
    const since = scheduler.now
    scheduler.after(random.between(...SILENT_US), () => {
      if (lines.open(from, to) || scheduler.now - since < SILENT_US[0]) return
      stalled.delete(key)
      lost.add(pair(from, to))
      breakPair(from, to, 'the connection timed out')
      tellAll()
    })
  })

  const joined = (a: Member, b: Member): boolean =>
    a.process.machine === b.process.machine || !lost.has(pair(a.process.machine, b.process.machine))

  const makeEnd = (member: Member, peer: string, protocol: string, served: boolean, incoming: Pipe, outgoing: Pipe): End => {
    for (const old of member.ends) if (old.incoming.drained && old.outgoing.ended) member.ends.delete(old)
    const end: End = {
      process: member.process,
      peer,
      protocol,
      served,
      incoming,
      outgoing,
      other: undefined,
      fail: (why) => {
        member.ends.delete(end)
        // In the process's own time: a paused one learns of it when it wakes.
        member.process.after(0, () => {
          incoming.failReader(why)
          outgoing.failWriter(why)
        })
      },
    }
    member.ends.add(end)
    return end
  }

  /** Both sides lose the connection, each when it notices. */
  const tear = (end: End, why: string): void => {
    for (const side of [end, end.other]) {
      if (side === undefined) continue
      scheduler.after(random.scaled(1000, 5_000_000), () => side.fail(why))
    }
  }

  const channelOf = (end: End): Channel => {
    const { process, peer, protocol, incoming, outgoing } = end
    const { machine } = process
    const own = async <T>(work: Promise<T>): Promise<T> => {
      try {
        return await work
      } catch (error) {
        if (error instanceof PipeError) throw new ChannelError(peer, error.message)
        throw error
      }
    }
    const short = shortOf(protocol)
    let first = !end.served
    return {
      peer,
      direct: true,
      send: async (message, signal) => {
        if (!process.alive) return process.never
        if (message.length > MAX_FRAME) throw new IgorError('BAD_MESSAGE', `a frame has at most ${MAX_FRAME} bytes`)
        const type = typeOf(message)
        if (points.reach(process, `${short}: ${type}, before it is sent`)) return process.never
        const copy = message.slice()
        const torn = random.chance(weather.breaks)
        await own(
          outgoing.send(copy, signal, (frame) => {
            tap(machine, protocol, frame)
            trace.note(
              scheduler.now,
              SENT,
              machine,
              frame,
              () => `${short}: says ${type} (${frame.length} bytes) to ${nameOf(peer)}`,
            )
            const there = end.other
            if (there === undefined) return
            if (torn) tear(end, 'the connection broke')
            if (torn && random.chance(0.5)) return
            carry(process, there.process, frame.length, outgoing, () => there.process.after(0, () => outgoing.come(frame)))
            if (first && REPEATED.includes(protocol) && random.chance(weather.ghosts)) ghost(process, peer, protocol, frame)
            first = false
          }),
        )
        if (!process.alive || points.reach(process, `${short}: ${type}, after it was sent`)) return process.never
      },
      receive: async (signal) => {
        if (!process.alive) return process.never
        const frame = await own(incoming.receive(signal))
        if (!process.alive) return process.never
        if (frame === undefined) return undefined
        const type = typeOf(frame)
        trace.note(scheduler.now, CAME, machine, frame.length, () => `${short}: hears ${type} from ${nameOf(peer)}`)
        if (points.reach(process, `${short}: ${type}, as it comes`)) return process.never
        return frame
      },
      close: async () => {
        if (!process.alive) return process.never
        const there = end.other
        if (!outgoing.end() || there === undefined) return
        carry(process, there.process, 0, outgoing, () => there.process.after(0, () => outgoing.come(undefined)))
      },
      abort: (reason) => {
        if (!process.alive) return
        end.fail(`the channel was aborted: ${reason.message}`)
        const there = end.other
        if (there !== undefined)
          carry(process, there.process, 0, undefined, () => there.fail('the other side aborted the channel'))
      },
    }
  }

  const nameOf = (peer: string): string => `node ${members.get(peer)?.process.machine ?? '?'}`

  /** Gives a channel to whoever serves the protocol. False: nobody does, or the peer has too many. */
  const serve = (callee: Member, end: End): boolean => {
    const served = callee.handlers.get(end.protocol)
    const open = [...callee.ends].filter(
      (one) =>
        one.served && one.protocol === end.protocol && one.peer === end.peer && !(one.incoming.drained && one.outgoing.ended),
    ).length
    if (served === undefined || open > served.options.maxPerPeer) return false
    const channel = channelOf(end)
    served.handler(channel).then(
      () => void channel.close(),
      (error) => channel.abort(error instanceof Error ? error : new Error(String(error))),
    )
    return true
  }

  /** As of a process that said something, died, and said it again when it was back; nobody hears the answer. */
  const ghost = (process: Process, peer: string, protocol: string, frame: Uint8Array): void => {
    const from = [...members.values()].find((one) => one.process === process)
    scheduler.after(random.scaled(1000, 120_000_000), () => {
      const callee = members.get(peer)
      if (
        callee === undefined ||
        from === undefined ||
        !callee.process.alive ||
        lines.of(process.machine, callee.process.machine).blocked
      )
        return
      const there = createPipe()
      const end = makeEnd(callee, from.id, protocol, true, there, createPipe())
      callee.process.after(0, () => {
        if (!serve(callee, end)) return
        there.come(frame)
        callee.process.after(random.scaled(1000, 20_000_000), () => there.come(undefined))
      })
    })
  }

  const networkOf = (member: Member): Network => {
    const { id, process } = member
    const { machine } = process
    const peerOf = (target: string): string => (target.startsWith('/') ? (target.split('/p2p/').at(-1) ?? '') : target)
    const open = (target: string, protocol: string, signal: AbortSignal | undefined): Promise<Channel> =>
      new Promise((resolve, reject) => {
        const peer = peerOf(target)
        let settled = false
        const settle = (action: () => void): void => {
          if (settled) return
          settled = true
          cancel()
          signal?.removeEventListener('abort', onabort)
          action()
        }
        const unreachable = (why: string): void => settle(() => reject(new PeerUnreachableError(peer, `${peer} ${why}`)))
        const onabort = (): void => settle(() => reject(signal?.reason))
        signal?.addEventListener('abort', onabort, { once: true })
        const cancel = process.after(DIAL_US, () => unreachable('does not answer'))
        const callee = members.get(peer)
        if (callee === undefined || !callee.process.alive) {
          process.after(random.between(500, 100_000), () => unreachable('cannot be reached'))
          return
        }
        const [there, back] = [createPipe(), createPipe()]
        carry(process, callee.process, 0, undefined, () =>
          callee.process.after(0, () => {
            if (settled || members.get(peer) !== callee) return
            const far = makeEnd(callee, id, protocol, true, there, back)
            const near = makeEnd(member, peer, protocol, false, back, there)
            far.other = near
            near.other = far
            const taken = serve(callee, far)
            if (!taken) far.fail('it is not served')
            carry(callee.process, process, 0, undefined, () =>
              process.after(0, () => {
                if (settled) {
                  near.fail('given up')
                  far.fail('the other side gave up')
                } else if (taken) settle(() => resolve(channelOf(near)))
                else settle(() => reject(new ChannelError(peer, `${peer} does not serve ${protocol}`)))
              }),
            )
          }),
        )
      })
    const live = (): void => {
      if (members.get(id) !== member) throw new IgorError('NODE_STOPPED', 'the network is closed')
    }
    return {
      id,
      multiaddrs: () => [`/memory/${machine}/p2p/${id}`],
      handle: (protocol, handler, options) => {
        member.handlers.set(protocol, { handler, options })
        return () => member.handlers.delete(protocol)
      },
      open: async (target, protocol, { signal } = {}) => {
        if (!process.alive) return process.never
        live()
        signal?.throwIfAborted()
        return open(target, protocol, signal)
      },
      publish: async (topic, message) => {
        if (!process.alive) return process.never
        live()
        if (message.length > MAX_GOSSIP) throw new IgorError('BAD_MESSAGE', `gossip carries at most ${MAX_GOSSIP} bytes`)
        if (points.reach(process, 'gossip, before it is sent')) return process.never
        const copy = message.slice()
        tap(machine, topic, copy)
        trace.note(scheduler.now, GOSSIP, machine, copy)
        for (const other of members.values()) {
          if (other === member || !joined(member, other) || lines.of(machine, other.process.machine).blocked) continue
          if (random.chance(weather.loss)) continue
          const hear = (): void => {
            if (members.get(other.id) !== other) return
            for (const handler of [...(other.topics.get(topic) ?? [])]) handler(copy, id)
          }
          const times = random.chance(weather.duplication) ? 2 : 1
          for (let i = 0; i < times; i++) {
            const late = random.chance(weather.reordering) ? random.scaled(10_000, 10_000_000) : 0
            const { latency, jitter } = lines.of(machine, other.process.machine)
            other.process.after(latency + random.between(0, jitter) + late, hear)
          }
        }
      },
      subscribe: (topic, handler) => {
        const handlers = member.topics.get(topic) ?? new Set()
        handlers.add(handler)
        member.topics.set(topic, handlers)
        return () => handlers.delete(handler)
      },
      links: () =>
        [...members.values()]
          .filter((other) => other !== member && other.process.alive && joined(member, other))
          .map((other) => ({
            peer: other.id,
            kind: 'tcp',
            direct: true,
            rtt: lines.of(machine, other.process.machine).latency / 500,
          })),
      onchange: (listener) => {
        member.listeners.add(listener)
        return () => member.listeners.delete(listener)
      },
      connect: async (multiaddr, signal) => {
        if (!process.alive) return process.never
        signal?.throwIfAborted()
        const peer = peerOf(multiaddr)
        const other = members.get(peer)
        await process.later(random.between(1000, 100_000), () => {})
        if (other === undefined || !other.process.alive || !joined(member, other))
          throw new PeerUnreachableError(peer, `nobody answers at ${multiaddr}`)
        return peer
      },
      close: async () => {
        if (!process.alive) return process.never
        leave(member, 0)
      },
    }
  }

  /** Its peers see the connections end: at once, or when they miss it. */
  const leave = (member: Member, us: number): void => {
    if (members.get(member.id) === member) members.delete(member.id)
    for (const end of [...member.ends]) {
      end.fail('the network is closed')
      const { other } = end
      if (other === undefined) continue
      if (us > 0) other.process.after(us, () => other.fail('the connection timed out'))
      else carry(member.process, other.process, 0, undefined, () => other.fail('the other side is gone'))
    }
    tellAll()
  }

  return {
    get peers() {
      return new Map([...members].map(([id, { process }]) => [id, process.machine]))
    },
    join: (process, seed) => {
      const id = peerIdOf(publicKeyOf(seed))
      const member: Member = { id, process, handlers: new Map(), topics: new Map(), listeners: new Set(), ends: new Set() }
      members.set(id, member)
      // A machine that loses power says nothing; a process that dies has its connections reset.
      process.onkill(() => leave(member, random.chance(0.5) ? 0 : random.between(...SILENT_US)))
      tellAll()
      return networkOf(member)
    },
  }
}
