/** @module */
import type { Command } from 'commander'
import { type CommonOptions, contextOf, defineNodeCommand } from '../command.ts'
import { milliseconds, short } from '../format.ts'
import type { Io } from '../output.ts'

export function migrateCommand(io: Io): Command {
  return defineNodeCommand(io, 'migrate', 'move an agent to another node; it misses no tick', [
    'migrate scout 12D3KooWQ4…',
    'migrate scout /ip4/192.0.2.7/tcp/4748/p2p/12D3KooWQ4…',
  ])
    .argument('<agent>', 'name, DID, or unique beginning of one')
    .argument('<peer>', "peer id (see igor peers) or multiaddr (the other node's igor id)")
    .action(async (agent: string, to: string, options: CommonOptions) => {
      const { node, output } = contextOf(io, options)
      const move = await node.call('move', { agent, to })
      output.result(
        move,
        `moved from ${short(move.from)} to ${short(move.to)} at tick ${move.tick} in ${milliseconds(move.downtimeMs)}`,
      )
    })
}
