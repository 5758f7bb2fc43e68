/**
 * The lineage as a pure reducer: a verified chain and one record give the next chain or an error.
 * Who may write which record, and what it may say, is here and nowhere else (docs/design.md,
 * section 5).
 *
 * Epochs, in full: genesis starts epoch 1. A checkpoint, handoff or retire carries the current epoch.
 * The answer to a handoff (accept or refuse) carries the next one, and so does the accept with which a
 * refused handoff's signer goes on. A recover by the agent's key carries the current epoch + 2^32, and
 * the answer to it *the same* epoch: the recover has made the epoch, its `to` takes it. A recover by
 * the witness carries the current epoch + 1, and its answer the same.
 *
 * @module
 */
import { equalBytes } from './bytes.ts'
import { cosignatureOf, verifyCosignature, witnessOrdered } from './cosign.ts'
import { LineageError } from './errors.ts'
import { keyOfDid, keyOfPeerId } from './identity.ts'
import {
  answerRules,
  checkOrders,
  type Fail,
  holder,
  progressRules,
  readEmbedded,
  recoverRules,
  termsOrdered,
  type Verify,
} from './rules.ts'
import { LINEAGE_DOMAIN, verifySigned } from './signing.ts'
import type { Authority, Body, BodyKind, Chain, Genesis, LineageRecord } from './types.ts'

/** How far the agent's key jumps: past every epoch that hosts it does not know of can have reached. */
export const RECOVER_EPOCHS = 2 ** 32

export interface ExtendOptions {
  /** Records between head and this one may be missing: plain checkpoints that were pruned. */
  readonly gap?: boolean
  /**
   * Skips every signature check: only for a record that this process has just signed, around a ready
   * and orders that it has read with `readReady` and `readOrder`.
   */
  readonly trusted?: boolean
  /**
   * Embedded readies and orders whose signatures this process has checked (`readReady`, `readOrder`) or made:
   * they are not checked again where the record embeds exactly these bytes.
   */
  readonly known?: readonly Uint8Array[]
  /** The record is judged before its witness has cosigned it: for the witness, and whoever brings it there. */
  readonly proposed?: boolean
  /** The record's own signature was checked by other means that never say yes where `verifySigned` says no. */
  readonly signed?: boolean
}

const ANCHORS: ReadonlySet<BodyKind> = new Set(['genesis', 'handoff', 'accept', 'refuse', 'recover', 'retire'])

/** It moved authority, or changed the witness: where there is a witness, it has to say so. */
export function movesAuthority(record: LineageRecord): boolean {
  return ANCHORS.has(record.body.kind) || witnessOrdered(record) !== undefined
}

/**
 * Whether later records link to this one as their anchor, so that it can never be pruned: it moved authority, or
 * applied an order that changed the witness, the budget or the module.
 */
export function isAnchor(record: LineageRecord): boolean {
  if (movesAuthority(record)) return true
  if (record.body.kind !== 'checkpoint' || record.body.orders.length === 0) return false
  const { funds, modules } = termsOrdered(record.body.orders)
  return funds > 0n || modules.length > 0
}

const isGenesis = (record: LineageRecord): record is LineageRecord<Genesis> => record.body.kind === 'genesis'

/**
 * @throws LineageError NOT_GENESIS | BAD_SEQ | BAD_PREV | BAD_ANCHOR | BAD_EPOCH | BAD_SIGNATURE | BAD_COSIGNATURE
 */
export function startChain(genesis: LineageRecord): Chain {
  const fail = failure(genesis)
  if (!isGenesis(genesis)) throw fail('NOT_GENESIS', `a lineage starts with a genesis, not with a ${genesis.body.kind}`)
  const { body } = genesis
  if (body.seq !== 0) throw fail('BAD_SEQ', 'a genesis has seq 0')
  if (body.prev !== null) throw fail('BAD_PREV', 'a genesis has nothing before it')
  if (body.anchor !== null) throw fail('BAD_ANCHOR', 'a genesis has nothing before it')
  if (body.epoch !== 1) throw fail('BAD_EPOCH', 'a genesis starts epoch 1')
  if (!verifySigned(LINEAGE_DOMAIN, genesis.signed, keyOfDid(body.agent))) {
    throw fail('BAD_SIGNATURE', `the genesis is not signed by the key of ${body.agent}`)
  }
  checkCosignatures(genesis, [body.witness], fail)
  return {
    agent: body.agent,
    genesis,
    head: genesis,
    anchor: genesis,
    epoch: 1,
    tick: 0,
    authority: { status: 'held', by: body.authority, incarnation: body.incarnation },
    module: body.module,
    witness: body.witness,
    cosigned: cosignatureOf(genesis, body.witness) === undefined ? null : genesis,
    changing: null,
    progress: null,
    state: null,
    lastOrder: 0,
    budget: body.budget,
    price: body.price,
    billed: { fuel: 0n, cost: 0n },
    hosts: [{ peer: body.authority, epoch: 1, tick: 0, since: body.time }],
    records: 1,
    asserted: [],
  }
}

