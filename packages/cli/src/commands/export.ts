/** @module */
import type { Command } from 'commander'
import { type CommonOptions, contextOf, defineNodeCommand } from '../command.ts'
import { exists, MAX_SMALL_FILE, readInput, reserve } from '../files.ts'
import { size } from '../format.ts'
import { type Io, safe } from '../output.ts'

interface Options extends CommonOptions {
  readonly output?: string
  readonly to?: string
  readonly force?: boolean
}

export function exportCommand(io: Io): Command {
  return defineNodeCommand(io, 'export', 'write an agent into one file: a copy, or, with --to, the agent itself', [
    'export scout                         a copy, for proof and recovery',
    'export scout --to 12D3KooWQ4…        it leaves for that node, by file',
    'export scout --to office.ready       the same, for a node that cannot be reached (its igor id --ready)',
  ])
    .argument('<agent>', 'name, DID, or unique beginning of one')
    .option('-o, --output <file>', 'where to (default: NAME.car)')
    .option('--to <peer>', 'only this node can go on with it: peer id, multiaddr, or the file of its igor id --ready')
    .option('-f, --force', 'replace a file that is already there')
    .action(async (agent: string, options: Options) => {
      const { node, output } = contextOf(io, options)
      const file = options.output ?? `${fileName(agent)}.car`
      // Before the agent leaves: a file that cannot be written must not cost its authority.
      const pending = await reserve(io, file, options.force === true)
      try {
        const target = options.to === undefined ? {} : await targetOf(io, options.to)
        const exported = await node.call('export', { agent, ...target })
        await pending.finish(exported.file)
        const what = options.to === undefined ? 'a copy' : 'the agent itself: igor import it at its new node'
        output.result(
          { agent: exported.agent, name: exported.name, file, bytes: exported.file.length, copy: options.to === undefined },
          `${safe(exported.name)} is in ${file} (${size(exported.file.length)}), ${what}`,
        )
      } catch (error) {
        await pending.discard().catch(() => undefined)
        throw error
      }
    })
}

/** A name or DID as part of a file's name. */
function fileName(agent: string): string {
  return (
    agent
      .replace(/^did:key:/, '')
      .replace(/[^\p{L}\p{N}._-]+/gu, '-')
      .replace(/^[.-]+/, '') || 'agent'
  )
}

async function targetOf(io: Io, to: string): Promise<{ to: string } | { ready: Uint8Array }> {
  // Multiaddrs start with a slash too, but name no file.
  return (await exists(io, to)) ? { ready: await readInput(io, to, MAX_SMALL_FILE) } : { to }
}
