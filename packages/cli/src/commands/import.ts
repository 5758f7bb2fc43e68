/** @module */
import type { Command } from 'commander'
import { type CommonOptions, contextOf, defineNodeCommand } from '../command.ts'
import { usageError } from '../failure.ts'
import { MAX_AGENT_FILE, MAX_SMALL_FILE, readInput } from '../files.ts'
import { short } from '../format.ts'
import { type Io, safe } from '../output.ts'
import { parseSeeds } from '../seeds.ts'
import { NONE } from './witness.ts'

interface Options extends CommonOptions {
  readonly key?: string
  readonly force?: boolean
  readonly witness?: string
}

function witnessOf({ force, witness }: Options): { witness?: string | null } {
  if (witness === undefined) return {}
  if (force !== true) throw usageError('--witness says that its witness is gone: that takes --force, see igor import --help')
  return { witness: witness === NONE ? null : witness }
}

export function importCommand(io: Io): Command {
  return defineNodeCommand(io, 'import', 'let an agent from a file go on here', [
    'import scout.car',
    'import scout.car --key my.keys            a copy: its owner recovers it',
    'import scout.car --key my.keys --force    its last host is gone, you say',
    'import scout.car --force --witness none   and its witness too',
  ])
    .argument('<file>', 'what igor export wrote (- is standard input)')
    .option('--key <file>', 'owner keys (igor keys export), when this node does not hold them')
    .option('--force', 'its last host is gone: from here on, that it has one life rests on your word')
    .option('--witness <peer>', 'with --force: its witness is gone for good; the next one is this node, or none')
    .action(async (file: string, options: Options) => {
      const { node, output } = contextOf(io, options)
      const witness = witnessOf(options)
      const bytes = await readInput(io, file, MAX_AGENT_FILE)
      const keys =
        options.key === undefined ? undefined : parseSeeds(await readInput(io, options.key, MAX_SMALL_FILE), options.key)
      const status = await node.call('import', {
        file: bytes,
        ...(keys === undefined ? {} : { keys }),
        ...(options.force === true ? { force: true } : {}),
        ...witness,
      })
      output.result(status, () => `${safe(status.name)} goes on here at tick ${status.tick} (${short(status.agent)})`)
    })
}
