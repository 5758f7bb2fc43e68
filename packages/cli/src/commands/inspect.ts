/** @module */
import { inspectCar, LineageError, parseGoCheckpoint, type Summary } from '@igor/lineage'
import type { Command } from 'commander'
import { type CommonOptions, contextOf, defineCommand } from '../command.ts'
import { CommandError, codeOf, messageOf } from '../failure.ts'
import { MAX_AGENT_FILE, readInput } from '../files.ts'
import { date, money, plural, short, size } from '../format.ts'
import { type Io, type Output, safe, table } from '../output.ts'

interface Options extends CommonOptions {
  readonly records?: boolean
}

/** Hosts and records that are listed without being asked for all. */
const FEW = 10

export function inspectCommand(io: Io): Command {
  return defineCommand(
    io,
    'inspect',
    'say what is in a file: an agent (.car), whole or damaged, or a Go checkpoint (.ckpt); needs no node',
    ['inspect scout.car', 'inspect scout.car --records', 'inspect 41.ckpt --json'],
  )
    .argument('<file>', 'the file (- is standard input)')
    .option('--records', 'list every record')
    .action(async (file: string, options: Options) => {
      const { output } = contextOf(io, options)
      const bytes = await readInput(io, file, MAX_AGENT_FILE)
      if (file.endsWith('.ckpt')) {
        inspectGo(bytes, output)
        return
      }
      const summary = await inspectCar(bytes)
      if (summary.root === undefined && summary.recordCount === 0) {
        throw new CommandError(
          summary.error?.code ?? 'BAD_CAR',
          `${file} is not an agent's file: ${summary.error?.message ?? 'it holds nothing'}`,
        )
      }
      output.result(summary, () => describe(summary, options.records === true, output))
    })
}

function describe(summary: Summary, allRecords: boolean, output: Output): string {
  const { agent } = summary
  const lines: string[] = []
  if (agent === undefined) {
    lines.push(output.paint('red', `NOT VERIFIED: ${summary.error?.message ?? 'it holds no lineage'}`))
    lines.push('What follows is what the file claims.')
  } else {
    lines.push(`${output.paint('bold', safe(agent.name))}  ${output.paint('green', 'verified')}`, agent.agent)
    lines.push(`epoch ${agent.epoch}, tick ${agent.tick}, budget ${money(BigInt(agent.budget))}, born ${date(agent.born)}`)
    const to = agent.authority.to === undefined ? '' : `: only ${agent.authority.to} may go on`
    lines.push(`authority ${agent.authority.status} by ${agent.authority.by}${to}`)
    for (const { asserts } of agent.asserted)
      lines.push(output.paint('yellow', `recovered by force (${asserts}): one life rests on its owner's word`))
    lines.push('', describeHosts(agent.hosts))
  }
  lines.push('', `${plural(summary.recordCount, 'record')}, ${plural(summary.blocks.count, 'block')}, ${size(summary.bytes)}`)
  const records = allRecords ? summary.records : summary.records.slice(-FEW)
  if (records.length < summary.recordCount) lines.push(`the last ${records.length} (more: --records):`)
  if (records.length > 0) {
    const rows = records.map((record) => [
      String(record.seq),
      record.kind,
      String(record.epoch),
      record.tick === undefined ? '' : String(record.tick),
      date(record.time),
      record.to === undefined ? safe(record.because ?? '') : `to ${short(record.to)}`,
    ])
    lines.push(table([['SEQ', 'KIND', 'EPOCH', 'TICK', 'TIME', ''], ...rows]))
  }
  return lines.join('\n')
}

/** Every host an agent ever had. */
export function describeHosts(hosts: readonly { peer: string; epoch: number; tick: number; since: number }[]): string {
  const rows = hosts.map((host) => [host.peer, String(host.epoch), String(host.tick), date(host.since)])
  return table([['HOST', 'EPOCH', 'FROM TICK', 'SINCE (BY ITS CLOCK)'], ...rows])
}

function inspectGo(bytes: Uint8Array, output: Output): void {
  try {
    const { version, budget, price, tick, module, lease, lineage, state, hash } = parseGoCheckpoint(bytes)
    const hex = (value: Uint8Array): string => Buffer.from(value).toString('hex')
    const plain = {
      format: 'go',
      version,
      budget,
      price,
      tick,
      module: hex(module),
      ...(lease === undefined ? {} : { lease }),
      ...(lineage === undefined ? {} : { agent: lineage.agent, prev: hex(lineage.prev), verified: lineage.signatureValid }),
      stateBytes: state.length,
      hash: hex(hash),
    }
    output.result(plain, () =>
      Object.entries(plain)
        .map(([name, value]) => `${name.padEnd(10)}  ${typeof value === 'object' ? Object.values(value).join(' / ') : value}`)
        .join('\n'),
    )
  } catch (error) {
    if (!(error instanceof LineageError)) throw error
    throw new CommandError(codeOf(error), messageOf(error), { cause: error })
  }
}
