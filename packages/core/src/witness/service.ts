/**
 * A witness: orders the histories of the agents that name it (docs/design.md, section 6). Blocks and the new
 * head are durable, in one transaction that compares the head's row, before a cosignature leaves.
 *
 * @module
 */
import {
  type Chain,
  cosign,
  keyOfPeerId,
  LINEAGE_DOMAIN,
  type LineageRecord,
  type Sign,
  type StateBlock,
  signedMessage,
  withCosignatures,
} from '@igor/lineage'
import type { CID } from 'multiformats/cid'
import { hexOf } from '../agent/blocks.ts'
import { createKeyedSerial } from '../agent/serial.ts'
import type { WitnessOptions } from '../api.ts'
import { LEASE_MS, MAX_LEASE_MS, MIN_LEASE_MS } from '../authority/lease.ts'
import { ConflictError, IgorError } from '../errors.ts'
import type { Clock, Crypto, Store } from '../platform.ts'
import {
  checkBlockSize,
  digestOf,
  type Entry,
  encodeHeadRow,
  type HeadRow,
  type LeaseRow,
  loadEntry,
  needsOf,
  sameBytes,
} from './entry.ts'
import { type Head, isAbove, judgeShown, keep } from './head.ts'
import { witnessKeys } from './keys.ts'
import { type Release, readRelease } from './release.ts'

/** What is left of a lease when its holder says that it goes: a tab that reloads is back in less. */
export const RELEASE_MS = 1500
/** A holder's clock may be ahead of the witness's by this much: a time once taken stays the agent's. */
const MAX_AHEAD_MS = 5 * 60_000
const DEFAULT_MAX_AGENTS = 1000
/** Agents that one peer may bring. */
const MAX_PER_PEER = 200
/** Blocks asked for at once. */
export const MAX_WANT = 256
/** Of one agent: its memory at its largest, module, journal, and one state more while it changes. */
const MAX_AGENT_BLOCKS = 40_000
/** Times that a row may have changed under one commit: another relay is at work. */
const MAX_SWAPS = 5

export interface Grant {
  readonly id: Uint8Array
  readonly ms: number
}

export interface CommitRequest {
  readonly agent: string
  /** Oldest first: those after the head, or all from genesis. */
  readonly records: readonly LineageRecord[]
  /** Sent along unasked. */
  readonly blocks: readonly Uint8Array[]
  /** Gets what is missing, at most 256 at a time. */
  fetch(want: readonly CID[]): Promise<readonly Uint8Array[]>
}

export type CommitAnswer =
  /** The last record, cosigned; the lease if it makes the peer that brought it the holder. */
  { readonly kind: 'cosigned'; readonly record: LineageRecord; readonly lease?: Grant } | { readonly kind: 'history' }

export interface Claim {
  readonly epoch: number
  readonly seq: number
  /** The last record that the holder knows to be cosigned. */
  readonly id: CID
}

export type RenewAnswer =
  | { readonly kind: 'lease'; readonly lease: Grant }
  /** This witness has not seen so much: show it. */
  | { readonly kind: 'history' }
  /** Later records are cosigned. */
  | { readonly kind: 'later'; readonly head: Claim }
  /** Somebody else has it, or will. */
  | { readonly kind: 'deposed'; readonly by: string }
  | { readonly kind: 'frozen'; readonly why: string }

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

const refuse = (why: string): IgorError => new IgorError('NOT_AUTHORITATIVE', `the witness refuses it: ${why}`)

