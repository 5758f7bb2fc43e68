/**
 * A witness: orders the histories of the agents that name it (docs/design.md, section 6). Blocks and the new
 * head are durable, in one transaction that compares the head's row, before a cosignature leaves.
 *
 * @module
 */
import { type Chain, keyOfPeerId, LINEAGE_DOMAIN, type LineageRecord, type Sign, signedMessage } from '@igor/lineage'
import type { CID } from 'multiformats/cid'
import type { WitnessOptions } from '../api.ts'
import { LEASE_MS, MAX_LEASE_MS, MIN_LEASE_MS } from '../authority/lease.ts'
import { type Claim, type CommitAnswer, type CommitRequest, type Grant, type RenewAnswer, refuse } from '../authority/witness.ts'
import { IgorError } from '../errors.ts'
import type { Clock, Crypto, Store } from '../platform.ts'
import { digestOf, type Entry, type LeaseRow, sameBytes } from './entry.ts'
import { type Head, isAbove, judgeShown } from './head.ts'
import { createHeads } from './heads.ts'
import { witnessKeys } from './keys.ts'
import { type Release, readRelease } from './release.ts'
import { createSettle } from './settle.ts'

/** A holder's clock may be ahead of the witness's by this much: a time once taken stays the agent's. */
const MAX_AHEAD_MS = 5 * 60_000
const DEFAULT_MAX_AGENTS = 1000
/** Agents that one peer may bring. */
const MAX_PER_PEER = 200

export interface WitnessService {
  /** Peer id of its key. */
  readonly id: string
  readonly incarnation: Uint8Array
  /** @throws IgorError NOT_AUTHORITATIVE when the record is refused for good; AGENT_HALTED when the agent is frozen; QUOTA */
  commit(peer: string, request: CommitRequest): Promise<CommitAnswer>
  renew(peer: string, agent: string, claim: Claim): Promise<RenewAnswer>
  /** Bytes that a holder signed beforehand: it goes away. Ignored unless they fit the head and its lease. */
  release(bytes: Uint8Array): Promise<boolean>
  /** The history up to the head. */
  records(agent: string): Promise<readonly LineageRecord[] | undefined>
  chain(agent: string): Promise<Chain | undefined>
  block(agent: string, cid: CID): Promise<Uint8Array | undefined>
  agents(): Promise<readonly string[]>
  /** Lets a peer read all that is kept of an agent, while it is offered it: until the returned function is called. */
  open(agent: string, peer: string): () => void
  serves(agent: string, peer: string): boolean
  /** Milliseconds until it may move the agent; undefined: never, as things stand. */
  takeoverIn(agent: string): Promise<number | undefined>
  /** A history that another witness is to hand over to this one, when its holder has not brought it to an end within a lease. */
  unfinished(agent: string): Promise<Head | undefined>
  /** Throws if it would not take this agent from that peer. @throws IgorError QUOTA */
  welcome(peer: string, agent: string): Promise<void>
  /** Cosigns a record of its own making, on top of `chain`'s head, unless that changed. */
  put(chain: Chain, record: LineageRecord): Promise<LineageRecord>
  readonly sign: Sign
}

export interface ServiceOptions {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly store: Store
  /** Peer id of the witness's key. */
  readonly id: string
  readonly sign: Sign
  readonly incarnation: Uint8Array
  readonly options: WitnessOptions
  /** A peer shows records, not verified, that do not go together with the head. */
  readonly onother?: (peer: string, head: Head, records: readonly LineageRecord[]) => Promise<void>
}

