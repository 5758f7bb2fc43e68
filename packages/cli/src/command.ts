/**
 * What the commands have in common: options, the way to the node, one line on failure.
 *
 * @module
 */
import { Command, Option } from 'commander'
import { type ControlClient, connectControl } from './control/client.ts'
import { dataDirOf } from './data-dir.ts'
import { createOutput, type Io, type Output } from './output.ts'

/** What a command works with. */
export interface Context {
  readonly io: Io
  readonly output: Output
  readonly dataDir: string
  /** The node that runs in `dataDir`. */
  readonly node: ControlClient
}

export interface CommonOptions {
  readonly json?: boolean
  readonly dataDir?: string
}

/** An example that begins with another command. */
const pipesIn = /\| igor /

/** A command with `--json`, examples in its help, and one line on failure. */
export function defineCommand(io: Io, name: string, description: string, examples: readonly string[]): Command {
  return new Command(name)
    .description(description)
    .option('--json', 'print JSON, for scripts')
    .addHelpText(
      'after',
      `\nExamples:\n${examples.map((example) => `  $ ${pipesIn.test(example) ? '' : 'igor '}${example}`).join('\n')}`,
    )
    .configureOutput({ writeOut: (text) => io.stdout.write(text), writeErr: () => undefined })
    .exitOverride()
    .allowExcessArguments(false)
}

/** A command that talks to the running node. */
export function defineNodeCommand(io: Io, name: string, description: string, examples: readonly string[]): Command {
  return defineCommand(io, name, description, examples).addOption(dataDirOption())
}

export function dataDirOption(): Option {
  return new Option('--data-dir <folder>', 'folder of the node (default: $IGOR_DATA_DIR, else ~/.igor)')
}

export function contextOf(io: Io, options: CommonOptions): Context {
  const dataDir = dataDirOf(io, options.dataDir)
  return { io, output: createOutput(io, options.json === true), dataDir, node: connectControl(dataDir, io.signal) }
}
