/** @module */
import type { AgentEvent } from '@igor/core'
import type { Command } from 'commander'
import { type CommonOptions, contextOf, defineNodeCommand } from '../command.ts'
import { milliseconds, short } from '../format.ts'
import { type Io, type Output, safe } from '../output.ts'
import { createScreen } from '../screen.ts'

export function watchCommand(io: Io): Command {
  return defineNodeCommand(io, 'watch', 'watch an agent live: state, log, what it shows; until Ctrl-C', [
    'watch scout',
    'watch scout --json',
  ])
    .argument('<agent>', 'name, DID, or unique beginning of one')
    .action(async (agent: string, options: CommonOptions) => {
      const { node, output } = contextOf(io, options)
      const events = node.stream('watch', { agent })
      if (output.json || io.stdout.isTTY !== true) {
        for await (const event of events) print(event, output)
        return
      }
      using screen = createScreen(io, output)
      for await (const event of events) screen.take(event)
    })
}

function print(event: AgentEvent, output: Output): void {
  const text = describe(event)
  if (text !== undefined || output.json) output.item(event, text ?? '')
}

function describe(event: AgentEvent): string | undefined {
  switch (event.type) {
    case 'status':
      return `${event.status.state} at tick ${event.status.tick} on ${short(event.status.host)}`
    case 'log':
      return `${event.tick}  ${safe(event.text)}`
    case 'view':
      return event.view.kind === 'text' ? safe(Buffer.from(event.view.bytes).toString('utf8'), true) : undefined
    case 'progress':
      return `moving: ${event.phase} ${event.done} of ${event.total}`
    case 'moved':
      return `moved from ${short(event.move.from)} to ${short(event.move.to)} at tick ${event.move.tick} in ${milliseconds(event.move.downtimeMs)}`
  }
}
