/** @module */
import { type Command, InvalidArgumentError } from 'commander'
import { type CommonOptions, contextOf, defineNodeCommand } from '../command.ts'
import { MAX_LOG_LINES } from '../control/methods.ts'
import { type Io, safe } from '../output.ts'

interface Options extends CommonOptions {
  readonly follow?: boolean
  readonly lines: number
}

const DEFAULT_LINES = 100

export function logsCommand(io: Io): Command {
  return defineNodeCommand(io, 'logs', "show an agent's log, wherever it runs", [
    'logs scout',
    'logs -f scout',
    'logs -n 5 scout --json',
  ])
    .argument('<agent>', 'name, DID, or unique beginning of one')
    .option('-f, --follow', 'go on with the lines to come, until Ctrl-C')
    .option('-n, --lines <count>', `how many past lines, at most ${MAX_LOG_LINES}`, count, DEFAULT_LINES)
    .action(async (agent: string, options: Options) => {
      const { node, output } = contextOf(io, options)
      const follow = options.follow === true
      let lines = 0
      for await (const line of node.stream('logs', { agent, lines: options.lines, follow })) {
        lines++
        const time = new Date(line.time).toISOString().slice(11, 19)
        output.item(line, `${output.paint('gray', `${time} ${String(line.tick).padStart(6)}`)}  ${safe(line.text)}`)
      }
      if (lines === 0 && options.lines > 0 && !follow && !output.json)
        output.note('nothing logged since it came to its host, or the host started')
    })
}

function count(text: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value > MAX_LOG_LINES) throw new InvalidArgumentError(`not a number from 0 to ${MAX_LOG_LINES}`)
  return value
}