/**
 * The chain with one more record. Its signature is checked last, as it costs the most.
 *
 * With `gap`, a checkpoint or handoff may follow records that were pruned: they can only have been plain
 * checkpoints of the same authority, since its anchor is still the chain's and its epoch the same. Other
 * kinds say nothing of progress, so what stands before them must be there: a chain's tick, state and
 * budget are always the last ones.
 *
 * @param record from `decodeRecord` or `signRecord`
 * @throws LineageError whose `record` is this record's CID
 */
export function extendChain(chain: Chain, record: LineageRecord, options: ExtendOptions = {}): Chain {
  const fail = failure(record)
  const { body } = record
  if (body.agent !== chain.agent) throw fail('WRONG_AGENT', `it belongs to ${body.agent}, the chain to ${chain.agent}`)
  // Only its holder writes on before both witnesses have cosigned: nothing of that counts until they have.
  if (chain.changing !== null && options.trusted !== true)
    throw fail('NOT_COSIGNED', 'the change of witness before it counts only with the cosignatures of both')
  checkLinks(chain, record, options.gap === true)
  const signer = checkAllowed(chain, record)
  checkEpoch(chain, body, signer, fail)
  // Only a signer's own clock is held against it: two hosts' clocks differ.
  if (body.epoch === chain.epoch && signer === signerOfHead(chain) && body.time < chain.head.body.time) {
    throw fail('BAD_TIME', 'its time lies before that of the record before it, by the same signer')
  }
  const { known = [] } = options
  const verify: Verify = (bytes) => options.trusted !== true && !known.some((one) => equalBytes(one, bytes))
  const next = apply(chain, record, verify)
  const checked = options.trusted === true || options.signed === true
  if (!checked && !verifySigned(LINEAGE_DOMAIN, record.signed, keyOf(signer))) {
    throw fail('BAD_SIGNATURE', `it must be signed by ${signer}`)
  }
  if (options.trusted === true) return next
  for (const witness of options.proposed === true ? [] : cosigners(chain, record)) {
    if (cosignatureOf(record, witness) === undefined)
      throw fail('NOT_COSIGNED', `it counts only with the cosignature of the witness ${witness}`)
  }
  checkCosignatures(record, [chain.witness, next.witness, next.changing?.to ?? null], fail)
  return next
}

/** Witnesses without whose cosignature the record has not happened: it moves authority, or changes the witness. */
export function cosigners(chain: Chain, record: LineageRecord): readonly string[] {
  const { body } = record
  const named = witnessOrdered(record)
  const needed =
    body.kind === 'recover' && body.asserts === 'witness-gone'
      ? [body.witness]
      : named !== undefined
        ? [named, chain.witness]
        : movesAuthority(record)
          ? [chain.witness]
          : []
  return [...new Set(needed.filter((one) => one != null))]
}

/** Those that are there are good, and by a witness of the agent's. */
function checkCosignatures(record: LineageRecord, witnesses: readonly (string | null)[], fail: Fail): void {
  for (const cosignature of record.cosignatures) {
    if (!witnesses.includes(cosignature.by)) throw fail('BAD_COSIGNATURE', `${cosignature.by} is not its witness`)
    if (!verifyCosignature(record, cosignature))
      throw fail('BAD_COSIGNATURE', `its cosignature is not by its witness ${cosignature.by}`)
  }
}

/**
 * Verifies a whole history.
 *
 * @param records oldest first, genesis first; plain checkpoints may be left out where `extendChain` allows a gap
 * @throws LineageError
 */
export function verifyChain(records: Iterable<LineageRecord>): Chain {
  let chain: Chain | undefined
  for (const record of records) chain = chain === undefined ? startChain(record) : extendChain(chain, record, { gap: true })
  if (chain === undefined) throw new LineageError('NOT_GENESIS', 'a lineage has at least a genesis')
  return chain
}

