/** @module */
import type { Command } from 'commander'
import { type CommonOptions, contextOf, defineNodeCommand } from '../command.ts'
import { usageError } from '../failure.ts'
import { short } from '../format.ts'
import { type Io, safe } from '../output.ts'

interface Options extends CommonOptions {
  readonly to?: string
  readonly force?: boolean
  readonly witness?: string
}

export function recoverCommand(io: Io): Command {
  return defineNodeCommand(io, 'recover', 'let an agent go on that is halted, or whose host is gone; for its owner', [
    'recover scout',
    'recover scout --to 12D3KooWQ4…',
    'recover scout --force      without a witness: nobody else goes on with it, you say',
    'recover did:key:z6Mk… --witness /ip4/192.0.2.7/tcp/4748/p2p/12D3KooWQ4…',
  ])
    .argument('<agent>', 'name, DID, or unique beginning of one')
    .option('--to <peer>', 'where it goes on: peer id, name or multiaddr (default: here)')
    .option('--force', 'its last host is gone: from here on, that it has one life rests on your word')
    .option('--witness <peer>', 'where its witness is, when nobody in sight knows the agent: give its whole DID')
    .action(async (agent: string, options: Options) => {
      const { node, output } = contextOf(io, options)
      const { to, force, witness } = options
      if (force === true && witness !== undefined)
        throw usageError('that its witness is gone is said by igor witness AGENT PEER --force: see igor witness --help')
      const status = await node.call('recover', {
        agent,
        ...(to === undefined ? {} : { to }),
        ...(force === true ? { force } : {}),
        ...(witness === undefined ? {} : { witness }),
      })
      output.result(
        status,
        () => `${safe(status.name)} goes on ${to === undefined ? 'here' : `at ${safe(to)}`} (${short(status.agent)})`,
      )
    })
}
