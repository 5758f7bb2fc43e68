/** @module */
import type { Command } from 'commander'
import { type CommonOptions, contextOf, defineNodeCommand } from '../command.ts'
import { MAX_AGENT_FILE, MAX_SMALL_FILE, readInput } from '../files.ts'
import { short } from '../format.ts'
import { type Io, safe } from '../output.ts'
import { parseSeeds } from '../seeds.ts'

interface Options extends CommonOptions {
  readonly key?: string
  readonly force?: boolean
}

export function importCommand(io: Io): Command {
  return defineNodeCommand(io, 'import', 'let an agent from a file go on here', [
    'import scout.car',
    'import scout.car --key my.keys            a copy: its owner recovers it',
    'import scout.car --key my.keys --force    its last host is gone, you say',
  ])
    .argument('<file>', 'what igor export wrote (- is standard input)')
    .option('--key <file>', 'owner keys (igor keys export), when this node does not hold them')
    .option('--force', 'its last host is gone: from here on, that it has one life rests on your word')
    .action(async (file: string, options: Options) => {
      const { node, output } = contextOf(io, options)
      const bytes = await readInput(io, file, MAX_AGENT_FILE)
      const keys =
        options.key === undefined ? undefined : parseSeeds(await readInput(io, options.key, MAX_SMALL_FILE), options.key)
      const status = await node.call('import', {
        file: bytes,
        ...(keys === undefined ? {} : { keys }),
        ...(options.force === true ? { force: true } : {}),
      })
      output.result(status, () => `${safe(status.name)} goes on here at tick ${status.tick} (${short(status.agent)})`)
    })
}