/**
 * What is left when every record is dropped that the rest can be verified without, and that neither
 * going on nor a recovery can need. What stays: anchors, the head, the record before each retire and
 * each recover (they name no progress of their own), what a record without a state rests on, and the
 * last that applied an order (so that none can be applied again).
 *
 * @param records oldest first
 * @param window keeps at least this many of the latest records, for peers that are a little behind
 */
export function pruneRecords(records: readonly LineageRecord[], window = 1): readonly LineageRecord[] {
  const kept: LineageRecord[] = []
  let ordered = false
  for (const record of records.toReversed()) {
    const next = kept.at(-1)?.body
    // Whatever has progress and a state of its own makes the checkpoint before it dispensable.
    const whole = (next?.kind === 'checkpoint' || next?.kind === 'handoff') && next.state !== null
    const orders = 'orders' in record.body && record.body.orders.length > 0
    if (!isAnchor(record) && whole && kept.length >= window && (ordered || !orders)) continue
    kept.push(record)
    ordered ||= orders
  }
  return kept.reverse()
}

/** Errors that name their record. */
function failure(record: LineageRecord): Fail {
  const { kind, seq } = record.body
  return (code, message) => new LineageError(code, `${kind} ${seq}: ${message}`, { record: record.id.toString() })
}

function keyOf(signer: string): Uint8Array {
  return signer.startsWith('did:') ? keyOfDid(signer) : keyOfPeerId(signer)
}

function checkLinks(chain: Chain, record: LineageRecord, gap: boolean): void {
  const fail = failure(record)
  const { body } = record
  const next = chain.head.body.seq + 1
  if (body.seq !== next) {
    if (!gap || body.seq < next) throw fail('BAD_SEQ', `its seq must be ${next}`)
    if (body.kind !== 'checkpoint' && body.kind !== 'handoff') {
      throw fail('BAD_SEQ', `a ${body.kind} must follow directly on the record before it, of seq ${body.seq - 1}`)
    }
  }
  if (body.prev === null || (body.seq === next && !body.prev.equals(chain.head.id))) {
    throw fail('BAD_PREV', `it must follow on ${chain.head.id}`)
  }
  if (body.anchor === null || !body.anchor.equals(chain.anchor.id))
    throw fail('BAD_ANCHOR', `its anchor must be ${chain.anchor.id}`)
}

/** The one who must have signed, as a peer id or the agent's DID; or the kind cannot stand here. */
function checkAllowed(chain: Chain, record: LineageRecord): string {
  const { kind } = record.body
  const { authority } = chain
  if (kind === 'recover') return recoverer(chain, record)
  const allowed: Record<Authority['status'], readonly BodyKind[]> = {
    held: ['checkpoint', 'handoff', 'retire'],
    offered: ['accept', 'refuse'],
    refused: ['accept'],
    retired: [],
    vacant: [],
  }
  if (!allowed[authority.status].includes(kind)) {
    throw failure(record)('NOT_ALLOWED', `a ${kind} cannot stand where authority is ${authority.status}`)
  }
  return authority.status === 'offered' ? authority.ready.to : authority.by
}

/** The agent's key, or the witness, which goes on by one epoch unless the agent was given up. */
function recoverer(chain: Chain, { body }: LineageRecord): string {
  const byWitness = chain.witness !== null && chain.authority.status !== 'retired' && body.epoch === chain.epoch + 1
  return byWitness ? (chain.witness ?? chain.agent) : chain.agent
}

function signerOfHead(chain: Chain): string | undefined {
  const { authority, head } = chain
  return head.body.kind === 'genesis' ? chain.agent : authority.by
}

function checkEpoch(chain: Chain, body: Body, signer: string, fail: Fail): void {
  const { authority, epoch } = chain
  const takes = (authority.status === 'offered' && !authority.recover) || authority.status === 'refused'
  const ahead = signer === chain.agent ? RECOVER_EPOCHS : 1
  const wanted = body.kind === 'recover' ? epoch + ahead : takes ? epoch + 1 : epoch
  if (body.epoch !== wanted) throw fail('BAD_EPOCH', `its epoch must be ${wanted}`)
}

/** The chain with one of its records as it came back with cosignatures; a change of witness may have happened by it. */
export function withCosigned(chain: Chain, record: LineageRecord): Chain {
  const same = (one: LineageRecord): LineageRecord => (one.id.equals(record.id) ? record : one)
  const next = { ...chain, head: same(chain.head), anchor: same(chain.anchor) }
  const { changing } = chain
  if (changing === null || !changing.record.id.equals(record.id)) return { ...next, cosigned: record }
  const { from, to } = changing
  if ([from, to].some((one) => one !== null && cosignatureOf(record, one) === undefined))
    return { ...next, changing: { record, from, to } }
  return { ...next, witness: to, cosigned: to === null ? null : record, changing: null }
}

