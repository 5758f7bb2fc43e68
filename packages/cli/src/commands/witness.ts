/** @module */
import type { Command } from 'commander'
import { type CommonOptions, contextOf, defineNodeCommand } from '../command.ts'
import { short } from '../format.ts'
import { type Io, safe } from '../output.ts'

interface Options extends CommonOptions {
  readonly force?: boolean
}

/** What stands for no witness. */
export const NONE = 'none'

export function witnessCommand(io: Io): Command {
  return defineNodeCommand(io, 'witness', 'give an agent another witness; for its owner', [
    'witness scout 12D3KooWQ4…',
    'witness scout /ip4/192.0.2.7/tcp/4748/p2p/12D3KooWQ4…',
    'witness scout none                    from now on it never goes on elsewhere by itself',
    'witness scout 12D3KooWQ4… --force     its witness is gone for good, you say',
  ])
    .argument('<agent>', 'name, DID, or unique beginning of one')
    .argument('<peer>', 'a node that serves as a witness: peer id, name or multiaddr; none: it has none')
    .option('--force', 'the old one is gone and cannot agree: that it has one life rests on your word')
    .action(async (agent: string, peer: string, options: Options) => {
      const { node, output } = contextOf(io, options)
      const to = peer === NONE ? null : peer
      const status =
        options.force === true
          ? await node.call('recover', { agent, force: true, witness: to })
          : await node.call('changeWitness', { agent, to })
      output.result(
        status,
        () =>
          `${safe(status.name)} has ${status.witness == null ? 'no witness' : `the witness ${short(status.witness)}`} from tick ${status.tick}`,
      )
    })
}
