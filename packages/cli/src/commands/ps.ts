/** @module */
import type { AgentStatus } from '@igor/core'
import type { Command } from 'commander'
import { type CommonOptions, contextOf, defineNodeCommand } from '../command.ts'
import { money, plural, STATE_STYLES, short, span } from '../format.ts'
import { type Io, type Output, safe, table } from '../output.ts'

interface Options extends CommonOptions {
  readonly all?: boolean
}

export function psCommand(io: Io): Command {
  return defineNodeCommand(io, 'ps', 'list the agents that this node hosts or hosted', [
    'ps',
    'ps --all',
    'ps --json | jq -r .[].name',
  ])
    .option('-a, --all', 'also those of other nodes in sight')
    .action(async (options: Options) => {
      const { node, output } = contextOf(io, options)
      const all = await node.call('agents', {})
      const agents = options.all === true ? all : all.filter(livedHere)
      output.result(agents, () => describe(agents, all.length - agents.length, output))
    })
}

function livedHere(status: AgentStatus): boolean {
  return status.resided
}

function describe(agents: readonly AgentStatus[], elsewhere: number, output: Output): string {
  const hint = elsewhere > 0 ? `${plural(elsewhere, 'agent')} on other nodes: igor ps --all` : undefined
  if (agents.length === 0) return hint ?? 'no agents yet: igor run FILE.wasm'
  const rows = agents.map((status) => [
    safe(status.name),
    output.paint(STATE_STYLES[status.state], status.state),
    String(status.tick),
    status.born === undefined ? '-' : span(Date.now() - status.born),
    money(status.budget),
    status.here ? 'here' : short(status.host),
    short(status.agent),
    status.reason === undefined ? '' : safe(status.reason),
  ])
  const heading = ['NAME', 'STATE', 'TICK', 'AGE', 'BUDGET', 'HOST', 'AGENT', '']
  return [table([heading, ...rows]), ...(hint === undefined ? [] : [hint])].join('\n')
}
