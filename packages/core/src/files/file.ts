/**
 * An agent as a file, and back (docs/design.md, section 4: "The file is the agent, but a file is not
 * authority").
 *
 * @module
 */
import {
  type AgentFile,
  type Block,
  type Chain,
  chunkCid,
  chunkEntries,
  decodeState,
  extendChain,
  joinModule,
  type LineageRecord,
  makeReady,
  moduleParts,
  neededBlocks,
  RECOVER_EPOCHS,
  type Recover,
  readCar,
  type Sign,
  signRecord,
  writeCar,
} from '@igor/lineage'
import { CID } from 'multiformats/cid'
import { hangMs } from '../agent/attempt.ts'
import { hexOf } from '../agent/blocks.ts'
import { type Context, nowMs } from '../agent/context.ts'
import { decodeHostPart } from '../agent/host-part.ts'
import type { Hosted } from '../agent/hosted.ts'
import type { Ledger } from '../agent/ledger.ts'
import type { Current } from '../agent/state.ts'
import { decodeRow, type Row } from '../authority/row.ts'
import { IgorError } from '../errors.ts'
import type { Executor, Placed } from '../execution/executor.ts'
import { checkSize } from '../handoff/copy.ts'
import { accept, offeredHere } from '../handoff/decide.ts'
import { keys } from '../keys.ts'
import { granted, type Manifest, parseManifest } from '../manifest.ts'
import { submit } from '../witness/submit.ts'
import { collectRetained } from './retained.ts'

/**
 * All that is needed to go on elsewhere, or to check the history: records, origin, module, state, and as much
 * of earlier states and journals as is kept and has room.
 *
 * @param atState runs while no commit is under way: what is packed is one state, with all that was done, and stays until it is packed
 */
export const packFile = async (context: Context, ledger: Ledger, atState: Hosted['atState']): Promise<Uint8Array> => {
  const { current, records, unpin } = await atState(async () => ({
    current: ledger.current,
    records: counting(ledger),
    unpin: ledger.refs.pin(),
  }))
  try {
    if (current === undefined)
      throw new IgorError('NOT_AUTHORITATIVE', `${ledger.agent} does not live here: export it where it lives`)
    return writeCar({ records, blocks: await collect(context, ledger, current) })
  } finally {
    unpin()
  }
}

/** A change of witness that has not happened yet is no part of the history; nothing but it was written since. */
const counting = ({ chain, records }: Ledger): readonly LineageRecord[] => {
  const at = records.findIndex(({ id }) => chain.changing?.record.id.equals(id))
  return at < 0 ? records : records.slice(0, at)
}

const collect = async (context: Context, ledger: Ledger, current: Current): Promise<Iterable<Block>> => {
  const { agent, chain } = ledger
  const blocks = new Map<string, Block>()
  const add = async (cid: CID, key: string): Promise<Uint8Array> => {
    const bytes = await context.store.get(key)
    if (bytes === undefined) throw new IgorError('STORE_DAMAGED', `a block of ${agent} is missing from the store`)
    blocks.set(cid.toString(), { cid, bytes })
    return bytes
  }
  const own = (cid: CID): Promise<Uint8Array> => add(cid, keys.block(agent, hexOf(cid.multihash.digest)))
  const { module } = chain
  const { manifest, init } = chain.genesis.body
  for (const part of moduleParts(module, await add(module, keys.module(module.toString()))))
    await add(part, keys.module(part.toString()))
  await own(manifest)
  if (init !== null) await own(init)
  await own(current.cid)
  await own(current.block.host)
  for (const [, digest] of chunkEntries(current.block)) await own(chunkCid(digest))
  await collectRetained(context, ledger, blocks)
  return blocks.values()
}

/** What an import puts in place. */
export interface Imported {
  readonly ledger: Ledger
  readonly manifest: Manifest
  readonly init: Uint8Array
  /** The last host by the file. */
  readonly from: string
  /** In a worker already, with the state of the file. */
  readonly placed: Placed
  /** Unix ms of the file's last record, by its signer's clock. */
  readonly leftAt: number
}

export interface ImportPlan {
  /** Signs with the agent's key, where this node (or the caller) holds it. */
  readonly signer: (chain: Chain) => Sign | undefined
  readonly force: boolean
  /** The witness is declared gone; this one comes after it. */
  readonly witness?: string | null
  /** Policy of this node. Throws when it does not take the agent. */
  readonly admit: (manifest: Manifest) => void
  readonly executor: Executor
}

/**
 * @throws IgorError BAD_FILE | AGENT_EXISTS | NOT_OWNER | NOT_AUTHORITATIVE | HANDOFF_REJECTED; nothing is changed then
 */
