/** @module */
import { readdir, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import {
  LineageError,
  looksLikeForkProof,
  MAX_GO_CHECKPOINT_BYTES,
  MAX_GO_CHECKPOINTS,
  readCar,
  readForkProof,
  verifyGoHistory,
} from '@igor/lineage'
import type { Command } from 'commander'
import { type CommonOptions, type Context, contextOf, defineNodeCommand } from '../command.ts'
import { CommandError, codeOf, EXIT_FAILED, messageOf } from '../failure.ts'
import { MAX_AGENT_FILE, readInput } from '../files.ts'
import { plural } from '../format.ts'
import { type Io, safe } from '../output.ts'
import { describeHosts } from './inspect.ts'

/** What `--json` prints of a lineage that holds. */
interface Verdict {
  readonly ok: true
  readonly agent: string | null
  readonly records: number
  readonly epoch: number
  readonly tick: number | bigint
  readonly hosts: readonly { peer: string; epoch: number; tick: number; since: number }[]
  readonly name?: string
  /** Forced recovers: from there one life rests on the owner's word. */
  readonly asserted?: readonly string[]
}

/** What it prints of a proof that holds. */
interface Conviction {
  readonly ok: true
  readonly agent: string
  /** Peer id of a host or witness, or the DID of an agent: its owner. */
  readonly forkedBy: string
  readonly as: 'signed' | 'cosigned'
  readonly contradicting: readonly { readonly record: string; readonly epoch: number; readonly seq: number }[]
}

export function verifyCommand(io: Io): Command {
  return defineNodeCommand(io, 'verify', "check an agent's whole history, from genesis to head; a file needs no node", [
    'verify scout.car',
    'verify scout                 an agent that the running node knows',
    'verify liar.proof            a proof that somebody forked an agent',
    'verify history/              a folder of Go checkpoints (<tick>.ckpt)',
  ])
    .argument('<what>', 'a .car file, a proof of a fork, a folder of .ckpt files, or an agent of the running node')
    .action(async (what: string, options: CommonOptions) => {
      const context = contextOf(io, options)
      try {
        const verdict = await verify(what, context)
        context.output.result(verdict, () => describe(verdict, what))
      } catch (error) {
        if (!context.output.json || !isVerdict(error)) throw plain(error)
        const record = error instanceof LineageError ? error.record : undefined
        context.output.result({ ok: false, code: codeOf(error), record: record ?? null, message: messageOf(error) }, '')
        throw plain(error)
      }
    })
}

/** True for what was found wrong with the file, rather than with the command. */
function isVerdict(error: unknown): boolean {
  return error instanceof LineageError || (error instanceof CommandError && error.exitCode === EXIT_FAILED)
}

function plain(error: unknown): unknown {
  if (!(error instanceof LineageError)) return error
  const where = error.record === undefined ? '' : ` (record ${error.record})`
  return new CommandError(error.code, `does not hold: ${error.message}${where}`, {
    cause: error,
    details: { record: error.record ?? null },
  })
}

async function verify(what: string, context: Context): Promise<Verdict | Conviction> {
  const found = await stat(resolve(context.io.cwd, what)).catch(() => undefined)
  if (found?.isDirectory()) return verifyFolder(what, context.io)
  if (found === undefined && what !== '-') return verifyKnown(what, context)
  const bytes = await readInput(context.io, what, MAX_AGENT_FILE)
  if (looksLikeForkProof(bytes)) return verifyProof(bytes)
  const { chain } = await readCar(bytes)
  return {
    ok: true,
    agent: chain.agent,
    name: chain.genesis.body.name,
    records: chain.records,
    epoch: chain.epoch,
    tick: chain.tick,
    hosts: chain.hosts,
    asserted: chain.asserted.map(({ record, asserts }) => `${asserts} (${record})`),
  }
}

function verifyProof(bytes: Uint8Array): Conviction {
  const { agent, signer, as, records } = readForkProof(bytes)
  const contradicting = records.map(({ id, body }) => ({ record: id.toString(), epoch: body.epoch, seq: body.seq }))
  return { ok: true, agent, forkedBy: signer, as, contradicting }
}

async function verifyKnown(what: string, { node }: Context): Promise<Verdict> {
  try {
    const passport = await node.call('passport', { agent: what })
    const { agent, name, records, epoch, tick, hosts, asserted } = passport
    return { ok: true, agent, name, records, epoch, tick, hosts, asserted }
  } catch (error) {
    if (!['NO_NODE', 'UNKNOWN_AGENT'].includes(codeOf(error))) throw error
    throw new CommandError(
      'BAD_FILE',
      `${what} is no file, and no agent that a running node knows: name a .car file, or see igor ps`,
    )
  }
}

async function verifyFolder(folder: string, io: Io): Promise<Verdict> {
  const path = resolve(io.cwd, folder)
  const names = (await readdir(path)).filter((name) => name.endsWith('.ckpt'))
  if (names.length > MAX_GO_CHECKPOINTS)
    throw new CommandError('TOO_LARGE', `${folder} has more than ${MAX_GO_CHECKPOINTS} checkpoints`)
  const files: { name: string; bytes: Uint8Array }[] = []
  let total = 0
  for (const name of names) {
    const { size } = await stat(join(path, name))
    total += size
    if (size > MAX_GO_CHECKPOINT_BYTES || total > MAX_FOLDER_BYTES) {
      throw new CommandError('TOO_LARGE', `${folder} is too large to check at once, at ${name}: check it in parts`)
    }
    files.push({ name, bytes: await readInput(io, join(path, name), MAX_GO_CHECKPOINT_BYTES) })
  }
  const history = verifyGoHistory(files)
  return { ok: true, agent: history.agent, records: history.checkpoints, epoch: 0, tick: history.lastTick, hosts: [] }
}

/** Of one history, in memory. */
const MAX_FOLDER_BYTES = 1024 * 1024 * 1024

function describe(verdict: Verdict | Conviction, what: string): string {
  if ('forkedBy' in verdict) {
    const slots = verdict.contradicting.map(({ record, epoch, seq }) => `  epoch ${epoch}, record ${seq}: ${record}`)
    return [`the proof holds: ${verdict.forkedBy} ${verdict.as} two histories of ${verdict.agent}`, ...slots].join('\n')
  }
  const lines = [
    `${safe(verdict.name ?? what)} holds: ${plural(verdict.records, 'record')}, epoch ${verdict.epoch}, tick ${verdict.tick}`,
  ]
  if (verdict.agent !== null) lines.push(verdict.agent)
  if (verdict.hosts.length > 0) lines.push(describeHosts(verdict.hosts))
  for (const asserted of verdict.asserted ?? []) {
    lines.push(`recovered by force, its owner says ${asserted}: from there, that it has one life rests on its owner's word`)
  }
  return lines.join('\n')
}
