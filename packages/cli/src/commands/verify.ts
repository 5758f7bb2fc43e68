/** @module */
import { readdir, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Replay, ReplayGuilt } from '@igor/core'
import {
  LineageError,
  looksLikeForkProof,
  MAX_GO_CHECKPOINT_BYTES,
  MAX_GO_CHECKPOINTS,
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
  /** With --replay. */
  readonly replay?: Replay
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
    'verify --replay scout.car    run again what its journals cover, and compare state, fuel and cost',
    'verify history/              a folder of Go checkpoints (<tick>.ckpt); with --replay also of .car files of one agent',
  ])
    .argument('<what>', 'a .car file, a proof of a fork, a folder of .ckpt files, or an agent of the running node')
    .option('--replay', 'run again what its journals cover, and compare; fails where a host signed something else')
    .action(async (what: string, options: CommonOptions & { readonly replay?: boolean }) => {
      const context = contextOf(io, options)
      try {
        const verdict = await verify(what, context, options.replay === true)
        const guilt = 'replay' in verdict ? verdict.replay?.guilt : undefined
        context.output.result(guilt === undefined ? verdict : { ...verdict, ok: false }, () => describe(verdict, what))
        if (guilt !== undefined) throw new Guilty(guilt)
      } catch (error) {
        if (!context.output.json || error instanceof Guilty || !isVerdict(error)) throw plain(error)
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

/** A host signed what does not come out again. */
class Guilty extends CommandError {
  constructor({ claim, tick, signer, message }: ReplayGuilt) {
    super('GUILTY', `${signer} signed a false ${claim} at tick ${tick}: ${message}`)
  }
}

async function verify(what: string, context: Context, replay: boolean): Promise<Verdict | Conviction> {
  const found = await stat(resolve(context.io.cwd, what)).catch(() => undefined)
  if (found?.isDirectory()) return verifyFolder(what, context.io, replay)
  if (found === undefined && what !== '-') return verifyKnown(what, context, replay)
  const bytes = await readInput(context.io, what, MAX_AGENT_FILE)
  if (looksLikeForkProof(bytes)) return verifyProof(bytes)
  return verifyFiles([bytes], replay, context.io)
}

async function verifyFiles(files: readonly Uint8Array[], replay: boolean, io: Io): Promise<Verdict> {
  // Loaded when needed: it brings the network with it.
  const { verify: verifyCars } = await import('@igor/nodejs')
  const { genesis: _genesis, module: _module, ...verdict } = await verifyCars(files, { replay, signal: io.signal })
  return { ok: true, ...verdict }
}

function verifyProof(bytes: Uint8Array): Conviction {
  const { agent, signer, as, records } = readForkProof(bytes)
  const contradicting = records.map(({ id, body }) => ({ record: id.toString(), epoch: body.epoch, seq: body.seq }))
  return { ok: true, agent, forkedBy: signer, as, contradicting }
}

async function verifyKnown(what: string, { node }: Context, replay: boolean): Promise<Verdict> {
  try {
    const { genesis: _genesis, module: _module, ...verdict } = await node.call(replay ? 'replay' : 'passport', { agent: what })
    return { ok: true, ...verdict }
  } catch (error) {
    if (!['NO_NODE', 'UNKNOWN_AGENT'].includes(codeOf(error))) throw error
    throw new CommandError(
      'BAD_FILE',
      `${what} is no file, and no agent that a running node knows: name a .car file, or see igor ps`,
    )
  }
}

async function verifyFolder(folder: string, io: Io, replay: boolean): Promise<Verdict> {
  const path = resolve(io.cwd, folder)
  const all = await readdir(path)
  const cars = all.filter((name) => name.endsWith('.car'))
  const names = all.filter((name) => name.endsWith('.ckpt'))
  if (replay && names.length === 0 && cars.length > 0) return verifyFiles(await readCars(path, cars, io), replay, io)
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
  const verdict: Verdict = {
    ...{ ok: true, agent: history.agent, records: history.checkpoints, epoch: 0, tick: history.lastTick, hosts: [] },
  }
  return replay ? { ...verdict, replay: NO_JOURNAL } : verdict
}

/** All of one agent: together they may show more of its past. */
async function readCars(path: string, names: readonly string[], io: Io): Promise<Uint8Array[]> {
  const files: Uint8Array[] = []
  let total = 0
  for (const name of names) {
    total += (await stat(join(path, name))).size
    if (total > MAX_FOLDER_BYTES) throw new CommandError('TOO_LARGE', `${path} is too large to check at once, at ${name}`)
    files.push(await readInput(io, join(path, name), MAX_AGENT_FILE))
  }
  return files
}

/** What a Go system's checkpoints can be judged by. */
const NO_JOURNAL: Replay = {
  verdict: 'cannot judge',
  fromTick: null,
  toTick: null,
  ticks: 0,
  fuel: 0n,
  states: 0,
  doubts: [{ code: 'missing', fromTick: 0, toTick: 0, message: 'checkpoints of the Go system come without a journal' }],
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
  if (verdict.replay !== undefined) lines.push(...describeReplay(verdict.replay))
  return lines.join('\n')
}

/** What was run again and how it came out; what cannot be told is said each time. */
function describeReplay({ verdict, fromTick, toTick, ticks, fuel, states, guilt, doubts }: Replay): string[] {
  const covered = fromTick === null ? 'nothing was run again' : `ticks ${fromTick} to ${toTick} run again`
  const lines = [`replay: ${verdict}; ${covered}: ${plural(ticks, 'tick')}, ${fuel} fuel, ${plural(states, 'state')} compared`]
  if (guilt !== undefined) {
    const { signer, claim, tick, agreedTick, record, message } = guilt
    lines.push(
      `  guilty: ${signer}, false ${claim} at tick ${tick} (true up to tick ${agreedTick}), record ${record}`,
      `  ${safe(message)}`,
    )
  }
  for (const { code, fromTick: from, toTick: to, message } of doubts)
    lines.push(`  not judged, ${code}: ticks ${from} to ${to}: ${safe(message)}`)
  if (verdict === 'consistent') lines.push("  time, what was let in and when it ticked stay the hosts' word")
  return lines
}