/** The change of witness that a record orders, as long as it lacks a cosignature that it needs. */
function changeBy(chain: Chain, record: LineageRecord): Chain['changing'] {
  const to = witnessOrdered(record)
  const lacks = to !== undefined && cosigners(chain, record).some((one) => cosignatureOf(record, one) === undefined)
  return lacks ? { record, from: chain.witness, to } : chain.changing
}

function cosignedIn(chain: Chain, record: LineageRecord, witness: string | null): LineageRecord | null {
  if (cosignatureOf(record, witness) !== undefined) return record
  return witness === chain.witness ? chain.cosigned : null
}

/** What the record says, held against the chain; the chain after it. */
function apply(chain: Chain, record: LineageRecord, verify: Verify): Chain {
  const fail = failure(record)
  const { body } = record
  const moved = isAnchor(record) ? record : chain.anchor
  const ordered = witnessOrdered(record)
  const changing = changeBy(chain, record)
  const witness = ordered === undefined || changing !== null ? chain.witness : ordered
  const next = {
    ...chain,
    head: record,
    anchor: moved,
    epoch: body.epoch,
    records: chain.records + 1,
    witness,
    cosigned: changing === null ? cosignedIn(chain, record, witness) : chain.cosigned,
    changing,
  }
  switch (body.kind) {
    case 'checkpoint':
    case 'handoff': {
      const progress = record as LineageRecord<typeof body>
      progressRules(chain, body, fail)
      const lastOrder = checkOrders(chain, body, verify, fail)
      const state = body.state === null ? chain.state : progress
      const { tick, budget, module } = body
      const said = { ...next, tick, progress, state, lastOrder, budget, module }
      if (body.kind === 'checkpoint') return said
      const ready = readEmbedded(chain, body.ready, verify, fail)
      return { ...said, authority: { ...holder(chain, fail), status: 'offered', ready, recover: false } }
    }
    case 'retire':
      return {
        ...next,
        lastOrder: checkOrders(chain, body, verify, fail),
        authority: { status: 'retired', by: holder(chain, fail).by },
      }
    case 'recover': {
      const ready = readEmbedded(chain, body.ready, verify, fail)
      const by = recoverer(chain, record)
      recoverRules(chain, body, ready, by, fail)
      const asserted = body.asserts === null ? chain.asserted : [...chain.asserted, { record: record.id, asserts: body.asserts }]
      const authority: Authority = { status: 'offered', by, ready, recover: true }
      if (body.asserts !== 'witness-gone') return { ...next, asserted, authority }
      const { witness = null } = body
      return { ...next, asserted, authority, witness, cosigned: cosignedIn(chain, record, witness) }
    }
    case 'refuse': {
      const { authority } = chain
      if (authority.status !== 'offered') throw fail('NOT_ALLOWED', 'nothing was offered')
      // After a refused recover nobody holds the agent, as after a retire: only the owner can go on.
      if (authority.recover)
        return { ...next, authority: { status: authority.by === chain.agent ? 'retired' : 'vacant', by: authority.ready.to } }
      return { ...next, authority: { status: 'refused', by: authority.by, incarnation: authority.incarnation } }
    }
    case 'accept': {
      const { authority } = chain
      const terms =
        authority.status === 'offered'
          ? { by: authority.ready.to, incarnation: authority.ready.incarnation, price: authority.ready.price }
          : authority.status === 'refused'
            ? { by: authority.by, incarnation: authority.incarnation, price: chain.price }
            : undefined
      if (terms === undefined) throw fail('NOT_ALLOWED', 'nothing was offered')
      answerRules(chain, body, terms, fail)
      return {
        ...next,
        authority: { status: 'held', by: terms.by, incarnation: body.incarnation },
        price: body.price,
        billed: { fuel: chain.progress?.body.fuel ?? 0n, cost: chain.progress?.body.cost ?? 0n },
        hosts: [...chain.hosts, { peer: terms.by, epoch: body.epoch, tick: chain.tick, since: body.time }],
      }
    }
    case 'genesis':
      throw fail('NOT_ALLOWED', 'a genesis stands only at the start')
  }
}