export const openWitness = (given: ServiceOptions): WitnessService => {
  const { clock, crypto, store, id, sign, incarnation, options } = given
  const leaseMs = Math.min(MAX_LEASE_MS, Math.max(MIN_LEASE_MS, options.leaseMs ?? LEASE_MS))
  const shared = options.shared !== undefined
  const heads = createHeads({ clock, crypto, store, incarnation, leaseMs, shared })
  const { swapping, writeRow, claim, grant, leaseOver } = heads
  const settle = createSettle({ clock, crypto, store, id, sign, incarnation, heads })
  /** Agents that this process first took from a peer. */
  const brought = new Map<string, number>()
  const readers = new Set<string>()
  const sound = new Set<string>()

  const admit = async (peer: string): Promise<void> => {
    if (options.allow !== undefined && !options.allow.includes(peer))
      throw new IgorError('QUOTA', 'this witness takes agents of peers on its list only')
    if ((brought.get(peer) ?? 0) >= MAX_PER_PEER)
      throw new IgorError('QUOTA', `this witness keeps ${MAX_PER_PEER} agents of that peer already`)
    const max = options.maxAgents ?? DEFAULT_MAX_AGENTS
    if ((await store.list(witnessKeys.heads)).length >= max)
      throw new IgorError('QUOTA', `this witness keeps ${max} agents already`)
  }

  const checkTimes = (records: readonly LineageRecord[]): void => {
    const now = Number(clock.now() / 1_000_000n)
    const ahead = Math.max(...records.map(({ body }) => body.time - now))
    if (ahead > MAX_AHEAD_MS)
      throw new IgorError('BAD_REQUEST', `that node's clock is ${Math.round(ahead / 1000)} s ahead of the witness's`)
  }

  /** An owner's recover takes the agent from a holder: only when that one has stopped. */
  const checkRecover = (entry: Entry | undefined, fresh: readonly LineageRecord[]): void => {
    const recovers = fresh.some(({ body }) => body.kind === 'recover')
    if (!recovers || entry === undefined || entry.head.chain.authority.status !== 'held') return
    const left = leaseOver(entry)
    if (left > 0)
      throw new IgorError(
        'LEASE_HELD',
        `its holder may still run it for ${Math.ceil(left / 1000)} s: try again when that has passed`,
      )
  }

  /** Checkpoints of the holder, checked by the platform: most of what comes, and most of what it costs. */
  const checkSigned = async (entry: Entry | undefined, records: readonly LineageRecord[]): Promise<Set<LineageRecord>> => {
    const signed = new Set<LineageRecord>()
    const authority = entry?.head.chain.authority
    if (crypto.verify === undefined || authority?.status !== 'held' || !sound.has(authority.by)) return signed
    const key = keyOfPeerId(authority.by)
    for (const record of records) {
      if (record.body.kind !== 'checkpoint') continue
      const { body, signature } = record.signed
      if (await crypto.verify(signedMessage(LINEAGE_DOMAIN, body), signature, key)) signed.add(record)
    }
    return signed
  }

  /** What it holds is this witness's to lease. */
  const isHolder = ({ authority, changing, witness }: Chain, peer: string): boolean =>
    authority.status === 'held' && authority.by === peer && changing === null && witness === id

  const commit: WitnessService['commit'] = async (peer, request) => {
    const { agent, records } = request
    if (records.some(({ body }) => body.agent !== agent))
      throw new IgorError('BAD_REQUEST', 'records of another agent were shown')
    return swapping(agent, async (entry): Promise<CommitAnswer> => {
      if (entry?.head.frozen != null) throw new IgorError('AGENT_HALTED', `its witness has frozen ${agent}: ${entry.head.frozen}`)
      const judged = judgeShown(entry?.head, id, records, await checkSigned(entry, records))
      if (entry !== undefined && (judged.kind === 'stale' || judged.kind === 'freeze'))
        await given.onother?.(peer, entry.head, records)
      switch (judged.kind) {
        case 'history':
          return { kind: 'history' }
        case 'stale':
          throw refuse(judged.why)
        case 'early':
          throw new IgorError('BAD_REQUEST', judged.why)
        case 'freeze':
          if (entry !== undefined) await writeRow(agent, entry, { ...entry.row, frozen: judged.why })
          throw new IgorError('AGENT_HALTED', `its witness has frozen ${agent}: ${judged.why}`)
        case 'again': {
          if (entry === undefined) return { kind: 'history' }
          const holds = isHolder(entry.head.chain, peer) && judged.record.id.equals(entry.head.chain.head.id)
          const leased = holds ? await grant(agent, entry, peer) : entry
          return { kind: 'cosigned', record: judged.record, ...(holds ? grantOf(leased.row.lease) : {}) }
        }
        case 'adopt':
        case 'extend': {
          if (entry === undefined) await admit(peer)
          const { chain } = judged
          // It signed a record that the one implementation took: its key is none of the odd ones.
          if (chain.head.body.kind === 'checkpoint' && chain.authority.status === 'held') sound.add(chain.authority.by)
          const grown = judged.kind === 'adopt' ? judged.records : [...(entry?.head.records ?? []), ...judged.fresh]
          if (judged.kind === 'extend') {
            checkTimes(judged.fresh)
            checkRecover(entry, judged.fresh)
          }
          if (chain.changing !== null) checkTimes(records.slice(-1))
          const holds = isHolder(chain, peer)
          const next = { chain, records: grown, confirms: holds || judged.kind === 'extend', holder: holds ? peer : undefined }
          const base = shared && entry !== undefined ? await claim(agent, entry) : entry
          const record = await settle(peer, base, next, request)
          if (entry === undefined) brought.set(peer, (brought.get(peer) ?? 0) + 1)
          return { kind: 'cosigned', record, ...(holds ? grantOf(heads.known(agent)?.row.lease ?? null) : {}) }
        }
      }
    })
  }

  const renew: WitnessService['renew'] = (peer, agent, claim) =>
    swapping(agent, async (entry): Promise<RenewAnswer> => {
      if (entry === undefined) return { kind: 'history' }
      const { chain, frozen } = entry.head
      if (frozen !== null) return { kind: 'frozen', why: frozen }
      const { head, authority } = chain
      const shown = { body: { epoch: claim.epoch, seq: claim.seq } }
      const same = head.id.equals(claim.id)
      if (!same && isAbove(shown as LineageRecord, head)) return { kind: 'history' }
      const to = authority.status === 'offered' ? authority.ready.to : authority.by
      if (authority.status !== 'held' || authority.by !== peer) return { kind: 'deposed', by: to }
      // Who names this witness, or names another one, has to show that the one before has agreed.
      if (chain.changing !== null) return { kind: 'history' }
      if (!same || chain.witness !== id)
        return { kind: 'later', head: { epoch: head.body.epoch, seq: head.body.seq, id: head.id } }
      const { row } = await grant(agent, entry, peer)
      return { kind: 'lease', lease: { id: row.lease?.id ?? new Uint8Array(16), ms: leaseMs } }
    })

  /** A holder that goes may not have had the answer to its last record: then its word names the one before. */
  const isLastWord = ({ row, head: { records } }: Entry, head: CID): boolean =>
    row.id.equals(head) || records.at(-1)?.body.prev?.equals(head) === true

  const fits = (entry: Entry | undefined, { epoch, head, lease, by }: Release): entry is Entry =>
    entry?.head.chain.authority.status === 'held' &&
    entry.head.chain.authority.by === by &&
    entry.row.epoch === epoch &&
    isLastWord(entry, head) &&
    sameBytes(entry.row.lease?.id, lease) &&
    entry.row.lease?.released === false

  return {
    id,
    incarnation,
    sign,
    commit,
    renew,
    release: async (bytes) => {
      const release = readRelease(bytes)
      return swapping(release.agent, async (entry) => {
        if (!fits(entry, release) || entry.row.lease === null) return false
        const lease = { ...entry.row.lease, released: true }
        if (shared) await writeRow(release.agent, entry, { ...entry.row, lease })
        else heads.set(release.agent, { ...entry, row: { ...entry.row, lease }, seen: clock.elapsed() })
        return true
      })
    },
    records: (agent) => swapping(agent, async (entry) => entry?.head.records),
    chain: (agent) => swapping(agent, async (entry) => entry?.head.chain),
    block: (agent, cid) => store.get(witnessKeys.block(agent, digestOf(cid))),
    open: (agent, peer) => {
      const name = `${agent} ${peer}`
      readers.add(name)
      return () => void readers.delete(name)
    },
    serves: (agent, peer) => readers.has(`${agent} ${peer}`),
    agents: async () => (await store.list(witnessKeys.heads)).map((key) => key.slice(witnessKeys.heads.length)),
    takeoverIn: (agent) =>
      swapping(agent, async (entry) => {
        if (entry === undefined || entry.head.frozen !== null || !sameBytes(entry.row.incarnation, incarnation)) return undefined
        const { authority, changing, witness } = entry.head.chain
        const left = leaseOver(entry)
        if (authority.status === 'retired' || changing !== null || witness !== id) return undefined
        if (authority.status !== 'offered' || authority.recover) return left
        return Math.max(left, authority.ready.expiry - Number(clock.now() / 1_000_000n))
      }),
    unfinished: (agent) =>
      swapping(agent, async (entry) => {
        const waits = entry !== undefined && entry.head.chain.changing !== null && leaseOver(entry) === 0
        return waits ? entry.head : undefined
      }),
    welcome: (peer, agent) =>
      swapping(agent, async (entry) => {
        if (entry === undefined) await admit(peer)
      }),
    put: (chain, record) =>
      swapping(chain.agent, async (entry) => {
        const { agent } = chain
        if (
          entry === undefined ||
          !entry.head.chain.head.id.equals(chain.head.id) ||
          entry.head.frozen !== null ||
          chain.witness !== id ||
          leaseOver(entry) > 0
        )
          throw refuse('its head changed, or its holder is back')
        const judged = judgeShown(entry.head, id, [record])
        if (judged.kind !== 'extend') throw refuse('it does not extend the head')
        const fetch = (): never => {
          throw refuse('blocks that it needs are missing')
        }
        const next = { chain: judged.chain, records: [...entry.head.records, record], confirms: false, holder: undefined }
        return settle(id, entry, next, { agent, blocks: [], fetch })
      }),
  }
}

const grantOf = (lease: LeaseRow | null): { lease: Grant } | undefined =>
  lease === null ? undefined : { lease: { id: lease.id, ms: lease.ms } }