export const importFile = async (context: Context, bytes: Uint8Array, plan: ImportPlan): Promise<Imported> => {
  const file = await readFile(context, bytes)
  const { agent } = file.chain
  const rowBytes = await context.store.get(keys.authority(agent))
  const row = rowBytes === undefined ? undefined : decodeRow(rowBytes)
  // One that another node of this store packed up for this one is free to be taken.
  const left =
    row?.state === 'handoff-pending' && row.slot.id.equals(file.chain.head.id) && offeredHere(context, file.chain) !== undefined
  if (row !== undefined && row.state !== 'retired' && row.state !== 'recovery-required' && !left) {
    throw new IgorError('AGENT_EXISTS', `${agent} is here already (${row.state}): nothing to import`)
  }
  const block = (cid: CID): Uint8Array => {
    const found = file.blocks.get(cid.toString())
    if (found === undefined) throw new IgorError('BAD_FILE', `the file lacks block ${cid}`)
    return found
  }
  const manifest = parseManifest(block(file.chain.genesis.body.manifest))
  plan.admit(manifest)
  const { chain, records } = await entitle(context, file, row, plan)
  const cid = chain.state?.body.state
  if (cid == null) throw new IgorError('BAD_FILE', 'the file has no state to go on from')
  const state = decodeState(block(cid))
  const host = decodeHostPart(block(state.host))
  if (host.tick !== chain.tick) throw new IgorError('BAD_FILE', 'record and state of the file disagree about the tick')
  const { init } = chain.genesis.body
  const initBytes = init === null ? new Uint8Array() : block(init)
  const current = { block: state, cid, host }
  const placed = await place(plan.executor, file, manifest, initBytes, current)
  const { ledger } = await accept(context, { chain, records, current, rows: rowsOf(agent, file) }).catch((error) => {
    plan.executor.drop(placed)
    throw error
  })
  return {
    ledger,
    manifest,
    placed,
    init: initBytes,
    from: hostBefore(file.chain),
    leftAt: file.chain.head.body.time,
  }
}

/** Nothing is taken over that cannot run here. @throws IgorError BAD_MODULE | CAPABILITY_NOT_GRANTED | BAD_FILE | HOST_FAULT */
const place = async (
  executor: Executor,
  { chain, blocks }: AgentFile,
  manifest: Manifest,
  init: Uint8Array,
  { block, host }: Current,
): Promise<Placed> => {
  checkSize(chain.agent, manifest, block)
  const { module } = chain
  const limits = { maxMemoryBytes: manifest.limits.maxMemoryBytes, granted: granted(manifest) }
  await executor.load(module.toString(), async () => joinModule(module, (part) => blocks.get(part.toString())), limits)
  const chunks = [...chunkEntries(block)].map(([index, digest]): readonly [number, Uint8Array] => {
    const bytes = blocks.get(chunkCid(digest).toString())
    if (bytes === undefined) throw new IgorError('BAD_FILE', `the file lacks chunk ${index} of the memory`)
    return [index, bytes]
  })
  const image = { chunks, memoryBytes: block.memory.bytes, globals: block.globals, kv: host.kv }
  const { placed } = await executor.place({
    module: module.toString(),
    ...limits,
    init,
    tickMs: hangMs(manifest),
    image,
  })
  return placed
}

const readFile = async (context: Context, bytes: Uint8Array): Promise<AgentFile> => {
  try {
    return await readCar(bytes, { sha256: (inputs) => context.crypto.sha256(inputs) })
  } catch (cause) {
    throw new IgorError('BAD_FILE', cause instanceof Error ? cause.message : 'the file cannot be read', { cause })
  }
}

const hostBefore = (chain: Chain): string => chain.authority.by

