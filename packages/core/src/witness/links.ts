/**
 * The way to each witness: this node itself, or a channel to whoever serves it, opened when it is needed and
 * kept for all agents.
 *
 * @module
 */
import type { Context } from '../agent/context.ts'
import { IgorError } from '../errors.ts'
import { linkOver, linkToSelf, WITNESS_PROTOCOL, type WitnessAccess, type WitnessLink } from '../protocols/witness.ts'
import type { WitnessService } from './service.ts'

export interface Links {
  /**
   * @param hints multiaddrs under which it was known
   * @throws IgorError WITNESS_UNREACHABLE
   */
  to(witness: string, hints: readonly string[], signal?: AbortSignal): Promise<WitnessLink>
  close(): Promise<void>
}

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
  const self = own === undefined ? undefined : linkToSelf(context.peer, own.service, own.access)

  const dial = async (witness: string, hints: readonly string[], signal?: AbortSignal): Promise<WitnessLink> => {
    const peers = servers(witness)
    const targets = [
      ...new Set([...peers.map(({ peer }) => peer), witness, ...peers.flatMap(({ addresses }) => addresses), ...hints]),
    ]
    let why = 'nobody in sight serves it'
    for (const target of targets) {
      signal?.throwIfAborted()
      try {
        const channel = await network.open(target, WITNESS_PROTOCOL, { direct: true, ...(signal ? { signal } : {}) })
        const link = linkOver(context, channel, () => open.delete(witness))
        return link
      } catch (error) {
        why = error instanceof Error ? error.message : String(error)
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
