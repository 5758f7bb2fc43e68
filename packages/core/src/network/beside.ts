/**
 * A network that also reaches peers of the same process, whose line is shorter than any other.
 *
 * @module
 */
import type { Network } from '../platform.ts'

/**
 * Channels to and from peers of `near` go there, everything else to `far`: gossip, links and addresses
 * too, so that nobody else is told of those peers.
 *
 * @param near a network of the same peer as `far`
 */
export const besideNetwork = (near: Network, far: Network): Network => ({
  ...far,
  id: far.id,
  handle: (protocol, handler, options) => {
    const stops = [near.handle(protocol, handler, options), far.handle(protocol, handler, options)]
    return () => {
      for (const stop of stops) stop()
    }
  },
  open: (target, protocol, options) => {
    const isNear = near.links().some(({ peer }) => peer === target)
    return (isNear ? near : far).open(target, protocol, options)
  },
  close: async () => {
    await near.close()
    await far.close()
  },
})