/** The chain that names this node: the file's own handoff, or a recovery by the owner. */
const entitle = async (
  context: Context,
  file: AgentFile,
  row: Row | undefined,
  plan: ImportPlan,
): Promise<{ chain: Chain; records: readonly LineageRecord[] }> => {
  const { chain, records } = file
  const { agent, authority } = chain
  const offered = offeredHere(context, chain)
  if (offered !== undefined && authority.status === 'offered') {
    if (nowMs(context.clock) > authority.ready.expiry) {
      throw new IgorError(
        'HANDOFF_FAILED',
        `this file was good until ${new Date(authority.ready.expiry).toISOString()}: its source takes the agent back when it asks`,
      )
    }
    return { chain, records }
  }
  const sign = plan.signer(chain)
  if (sign === undefined) {
    const whose = authority.status === 'offered' ? `it was made for ${authority.ready.to}` : 'it is a copy'
    throw new IgorError(
      'NOT_OWNER',
      `${whose}: only the owner of ${agent} can go on from it here. Give the owner's key with --key.`,
    )
  }
  const witness = plan.witness === undefined ? chain.witness : plan.witness
  if (plan.witness !== undefined && chain.witness === null)
    throw new IgorError('BAD_REQUEST', `${agent} has no witness that could be gone`)
  // Whether somebody still holds it is the witness's to say.
  const released = authority.status === 'retired' || (chain.witness !== null && plan.witness === undefined)
  if (authority.status === 'offered' && !released && !plan.force) {
    throw new IgorError(
      'NOT_AUTHORITATIVE',
      `this file was made for ${authority.ready.to}: import it there. Only if that node is gone for good, import it here with --force: from there one life rests on your word.`,
    )
  }
  if (!released && !plan.force) {
    throw new IgorError(
      'NOT_AUTHORITATIVE',
      `${authority.by} may still run ${agent}. If you are sure that it is gone for good, import with --force: from there one life rests on your word.`,
    )
  }
  const ready = await makeReady(
    {
      agent,
      handoff: context.crypto.random(16),
      to: context.peer,
      incarnation: context.incarnation,
      price: context.price,
      nonce: context.crypto.random(32),
      expiry: nowMs(context.clock) + 60_000,
    },
    context.sign,
  )
  const recover = await signRecord<Recover>(
    {
      kind: 'recover',
      agent,
      seq: chain.head.body.seq + 1,
      prev: chain.head.id,
      anchor: chain.anchor.id,
      epoch: chain.epoch + RECOVER_EPOCHS,
      time: Math.max(nowMs(context.clock), chain.head.body.time),
      ready: ready.bytes,
      because: released ? 'it was given up' : 'its owner says that its last holder is gone',
      ...(plan.witness === undefined
        ? { asserts: released ? null : ('holder-gone' as const) }
        : { asserts: 'witness-gone' as const, witness: plan.witness }),
    },
    sign,
  )
  const { head } = chain
  const newer =
    row?.state === 'retired' &&
    (row.slot.epoch > head.body.epoch || (row.slot.epoch === head.body.epoch && row.slot.seq > head.body.seq))
  // A recovery goes on from the highest head that the owner can find: what this node itself wrote later is one.
  if (newer) {
    throw new IgorError(
      'NOT_AUTHORITATIVE',
      `this node knows a later history of ${agent} than this file holds: import a later copy`,
    )
  }
  if (witness === null) return { chain: extendChain(chain, recover), records: [...records, recover] }
  const cosigned = await bringRecover(context, file, witness, recover)
  return { chain: extendChain(chain, cosigned), records: [...records, cosigned] }
}

/** Before anything changes here: a witness that knows of a holder, or of a later history, says so. */
const bringRecover = async (
  context: Context,
  { chain, records, blocks }: AgentFile,
  witness: string,
  recover: LineageRecord,
): Promise<LineageRecord> => {
  const link = await context.links.to(witness, [], context.signal)
  const proposed = extendChain(chain, recover, { proposed: true })
  const read = async (cid: CID): Promise<Uint8Array | undefined> => blocks.get(cid.toString())
  const all = [...records, recover]
  if (chain.witness === witness) {
    const { cosigned } = await submit(link, { chain: proposed, records: all, read }, context.signal).catch((error) => {
      if (!(error instanceof IgorError) || error.code !== 'NOT_AUTHORITATIVE') throw error
      const later = `its witness has a later history of ${chain.agent} than this file`
      throw new IgorError('NOT_AUTHORITATIVE', `${later}: go on from that one with igor recover ${chain.agent}`, { cause: error })
    })
    return cosigned.at(-1) ?? recover
  }
  // One that comes after a witness that is gone begins with the whole history.
  const answer = await link.commit({ agent: chain.agent, records: all, blocks: [], read }, context.signal)
  if (answer.kind !== 'cosigned') throw new IgorError('NOT_AUTHORITATIVE', `the new witness does not take ${chain.agent}`)
  return answer.record
}

const rowsOf = (agent: string, file: AgentFile): (readonly [string, Uint8Array])[] => {
  const { module } = file.chain
  const root = file.blocks.get(module.toString())
  const modules = new Set([module, ...(root === undefined ? [] : moduleParts(module, root))].map(String))
  // What came along to be judged stays behind.
  const needed = new Set([...neededBlocks(file.chain, file.records, (cid) => file.blocks.get(cid.toString()))].map(String))
  return [...file.blocks].flatMap(([name, bytes]) => {
    if (!needed.has(name)) return []
    const key = modules.has(name) ? keys.module(name) : keys.block(agent, hexOf(CID.parse(name).multihash.digest))
    return [[key, bytes] as const]
  })
}
