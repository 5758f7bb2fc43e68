/** @module */
import type { Command } from 'commander'
import { type CommonOptions, contextOf, defineNodeCommand } from '../command.ts'
import { usageError } from '../failure.ts'
import { MAX_SMALL_FILE, readInput } from '../files.ts'
import { type Io, safe } from '../output.ts'

interface Options extends CommonOptions {
  readonly file?: string
}

export function sendCommand(io: Io): Command {
  return defineNodeCommand(io, 'send', "put a message into an agent's inbox, wherever it runs; done once it is committed", [
    'send scout hello there',
    'send snake key:ArrowUp',
    'send scribe --file notes.txt',
    'echo hello | igor send scout --file -',
  ])
    .argument('<agent>', 'name, DID, or unique beginning of one')
    .argument('[text...]', 'the message; words are joined by spaces')
    .option('--file <file>', 'the message, from a file (- is standard input), at most 64 KiB')
    .action(async (agent: string, words: string[], options: Options) => {
      const { node, output } = contextOf(io, options)
      if ((options.file === undefined) === (words.length === 0))
        throw usageError('give either a text or --file: see igor send --help')
      const message =
        options.file === undefined ? Buffer.from(words.join(' ')) : await readInput(io, options.file, MAX_SMALL_FILE)
      const sent = await node.call('send', { agent, message })
      output.result({ ...sent, bytes: message.length }, `${safe(sent.name)} has it`)
    })
}
