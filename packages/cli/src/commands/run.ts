/** @module */
import { basename, dirname, join } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import { type CommonOptions, contextOf, defineNodeCommand } from '../command.ts'
import { CommandError } from '../failure.ts'
import { exists, MAX_MODULE_FILE, MAX_SMALL_FILE, readInput } from '../files.ts'
import { parseMoney, short } from '../format.ts'
import { type Io, safe } from '../output.ts'

interface Options extends CommonOptions {
  readonly manifest?: string
  readonly init?: string
  readonly initFile?: string
  readonly budget?: bigint
  readonly name?: string
}

/** Next to the module, by convention. */
const MANIFEST = 'manifest.json'

export function runCommand(io: Io): Command {
  return defineNodeCommand(io, 'run', 'start an agent from a WebAssembly module', [
    'run agents/companion/companion.wasm',
    'run agent.wasm --manifest agent.json --name scout',
    'run agent.wasm --init "threshold 105" --budget 2.5',
    'run agent.wasm --init-file seed.bin',
  ])
    .argument('<file>', 'the module: a .wasm file')
    .option('--manifest <file>', 'what the agent asks for (default: FILE.json or manifest.json beside it; without one, nothing)')
    .option('--init <text>', 'what the agent is given at birth')
    .option('--init-file <file>', 'the same, from a file (- is standard input)')
    .option('--budget <amount>', 'what it may spend, such as 2.5 (default: nothing)', budget)
    .option('--name <name>', 'what people call it (default: two words)')
    .action(async (file: string, options: Options) => {
      const { node, output } = contextOf(io, options)
      const module = await readInput(io, file, MAX_MODULE_FILE)
      const manifest = await manifestOf(io, file, options.manifest)
      const init = await initOf(io, options)
      const status = await node.call('run', {
        module,
        ...(manifest === undefined ? {} : { manifest }),
        ...(init === undefined ? {} : { init }),
        ...(options.budget === undefined ? {} : { budget: options.budget }),
        ...(options.name === undefined ? {} : { name: options.name }),
      })
      output.result(
        status,
        () => `${output.paint('bold', safe(status.name))} lives (${short(status.agent)}): igor watch ${status.name}`,
      )
    })
}

function budget(text: string): bigint {
  const amount = parseMoney(text)
  if (amount === undefined) throw new InvalidArgumentError('not an amount such as 2.5')
  return amount
}

async function manifestOf(io: Io, file: string, option: string | undefined): Promise<Uint8Array | undefined> {
  if (option !== undefined) return readInput(io, option, MAX_SMALL_FILE)
  if (file === '-') return undefined
  const beside = [join(dirname(file), `${basename(file, '.wasm')}.json`), join(dirname(file), MANIFEST)]
  for (const path of beside) if (await exists(io, path)) return readInput(io, path, MAX_SMALL_FILE)
  return undefined
}

async function initOf(io: Io, options: Options): Promise<Uint8Array | undefined> {
  if (options.init !== undefined && options.initFile !== undefined) {
    throw new CommandError('USAGE', '--init and --init-file exclude each other: see igor run --help', { exitCode: 2 })
  }
  if (options.initFile !== undefined) return readInput(io, options.initFile, MAX_SMALL_FILE)
  return options.init === undefined ? undefined : Buffer.from(options.init)
}
