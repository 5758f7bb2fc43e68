/** @module */
import { type ForkProof, readForkProof } from '@igor/lineage'
import type { Command } from 'commander'
import { type CommonOptions, contextOf, defineNodeCommand } from '../command.ts'
import type { ControlClient } from '../control/client.ts'
import { CommandError } from '../failure.ts'
import { reserve } from '../files.ts'
import { short } from '../format.ts'
import { type Io, safe, table } from '../output.ts'

interface ExportOptions extends CommonOptions {
  readonly output?: string
  readonly agent?: string
  readonly force?: boolean
}

export function proofsCommand(io: Io): Command {
  return defineNodeCommand(io, 'proofs', 'list the nodes that are proven to have signed two histories of an agent', [
    'proofs',
    'proofs export 12D3KooWQ4…',
  ])
    .action(async (options: CommonOptions) => {
      const { node, output } = contextOf(io, options)
      const proofs = await known(node)
      output.result(proofs.map(summary), () => describe(proofs))
    })
    .addCommand(exportProof(io))
}

function exportProof(io: Io): Command {
  return defineNodeCommand(io, 'export', 'write a proof into a file that anyone can check, with igor verify and nothing else', [
    'proofs export 12D3KooWQ4… -o liar.proof',
    'proofs export 12D3KooWQ4… --agent z6Mk…',
  ])
    .argument('<signer>', 'who signed both: a peer id or a DID, or the end of it')
    .option('--agent <agent>', 'which agent it forked, or the end of its DID; where it forked several')
    .option('-o, --output <file>', 'where to (default: SIGNER.proof)')
    .option('-f, --force', 'replace a file that is already there')
    .action(async (signer: string, _options: ExportOptions, command: Command) => {
      // `proofs` takes --json and --data-dir for itself, wherever they stand.
      const options = command.optsWithGlobals<ExportOptions>()
      const { node, output } = contextOf(io, options)
      const proof = choose(await known(node), signer, options.agent)
      const file = options.output ?? `${short(proof.signer).replace('…', '-')}.proof`
      await (await reserve(io, file, options.force === true)).finish(proof.bytes)
      output.result(
        { ...summary(proof), file, bytes: proof.bytes.length },
        `wrote ${file}: igor verify ${file} checks it anywhere`,
      )
    })
}

/** As the node keeps them, checked here too. */
async function known(node: ControlClient): Promise<readonly ForkProof[]> {
  return (await node.call('proofs', {})).map(({ bytes }) => readForkProof(bytes))
}

function choose(proofs: readonly ForkProof[], signer: string, agent: string | undefined): ForkProof {
  const found = proofs.filter((one) => one.signer.endsWith(signer) && (agent === undefined || one.agent.endsWith(agent)))
  const [only] = found
  if (only === undefined)
    throw new CommandError('UNKNOWN_PROOF', `this node has no such proof against ${signer}: see igor proofs`)
  if (found.length > 1) {
    const agents = found.map((one) => `${one.signer} ${one.agent}`).join(', ')
    throw new CommandError('AMBIGUOUS_NAME', `there are ${found.length} such proofs (${agents}): name the agent with --agent`)
  }
  return only
}

function summary({ signer, agent, as, records }: ForkProof): object {
  const contradicting = records.map(({ id, body }) => ({ record: id.toString(), epoch: body.epoch, seq: body.seq }))
  return { signer, agent, as, contradicting }
}

function describe(proofs: readonly ForkProof[]): string {
  if (proofs.length === 0) return 'nobody in sight is proven to have signed two histories of an agent'
  const rows = proofs.map(({ signer, agent, as, records }) => [
    as,
    ...records.map(({ body }) => `${body.kind} ${body.epoch}/${body.seq}`),
    safe(agent),
    safe(signer),
  ])
  return table([['HOW', 'ONE', 'OTHER', 'AGENT', 'BY'], ...rows])
}
