/** @module */
import { type Command, InvalidArgumentError } from 'commander'
import { type CommonOptions, contextOf, defineNodeCommand } from '../command.ts'
import { usageError } from '../failure.ts'
import { MAX_MODULE_FILE, readInput } from '../files.ts'
import { money, parseMoney } from '../format.ts'
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

function parseAmount(text: string): bigint {
  const amount = parseMoney(text)
  if (amount === undefined || amount === 0n) throw new InvalidArgumentError('not an amount such as 2.5')
  return amount
}

export function fundCommand(io: Io): Command {
  return defineNodeCommand(io, 'fund', "add to an agent's budget; one that used its up goes on", ['fund scout 2.5'])
    .argument('<agent>', 'name, DID, or unique beginning of one')
    .argument('<amount>', 'what to add, such as 2.5', parseAmount)
    .action(async (agent: string, amount: bigint, options: CommonOptions) => {
      const { node, output } = contextOf(io, options)
      const status = await node.call('fund', { agent, amount })
      output.result(status, `${safe(status.name)} has ${money(amount)} more`)
    })
}

export function upgradeCommand(io: Io): Command {
  return defineNodeCommand(io, 'upgrade', 'let an agent go on with another module, if that takes over what the old one carries', [
    'upgrade scout scout-2.wasm',
  ])
    .argument('<agent>', 'name, DID, or unique beginning of one')
    .argument('<file>', 'its new WebAssembly module; - reads standard input')
    .action(async (agent: string, file: string, options: CommonOptions) => {
      const { node, output } = contextOf(io, options)
      const status = await node.call('upgrade', { agent, module: await readInput(io, file, MAX_MODULE_FILE) })
      output.result(status, `${safe(status.name)} goes on with ${safe(file)} from tick ${status.tick}`)
    })
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
