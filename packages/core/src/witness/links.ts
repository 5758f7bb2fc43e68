/**
 * The way to each witness: this node itself, or a channel to whoever serves it, opened when it is needed and
 * kept for all agents.
 *
 * @module
 */
import { decode, encode } from '@ipld/dag-cbor'
import type { Context } from '../agent/context.ts'
import type { Links, WitnessLink } from '../authority/witness.ts'
import { IgorError } from '../errors.ts'
import { keys } from '../keys.ts'
import { deadline } from '../protocols/wire.ts'
import { WITNESS_PROTOCOL } from '../protocols/witness.ts'
import { messageOf } from '../thrown.ts'
import { linkOver, linkToSelf, type WitnessAccess } from './link.ts'
import type { WitnessService } from './service.ts'

/** Of one witness: several nodes may serve it. */
const MAX_ADDRESSES = 16
/** A witness that is there is reached in less. */
const REACH_MS = 5000

export interface LinksOptions {
  readonly context: Context
  /** The witness that this node serves. */
  readonly own: { readonly service: WitnessService; readonly access: WitnessAccess } | undefined
  /** Peers that say that they serve this witness, and their addresses. */
  readonly servers: (witness: string) => readonly { readonly peer: string; readonly addresses: readonly string[] }[]
}

export const createLinks = ({ context, own, servers }: LinksOptions): Links => {
  const { network } = context
  const open = new Map<string, Promise<WitnessLink>>()
  /** Peers whose last channel ended by itself. */
  const silent = new Set<string>()
  const self = own === undefined ? undefined : linkToSelf(context.peer, own.service, own.access)

  /** What presence and whoever started the agent said is gone with this process; the agents are not. */
  const remembered = async (witness: string): Promise<readonly string[]> => {
    const bytes = await context.store.get(keys.witnessAt(witness))
    return bytes === undefined ? [] : decode<string[]>(bytes)
  }
  const remember = async (witness: string, addresses: readonly string[]): Promise<void> => {
    const known = [...new Set(addresses)].slice(0, MAX_ADDRESSES)
    const before = await remembered(witness)
    if (known.length === 0 || (known.length === before.length && known.every((one, i) => one === before[i]))) return
    await context.store.commit({ put: [[keys.witnessAt(witness), encode(known)]], durable: false })
  }

  const dial = async (witness: string, hints: readonly string[], signal?: AbortSignal): Promise<WitnessLink> => {
    const peers = servers(witness)
    const told = [...peers.flatMap(({ addresses }) => addresses), ...hints]
    const last = await remembered(witness).catch(() => [])
    signal?.throwIfAborted()
    const targets = [...new Set([...peers.map(({ peer }) => peer), witness, ...told, ...last])]
    const connected = new Set(network.links().flatMap(({ peer, direct }) => (direct ? [peer] : [])))
    // First who is connected, last who was asked in vain: of several that serve one witness any will do.
    const rank = (target: string): number => Number(!connected.has(target)) + 2 * Number(silent.has(target))
    let why = 'nobody in sight serves it'
    for (const target of targets.sort((a, b) => rank(a) - rank(b))) {
      const limit = deadline(context.clock, REACH_MS, target, signal)
      try {
        const channel = await network.open(target, WITNESS_PROTOCOL, { direct: true, signal: limit.signal })
        silent.delete(channel.peer)
        // To know it is of use after a restart alone: a disk that is full now hinders nothing.
        await remember(witness, told).catch(() => {})
        return linkOver(context, channel, () => {
          silent.add(channel.peer)
          open.delete(witness)
        })
      } catch (error) {
        signal?.throwIfAborted()
        why = messageOf(error)
      } finally {
        limit.clear()
      }
    }
    throw new IgorError('WITNESS_UNREACHABLE', `the witness ${witness} cannot be reached: ${why}`)
  }

  return {
    to: (witness, hints, signal) => {
      if (self !== undefined && own?.service.id === witness) return Promise.resolve(self)
      const known = open.get(witness)
      if (known !== undefined) return known
      const dialled = dial(witness, hints, signal)
      open.set(witness, dialled)
      dialled.catch(() => open.delete(witness))
      return dialled
    },
    close: async () => {
      await Promise.all([...open.values()].map((link) => link.then((one) => one.close()).catch(() => {})))
    },
  }
}