export const openWitness = (given: ServiceOptions): WitnessService => {
  const { clock, crypto, store, id, sign, incarnation, options } = given
  const leaseMs = Math.min(MAX_LEASE_MS, Math.max(MIN_LEASE_MS, options.leaseMs ?? LEASE_MS))
  const shared = options.shared !== undefined
  const started = clock.elapsed()
  const entries = new Map<string, Entry>()
  const serialOf = createKeyedSerial()
  /** Agents that this process first took from a peer. */
  const brought = new Map<string, number>()
  const readers = new Set<string>()
  const sound = new Set<string>()

  const load = async (agent: string): Promise<Entry | undefined> => {
    const known = entries.get(agent)
    if (known !== undefined && !shared) return known
    const bytes = known === undefined ? undefined : await store.get(witnessKeys.head(agent))
    if (known !== undefined && sameBytes(bytes, known.rowBytes)) return known
    // Alone, no lease can have been granted since the start without being known here.
    const loaded = await loadEntry(store, agent, shared ? clock.elapsed() : started)
    if (loaded !== undefined) entries.set(agent, loaded)
    return loaded
  }

  /** Repeats what lost against another relay, from the row as it is then. */
  const swapping = <T>(agent: string, task: (entry: Entry | undefined) => Promise<T>): Promise<T> =>
    serialOf(agent)(async () => {
      for (let swaps = 0; ; swaps++) {
        try {
          return await task(await load(agent))
        } catch (error) {
          if (!(error instanceof ConflictError) || swaps >= MAX_SWAPS) throw error
          entries.delete(agent)
        }
      }
    })

  const leaseOver = ({ row, seen }: Entry): number => {
    const { lease } = row
    const ms = lease?.released === true ? RELEASE_MS : Math.max(leaseMs, lease?.ms ?? 0)
    return Math.max(0, seen + ms - clock.elapsed())
  }

  const nextLease = (row: HeadRow | undefined, holder: string): LeaseRow => {
    const before = row?.lease
    const goesOn = before?.holder === holder && !before.released
    return {
      id: goesOn ? before.id : crypto.random(16),
      holder,
      n: (before?.n ?? 0) + 1,
      ms: leaseMs,
      released: false,
    }
  }

  const grantOf = (lease: LeaseRow | null): { lease: Grant } | undefined =>
    lease === null ? undefined : { lease: { id: lease.id, ms: lease.ms } }

  const writeRow = async (agent: string, entry: Entry, row: HeadRow): Promise<Entry> => {
    const rowBytes = encodeHeadRow(row)
    await store.commit({ put: [[witnessKeys.head(agent), rowBytes]], expect: [[witnessKeys.head(agent), entry.rowBytes]] })
    const next = { ...entry, row, rowBytes, head: { ...entry.head, frozen: row.frozen }, seen: clock.elapsed() }
    entries.set(agent, next)
    return next
  }

  /**
   * Before blocks are counted on: another relay may be about to remove some that its head did without. It does so only
   * while the row is as it left it.
   */
  const claim = async (agent: string, entry: Entry): Promise<Entry> => {
    const touched = await writeRow(agent, entry, { ...entry.row, claim: crypto.random(16) })
    const prefix = witnessKeys.blocks(agent)
    const held = new Set((await store.list(prefix)).map((key) => key.slice(prefix.length)))
    const next = { ...touched, held }
    entries.set(agent, next)
    return next
  }

  /** Grants, and remembers that the holder itself was heard: whose word a new incarnation needs. */
  const grant = async (agent: string, entry: Entry, holder: string): Promise<Entry> => {
    const lease = nextLease(entry.row, holder)
    const confirms = !sameBytes(entry.row.incarnation, incarnation)
    // Alone, what is in memory is enough: after a start nothing is taken over for a whole lease.
    if (shared || confirms) return writeRow(agent, entry, { ...entry.row, incarnation, lease })
    const next = { ...entry, row: { ...entry.row, lease }, seen: clock.elapsed() }
    entries.set(agent, next)
    return next
  }

  const admit = async (peer: string): Promise<void> => {
    if (options.allow !== undefined && !options.allow.includes(peer))
      throw new IgorError('QUOTA', 'this witness takes agents of peers on its list only')
    if ((brought.get(peer) ?? 0) >= MAX_PER_PEER)
      throw new IgorError('QUOTA', `this witness keeps ${MAX_PER_PEER} agents of that peer already`)
    const max = options.maxAgents ?? DEFAULT_MAX_AGENTS
    if ((await store.list(witnessKeys.heads)).length >= max)
      throw new IgorError('QUOTA', `this witness keeps ${max} agents already`)
  }

  interface Next {
    readonly chain: Chain
    readonly records: readonly LineageRecord[]
    readonly confirms: boolean
    readonly holder: string | undefined
  }

  /** Collects what the head needs, then makes all of it durable with the head, and gives the cosignature. */
  const settle = async (
    peer: string,
    entry: Entry | undefined,
    { chain, records, confirms, holder }: Next,
    request: Pick<CommitRequest, 'agent' | 'blocks' | 'fetch'>,
  ): Promise<LineageRecord> => {
    const { agent } = request
    const pushed = new Map<string, Uint8Array>()
    const digests = await crypto.sha256(request.blocks)
    for (const [i, bytes] of request.blocks.entries()) {
      checkBlockSize(peer, bytes)
      pushed.set(hexOf(digests[i] ?? new Uint8Array()), bytes)
    }
    const held = entry?.held ?? new Set<string>()
    const available = {
      has: (digest: string) => pushed.has(digest) || held.has(digest),
      get: async (digest: string) => pushed.get(digest) ?? (await store.get(witnessKeys.block(agent, digest))),
    }
    const gone = chain.authority.status === 'retired'
    const before = entry?.head.chain.state?.id
    const sameState = before !== undefined && chain.state?.id.equals(before) === true
    let all: ReadonlySet<string> = new Set()
    let state: StateBlock | undefined
    while (!gone) {
      const needs = await needsOf({ chain, records }, available, entry?.state, sameState)
      all = needs.all
      state = needs.state
      if (all.size > MAX_AGENT_BLOCKS) throw new IgorError('QUOTA', `${agent} needs more blocks than a witness keeps`)
      if (needs.missing.length === 0) break
      await bring(peer, agent, needs.missing.slice(0, MAX_WANT), held, request)
    }
    const last = records.at(-1)
    if (last === undefined) throw refuse('no record was shown')
    const mine = await cosign(last, id, incarnation, sign)
    const others = last.cosignatures.filter(({ by }) => by !== id)
    const record = withCosignatures(last, [...others, mine])
    const kept = keep([...records.slice(0, -1), record])
    const stays = new Set(kept.map(({ body }) => witnessKeys.record(agent, body.epoch, body.seq)))
    const lease = holder === undefined ? (entry?.row.lease ?? null) : nextLease(entry?.row, holder)
    const row: HeadRow = {
      epoch: chain.head.body.epoch,
      seq: chain.head.body.seq,
      id: chain.head.id,
      incarnation: confirms ? incarnation : (entry?.row.incarnation ?? incarnation),
      frozen: null,
      lease: gone ? null : lease,
    }
    const rowBytes = encodeHeadRow(row)
    const known = entry === undefined ? [] : entry.head.records
    const garbage = [...held].filter((digest) => !all.has(digest))
    await store.commit({
      put: [
        ...[...pushed]
          .filter(([digest]) => all.has(digest) && !held.has(digest))
          .map(([digest, bytes]) => [witnessKeys.block(agent, digest), bytes] as const),
        ...kept
          .filter((one) => !known.includes(one))
          .map((one) => [witnessKeys.record(agent, one.body.epoch, one.body.seq), one.bytes] as const),
        [witnessKeys.head(agent), rowBytes],
      ],
      remove: [
        ...garbage.map((digest) => witnessKeys.block(agent, digest)),
        ...known.map(({ body }) => witnessKeys.record(agent, body.epoch, body.seq)).filter((key) => !stays.has(key)),
      ],
      expect: [[witnessKeys.head(agent), entry?.rowBytes]],
    })
    const nowHeld = new Set([...held, ...pushed.keys()].filter((digest) => all.has(digest)))
    const cosigned: Chain = {
      ...chain,
      head: record,
      cosigned: record,
      ...(chain.anchor.id.equals(record.id) ? { anchor: record } : {}),
    }
    entries.set(agent, {
      head: { chain: cosigned, records: kept, frozen: null },
      row,
      rowBytes,
      held: nowHeld,
      state,
      seen: clock.elapsed(),
    })
    return record
  }

  /** Gets missing blocks and keeps them, though not yet for sure: the commit of the head makes them durable. */
  const bring = async (
    peer: string,
    agent: string,
    want: readonly CID[],
    held: Set<string>,
    request: Pick<CommitRequest, 'fetch'>,
  ): Promise<void> => {
    const blocks = await request.fetch(want)
    const digests = await crypto.sha256(blocks)
    const wanted = new Set(want.map(digestOf))
    const put: (readonly [string, Uint8Array])[] = []
    for (const [i, bytes] of blocks.entries()) {
      checkBlockSize(peer, bytes)
      const digest = hexOf(digests[i] ?? new Uint8Array())
      if (!wanted.delete(digest)) throw new IgorError('PROTOCOL_VIOLATION', `peer ${peer} sent a block that was not asked for`)
      put.push([witnessKeys.block(agent, digest), bytes])
    }
    if (wanted.size > 0) throw refuse(`${wanted.size} of the blocks that it needs are missing`)
    await store.commit({ put, durable: false })
    for (const digest of digests) held.add(hexOf(digest))
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
        case 'freeze':
          if (entry !== undefined) await writeRow(agent, entry, { ...entry.row, frozen: judged.why })
          throw new IgorError('AGENT_HALTED', `its witness has frozen ${agent}: ${judged.why}`)
        case 'again': {
          if (entry === undefined) return { kind: 'history' }
          const { authority } = entry.head.chain
          const holds = authority.status === 'held' && authority.by === peer
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
          const holds = chain.authority.status === 'held' && chain.authority.by === peer
          const next = { chain, records: grown, confirms: holds || judged.kind === 'extend', holder: holds ? peer : undefined }
          const base = shared && entry !== undefined ? await claim(agent, entry) : entry
          const record = await settle(peer, base, next, request)
          if (entry === undefined) brought.set(peer, (brought.get(peer) ?? 0) + 1)
          return { kind: 'cosigned', record, ...(holds ? grantOf(entries.get(agent)?.row.lease ?? null) : {}) }
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
      if (!same) return { kind: 'later', head: { epoch: head.body.epoch, seq: head.body.seq, id: head.id } }
      const { row } = await grant(agent, entry, peer)
      return { kind: 'lease', lease: { id: row.lease?.id ?? new Uint8Array(16), ms: leaseMs } }
    })

  const fits = (entry: Entry | undefined, { epoch, head, lease, by }: Release): entry is Entry =>
    entry?.head.chain.authority.status === 'held' &&
    entry.head.chain.authority.by === by &&
    entry.row.epoch === epoch &&
    entry.row.id.equals(head) &&
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
        else entries.set(release.agent, { ...entry, row: { ...entry.row, lease }, seen: clock.elapsed() })
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
        const { authority } = entry.head.chain
        const left = leaseOver(entry)
        if (authority.status === 'retired') return undefined
        if (authority.status !== 'offered' || authority.recover) return left
        return Math.max(left, authority.ready.expiry - Number(clock.now() / 1_000_000n))
      }),
    put: (chain, record) =>
      swapping(chain.agent, async (entry) => {
        const { agent } = chain
        if (
          entry === undefined ||
          !entry.head.chain.head.id.equals(chain.head.id) ||
          entry.head.frozen !== null ||
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
