/**
 * The `igor` command: parses, runs, and answers with an exit code.
 *
 * @module
 */
import { Command, CommanderError } from 'commander'
import { commands } from './commands/index.ts'
import { CommandError, codeOf, EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, isAbort, messageOf } from './failure.ts'
import { type Io, toJson } from './output.ts'
import { VERSION } from './version.ts'

const FIRST_STEPS = `
First steps:
  $ igor up                     start a node, and its page on http://localhost:4747/
  $ igor run agent.wasm         give it an agent
  $ igor ps                     see how it does
  $ igor migrate NAME PEER      send it to another node

Each command explains itself: igor COMMAND --help. Exit codes: 0 done, 1 failed, 2 wrong usage.`

/** Builds the program; nothing runs before `parseAsync`. */
export function createProgram(io: Io): Command {
  const program = new Command('igor')
    .description('Runs WebAssembly agents that move between nodes and outlive them.')
    .version(VERSION, '-V, --version', 'print the version')
    .configureOutput({ writeOut: (text) => io.stdout.write(text), writeErr: () => undefined })
    .exitOverride()
    .showSuggestionAfterError(true)
    .helpCommand('help [command]', 'explain a command')
    .addHelpText('after', FIRST_STEPS)
  for (const command of commands(io)) program.addCommand(command)
  return program
}

/**
 * Runs one command.
 *
 * @param args what follows `igor`
 * @returns its exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted
 */
export async function run(args: readonly string[], io: Io): Promise<number> {
  if (args.length === 0) {
    io.stdout.write(createProgram(io).helpInformation() + FIRST_STEPS.concat('\n'))
    return EXIT_USAGE
  }
  try {
    await createProgram(io).parseAsync([...args], { from: 'user' })
    return EXIT_DONE
  } catch (error) {
    return report(error, args, io)
  }
}

function report(error: unknown, args: readonly string[], io: Io): number {
  const json = args.includes('--json')
  const tell = (code: string, message: string, details: object = {}): void => {
    io.stderr.write(json ? `${toJson({ code, message, ...details })}\n` : `igor: ${message}\n`)
  }
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return EXIT_DONE
    const help = `see igor ${commandOf(args, io)}--help`
    // Without a subcommand, commander wants to show the help.
    if (error.code === 'commander.help') tell('USAGE', `which command? ${help}`)
    else tell('USAGE', `${usageMessage(error)}: ${help}`)
    return EXIT_USAGE
  }
  if (io.signal.aborted && isAbort(error)) {
    tell('INTERRUPTED', 'interrupted')
    return EXIT_INTERRUPTED
  }
  const details = error instanceof CommandError ? error.details : {}
  tell(codeOf(error), messageOf(error), details)
  if (io.env.IGOR_DEBUG && error instanceof Error) io.stderr.write(`${error.stack}\n`)
  return error instanceof CommandError ? error.exitCode : EXIT_FAILED
}

/** `error: unknown command 'x'\n(Did you mean y?)` on one line. */
function usageMessage(error: CommanderError): string {
  return error.message
    .replace(/^error: /, '')
    .replace(/\s*\n\s*/g, ' ')
    .replace(/\(Did you mean (.*?)\?\)/, '(did you mean $1?)')
    .replace(/\.$/, '')
}

function commandOf(args: readonly string[], io: Io): string {
  const name = args.find((arg) => !arg.startsWith('-'))
  return commands(io).some((command) => command.name() === name) ? `${name} ` : ''
}
