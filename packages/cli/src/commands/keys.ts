/** @module */
import type { Command } from 'commander'
import { type CommonOptions, contextOf, defineCommand, defineNodeCommand } from '../command.ts'
import { MAX_SMALL_FILE, readInput, writeNew } from '../files.ts'
import { plural } from '../format.ts'
import type { Io } from '../output.ts'
import { formatSeeds, parseSeeds } from '../seeds.ts'

interface ExportOptions extends CommonOptions {
  readonly output?: string
}

export function keysCommand(io: Io): Command {
  const command: Command = defineCommand(io, 'keys', 'back up and bring in the keys that command your agents', [
    'keys export -o my.keys',
    'keys import my.keys',
  ])
  return command.addCommand(exportKeys(io)).addCommand(importKeys(io))
}

function exportKeys(io: Io): Command {
  return defineNodeCommand(io, 'export', 'write the owner keys of this node: one backup restores the command of all its agents', [
    'keys export -o my.keys',
    'keys export | age -r age1… > my.keys.age',
  ])
    .option('-o, --output <file>', 'where to; only you can read it (default: standard output)')
    .action(async (_options: ExportOptions, command: Command) => {
      // `keys` takes --json for itself, wherever it stands.
      const options = command.optsWithGlobals<ExportOptions>()
      const { node, output } = contextOf(io, options)
      const keys = await node.call('exportKeys', {})
      if (options.output === undefined) {
        output.result({ keys }, formatSeeds(keys).trimEnd())
        return
      }
      await writeNew(io, options.output, Buffer.from(formatSeeds(keys)))
      output.result(
        { file: options.output, count: keys.length },
        `wrote ${plural(keys.length, 'key')} to ${options.output}: keep it safe and secret`,
      )
    })
}

function importKeys(io: Io): Command {
  return defineNodeCommand(io, 'import', 'add owner keys to this node: it then commands their agents, too', [
    'keys import my.keys',
    'age -d my.keys.age | igor keys import -',
  ])
    .argument('<file>', 'what igor keys export wrote (- is standard input)')
    .action(async (file: string, _options: CommonOptions, command: Command) => {
      const options = command.optsWithGlobals<CommonOptions>()
      const { node, output } = contextOf(io, options)
      const seeds = parseSeeds(await readInput(io, file, MAX_SMALL_FILE), file)
      const { keys } = await node.call('importKeys', { seeds })
      output.result({ imported: seeds.length, keys }, `this node holds ${plural(keys, 'key')} now`)
    })
}
