/**
 * A Byzantine host: core as it is, on a platform that lies. It repeats what anybody ever said, says it otherwise, keeps
 * silent, makes noise, bills too much, and does not hear that it was deposed.
 *
 * @module
 */
import type { Channel, Network, Threads } from '@igor/core'
import { MESSAGE_PROTOCOL, WITNESS_PROTOCOL } from '@igor/core/simulated'
import { type Sign, signerOfSeed } from '@igor/lineage'
import { decode, encode } from '@ipld/dag-cbor'
import { forge } from './forge.ts'
import { peek } from './peek.ts'
import type { Process } from './process.ts'
import type { Random } from './random.ts'

/** What somebody said, to be said again. */
export interface Heard {
  readonly protocol: string
  readonly message: Uint8Array
}

/** Everything that is said anywhere, as far as it is remembered. */
export interface Ear {
  hear(protocol: string, message: Uint8Array): void
  any(random: Random): Heard | undefined
}

const MAX_HEARD = 600
const MAX_BYTES = 32 * 1024

/** @param random which of many are kept: some from the beginning, most of late */
export const createEar = (random: Random): Ear => {
  const heard: Heard[] = []
  return {
    hear: (protocol, message) => {
      if (message.length > MAX_BYTES) return
      if (heard.length < MAX_HEARD) heard.push({ protocol, message })
      else if (random.chance(0.3)) heard[random.below(heard.length)] = { protocol, message }
    },
    any: (own) => (heard.length === 0 ? undefined : own.pick(heard)),
  }
}

/** What a false bill is counted as. */
export const OVERBILLS = 'bills too much'

/** Each from 0 to 1, or how often a minute. */
export interface Vices {
  readonly replays: number
  /** Of what it repeats, and of what it says itself. */
  readonly forges: number
  readonly forgesOwn: number
  readonly withholds: number
  readonly floods: number
  /** Ticks of which it bills too much. */
  readonly overbills: number
  /** It takes no for an answer to its lease as a yes. */
  readonly deaf: boolean
}

export const drawVices = (random: Random): Vices => {
  const some = (chance: number, least: number, most: number): number => (random.chance(chance) ? random.scaled(least, most) : 0)
  return {
    replays: some(0.7, 5, 200),
    forges: some(0.7, 0.1, 1),
    forgesOwn: some(0.4, 0.005, 0.2),
    withholds: some(0.4, 0.01, 0.4),
    floods: some(0.3, 1, 10),
    overbills: some(0.3, 0.05, 1),
    deaf: random.chance(0.5),
  }
}

export interface LiarOptions {
  readonly process: Process
  readonly vices: Vices
  readonly ear: Ear
  /** Peers that are up. */
  readonly peers: () => readonly string[]
  /** It did something that no honest host does. */
  readonly onlie: (what: string) => void
}

const MINUTE_US = 60_000_000
/** It waits so long for what it will not read. */
const PATIENCE_US = 2_000_000
const FLOOD = 40
const LEASE_MS = 15_000

export const lyingNetwork = (options: LiarOptions, inner: Network, seed: Uint8Array): Network => {
  const { process, vices, ear, peers, onlie } = options
  const { random } = process
  const sign: Sign = signerOfSeed(seed)

  const channelOf = (channel: Channel, protocol: string): Channel => ({
    ...channel,
    send: async (message, signal) => {
      if (random.chance(vices.withholds)) return onlie('withholds')
      const lies = random.chance(vices.forgesOwn) && protocol !== MESSAGE_PROTOCOL
      if (lies) onlie('forges what it says')
      await channel.send(lies ? await forge(message, random, sign) : message, signal)
    },
    receive: async (signal) => {
      const frame = await channel.receive(signal)
      if (frame === undefined || !vices.deaf || protocol !== WITNESS_PROTOCOL) return frame
      if (!['deposed', 'later', 'frozen'].includes(peek(frame, 'type'))) return frame
      onlie('does not hear that it was deposed')
      return encode({ ...decode<Record<string, unknown>>(frame), type: 'lease', lease: random.bytes(16), ms: LEASE_MS })
    },
  })

  const say = async ({ protocol, message }: Heard): Promise<void> => {
    const others = peers().filter((peer) => peer !== inner.id)
    if (others.length === 0) return
    // A protocol has a version after its name, a topic has not got a handler.
    if (!/^\/igor\/\w+\/\d+\.\d+\.\d+$/.test(protocol)) return inner.publish(protocol, message)
    const channel = await inner.open(random.pick(others), protocol)
    await channel.send(message)
    const more = ear.any(random)
    if (more?.protocol === protocol) await channel.send(more.message)
    process.after(PATIENCE_US, () => channel.abort(new Error('enough')))
    for (let i = 0; i < 3; i++) if ((await channel.receive()) === undefined) break
    await channel.close()
  }

  const repeatedly = (perMinute: number, what: () => void): void => {
    if (perMinute === 0) return
    process.after((MINUTE_US / perMinute) * random.scaled(0.1, 4), () => {
      what()
      repeatedly(perMinute, what)
    })
  }
  repeatedly(vices.replays, () => {
    const heard = ear.any(random)
    if (heard === undefined) return
    // Anybody may send an agent what somebody else sent it: under another id that is another message.
    const forges = random.chance(vices.forges) && heard.protocol !== MESSAGE_PROTOCOL
    onlie(forges ? 'says something forged' : 'repeats')
    void (async () => say(forges ? { ...heard, message: await forge(heard.message, random, sign) } : heard))().catch(() => {})
  })
  repeatedly(vices.floods, () => {
    onlie('floods')
    for (let i = 0; i < FLOOD; i++) {
      const { protocol = WITNESS_PROTOCOL } = ear.any(random) ?? {}
      void say({ protocol, message: random.bytes(1 + random.below(2000)) }).catch(() => {})
    }
  })

  return {
    ...inner,
    handle: (protocol, handler, more) => inner.handle(protocol, (channel) => handler(channelOf(channel, protocol)), more),
    open: async (target, protocol, more) => channelOf(await inner.open(target, protocol, more), protocol),
  }
}

/** Threads whose ticks cost more than they took. */
export const lyingThreads = ({ process, vices, onlie }: LiarOptions, inner: Threads): Threads => ({
  parallelism: inner.parallelism,
  spawn: () => {
    const thread = inner.spawn()
    const outer: ReturnType<Threads['spawn']> = {
      onmessage: undefined,
      onexit: undefined,
      post: (message, transfer) => thread.post(message, transfer),
      terminate: () => thread.terminate(),
    }
    thread.onexit = (why) => outer.onexit?.(why)
    thread.onmessage = (message) => {
      const answer = message as { type: string; results?: { fuel: bigint; ticks: number }[] }
      if (answer.type === 'ran' && process.random.chance(vices.overbills)) {
        for (const result of answer.results ?? []) {
          if (result.ticks === 0) continue
          onlie(OVERBILLS)
          result.fuel += 1000n
        }
      }
      outer.onmessage?.(message)
    }
    return outer
  },
})
