/** @module */
import type { Command } from 'commander'
import { type CommonOptions, contextOf, defineNodeCommand } from '../command.ts'
import { usageError } from '../failure.ts'
import { type Io, safe } from '../output.ts'

function orderCommand(io: Io, order: 'pause' | 'resume', description: string, done: string): Command {
  return defineNodeCommand(io, order, description, [`${order} scout`])
    .argument('<agent>', 'name, DID, or unique beginning of one')
    .action(async (agent: string, options: CommonOptions) => {
      const { node, output } = contextOf(io, options)
      const status = await node.call(order, { agent })
      output.result(status, `${safe(status.name)} ${done} at tick ${status.tick}`)
    })
}

export function pauseCommand(io: Io): Command {
  return orderCommand(io, 'pause', 'let an agent rest; it keeps its state', 'rests')
}

export function resumeCommand(io: Io): Command {
  return orderCommand(io, 'resume', 'let a paused agent, or one that failed too often, go on', 'goes on')
}

interface RetireOptions extends CommonOptions {
  readonly yes?: boolean
}

export function retireCommand(io: Io): Command {
  return defineNodeCommand(io, 'retire', 'end an agent for good: nobody goes on with it, unless its owner recovers it', [
    'retire scout --yes',
  ])
    .argument('<agent>', 'name, DID, or unique beginning of one')
    .option('-y, --yes', 'yes, for good')
    .action(async (agent: string, options: RetireOptions) => {
      const { node, output } = contextOf(io, options)
      if (options.yes !== true && io.stdin.isTTY === true && !output.json) {
        throw usageError(`this ends ${agent} for good; if you mean it: igor retire ${agent} --yes`)
      }
      const status = await node.call('retire', { agent })
      output.result(status, `${safe(status.name)} retired at tick ${status.tick}`)
    })
}
