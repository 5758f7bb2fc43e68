/**
 * What a file says, for people: as much as can be read, whether or not it holds.
 *
 * @module
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { plainBytes } from './bytes.ts'
import { readSections } from './car.ts'
import { LineageError, type LineageErrorCode } from './errors.ts'
import { assemble, isEnvelope } from './file.ts'
import { decodeReady } from './ready.ts'
import { decodeRecord } from './records.ts'
import type { Body, Chain, LineageRecord } from './types.ts'

/** Records listed one by one. */
const MAX_LISTED = 1000

/** JSON-able throughout: CIDs and money as strings, bytes as hex. */
export interface Summary {
  readonly format: 'car'
  readonly bytes: number
  readonly root?: string
  /** True if the file is whole and its lineage verified from genesis to head. */
  readonly verified: boolean
  /** The first thing that is wrong. */
  readonly error?: { readonly code: LineageErrorCode; readonly record?: string; readonly message: string }
  readonly blocks: { readonly count: number; readonly bytes: number }
  /** Only what was verified. */
  readonly agent?: VerifiedSummary
  /** Oldest first, as far as they could be decoded: claims, unless `verified`. The last 1000 of them. */
  readonly records: readonly RecordSummary[]
  readonly recordCount: number
}

export interface VerifiedSummary {
  readonly agent: string
  readonly name: string
  readonly genesis: string
  readonly head: string
  readonly module: string
  readonly born: number
  readonly epoch: number
  readonly seq: number
  readonly tick: number
  readonly budget: string
  readonly price: string
  readonly authority: { readonly status: string; readonly by: string; readonly to?: string }
  readonly hosts: readonly { readonly peer: string; readonly epoch: number; readonly tick: number; readonly since: number }[]
  readonly asserted: readonly { readonly record: string; readonly asserts: string }[]
}

export interface RecordSummary {
  readonly cid: string
  readonly kind: Body['kind']
  readonly agent: string
  readonly seq: number
  readonly epoch: number
  readonly time: number
  readonly tick?: number
  readonly state?: string | null
  readonly budget?: string
  /** Peer that a handoff or recover offers it to. */
  readonly to?: string
  readonly because?: string
}

/** Never throws for what is in the file. */
export async function inspectCar(bytes: Uint8Array): Promise<Summary> {
  const { root, blocks, error } = await readSections(plainBytes(bytes))
  const records = blocks
    .filter(isEnvelope)
    .flatMap((block) => decoded(block.bytes))
    .sort((a, b) => a.body.seq - b.body.seq)
  const base = {
    format: 'car' as const,
    bytes: bytes.length,
    ...(root === undefined ? {} : { root: root.toString() }),
    blocks: { count: blocks.length, bytes: blocks.reduce((sum, block) => sum + block.bytes.length, 0) },
    records: records.slice(-MAX_LISTED).map(summarise),
    recordCount: records.length,
  }
  if (error !== undefined || root === undefined)
    return { ...base, verified: false, ...(error === undefined ? {} : { error: plain(error) }) }
  try {
    const digests = blocks.map((block) => sha256(block.bytes))
    return { ...base, verified: true, agent: summariseChain(assemble(root, blocks, digests).chain) }
  } catch (cause) {
    if (!(cause instanceof LineageError)) throw cause
    return { ...base, verified: false, error: plain(cause) }
  }
}

function plain({ code, record, message }: LineageError) {
  return { code, message, ...(record === undefined ? {} : { record }) }
}

function decoded(bytes: Uint8Array): LineageRecord[] {
  try {
    return [decodeRecord(bytes)]
  } catch {
    return []
  }
}

function recipient(bytes: Uint8Array): { readonly to?: string } {
  try {
    return { to: decodeReady(bytes).ready.to }
  } catch {
    return {}
  }
}

/** One record as plain values. */
export function summarise({ id, body }: LineageRecord): RecordSummary {
  return {
    cid: id.toString(),
    kind: body.kind,
    agent: body.agent,
    seq: body.seq,
    epoch: body.epoch,
    time: body.time,
    ...('tick' in body ? { tick: body.tick, state: body.state?.toString() ?? null } : {}),
    ...('budget' in body ? { budget: body.budget.toString() } : {}),
    ...('ready' in body ? recipient(body.ready) : {}),
    ...('because' in body ? { because: body.because } : {}),
    ...(body.kind === 'refuse' ? { because: `${body.code}: ${body.reason}` } : {}),
  }
}

/** A verified chain as plain values. */
export function summariseChain(chain: Chain): VerifiedSummary {
  const { authority, genesis, head } = chain
  return {
    agent: chain.agent,
    name: genesis.body.name,
    genesis: genesis.id.toString(),
    head: head.id.toString(),
    module: chain.module.toString(),
    born: genesis.body.time,
    epoch: chain.epoch,
    seq: head.body.seq,
    tick: chain.tick,
    budget: chain.budget.toString(),
    price: chain.price.toString(),
    authority: {
      status: authority.status,
      by: authority.by,
      ...(authority.status === 'offered' ? { to: authority.ready.to } : {}),
    },
    hosts: chain.hosts,
    asserted: chain.asserted.map(({ record, asserts }) => ({ record: record.toString(), asserts })),
  }
}
