/** @module */
import type { Command } from 'commander'
import { type CommonOptions, contextOf, defineNodeCommand } from '../command.ts'
import type { Io } from '../output.ts'

export function downCommand(io: Io): Command {
  return defineNodeCommand(io, 'down', 'stop the running node; its agents rest until the next igor up', [
    'down',
    'down --data-dir /srv/igor',
  ]).action(async (options: CommonOptions) => {
    const { node, output, dataDir } = contextOf(io, options)
    const { pid } = await node.call('stop', {})
    output.result({ stopped: true, pid }, `stopped the node in ${dataDir}`)
  })
}
