/** @module */
import type { Command } from 'commander'
import { type CommonOptions, contextOf, defineNodeCommand } from '../command.ts'
import { writeNew, writeToStdout } from '../files.ts'
import type { Io } from '../output.ts'

interface Options extends CommonOptions {
  readonly ready?: boolean
  readonly output?: string
}

export function idCommand(io: Io): Command {
  return defineNodeCommand(
    io,
    'id',
    "show the node's peer id and addresses, or make its word that it takes an agent from a file",
    ['id', 'id --ready -o office.ready    then, elsewhere: igor export AGENT --to office.ready'],
  )
    .option(
      '--ready',
      "write a signed word, valid for a day, that this node takes one agent: for export --to where it can't be reached",
    )
    .option('-o, --output <file>', 'where to write it (default: standard output)')
    .action(async (options: Options) => {
      const { node, output, io: surroundings } = contextOf(io, options)
      if (options.ready !== true) {
        const info = await node.call('info', {})
        output.result(
          { peerId: info.id, name: info.name, multiaddrs: info.multiaddrs, url: info.url, version: info.version },
          () => [output.paint('bold', info.name), info.id, ...info.multiaddrs].join('\n'),
        )
        return
      }
      const ready = await node.call('ready', {})
      if (options.output !== undefined) {
        await writeNew(surroundings, options.output, ready)
        output.result({ file: options.output }, `wrote ${options.output}: good for one agent, for a day`)
      } else if (output.json) {
        output.result({ ready }, '')
      } else {
        writeToStdout(surroundings, ready)
      }
    })
}
