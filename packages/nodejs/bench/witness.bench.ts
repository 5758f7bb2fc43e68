/**
 * Commits a second of one witness in one process: records of many agents, each a journal's segment, their signatures
 * checked, blocks and heads durable in the real store, cosigned.
 *
 * @module
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLogStore } from '@igor/core'
import {
  agentSeed,
  buildMemory,
  type Checkpoint,
  cborCid,
  didOf,
  encodeState,
  extendChain,
  type Genesis,
  type LineageRecord,
  peerIdOf,
  publicKeyOf,
  rawCid,
  signRecord,
  startChain,
} from '@igor/lineage'
import { encode } from '@ipld/dag-cbor'
import { median, report } from '../../../scripts/bench-report.mjs'
import { openWitness } from '../../core/src/witness/service.ts'
import { nodeClock, nodeCrypto, openFiles } from '../src/index.ts'

const AGENTS = 200
const COMMITS = 20
const ROUNDS = 3
/** 2,000 a second. */
const TARGET_MS = 0.5

const clock = nodeClock()
const crypto = nodeCrypto()
const folder = await mkdtemp(join(tmpdir(), 'igor-bench-'))
const seed = crypto.random(32)
const signer = await crypto.signer(seed)
const host = peerIdOf(signer.publicKey)
const witnessSeed = crypto.random(32)
const witnessSigner = await crypto.signer(witnessSeed)
const id = peerIdOf(publicKeyOf(witnessSeed))
const now = Date.now()

const blocks = new Map<string, Uint8Array>()
const put = <T extends { toString(): string }>(cid: T, bytes: Uint8Array): T => {
  blocks.set(cid.toString(), bytes)
  return cid
}
const raw = (bytes: Uint8Array) => put(rawCid(bytes), bytes)
const module = raw(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0))
const manifest = raw(new TextEncoder().encode('{}'))
const hostPart = put(cborCid(encode({})), encode({}))
const chunks = Array.from({ length: 32 }, (_, i) => [i, raw(new Uint8Array(4096).fill(i + 1)).multihash.digest] as const)
const encoded = encodeState({ version: 1, memory: buildMemory(131_072, chunks), globals: [], host: hostPart })
const state = put(encoded.cid, encoded.bytes)

interface History {
  readonly agent: string
  readonly birth: readonly LineageRecord[]
  readonly later: readonly (readonly [record: LineageRecord, journal: Uint8Array])[]
}

const historyOf = async (): Promise<History> => {
  const nonce = crypto.random(32)
  const owner = await crypto.signer(agentSeed(crypto.random(32), nonce))
  const agent = didOf(owner.publicKey)
  const genesis: Genesis = {
    ...{
      kind: 'genesis',
      version: 1,
      agent,
      seq: 0,
      prev: null,
      anchor: null,
      epoch: 1,
      time: now,
      nonce,
      name: 'x',
      module,
      manifest,
    },
    ...{ init: null, budget: 0n, price: 0n, authority: host, incarnation: new Uint8Array(16), witness: id },
  }
  let chain = startChain(await signRecord(genesis, (message) => owner.sign(message)))
  const next = async (more: Pick<Checkpoint, 'journal' | 'state' | 'from'>): Promise<LineageRecord> => {
    const { head, anchor, tick } = chain
    const body: Checkpoint = {
      ...{
        kind: 'checkpoint',
        agent,
        seq: head.body.seq + 1,
        prev: head.id,
        anchor: anchor.id,
        epoch: 1,
        time: now,
        tick: tick + 1,
      },
      ...{ module, manifest, instrument: 1, costTable: 0, fuel: 0n, cost: 0n, price: 0n, budget: 0n, orders: [], ...more },
    }
    const record = await signRecord(body, (message) => signer.sign(message))
    chain = extendChain(chain, record, { trusted: true })
    return record
  }
  const first = await next({ journal: null, state, from: null })
  const birth = [chain.genesis, first]
  const later: [LineageRecord, Uint8Array][] = []
  for (let i = 0; i < COMMITS; i++) {
    const journal = crypto.random(200)
    later.push([await next({ journal: rawCid(journal), state: null, from: first.id }), journal])
  }
  return { agent, birth, later }
}

const rates: number[] = []
/** Milliseconds of processor, all threads', of each commit: on one core no more fit into a second. */
const costs: number[] = []
for (let round = 0; round < ROUNDS; round++) {
  const store = await openLogStore(await openFiles(join(folder, `data-${round}`)), { random: (length) => crypto.random(length) })
  const sign = (message: Uint8Array) => witnessSigner.sign(message)
  const witness = openWitness({ clock, crypto, store, id, sign, incarnation: crypto.random(16), options: {} })
  const histories: History[] = []
  for (let i = 0; i < AGENTS; i++) histories.push(await historyOf())
  const fetch = async (want: readonly { toString(): string }[]) =>
    want.map((cid) => blocks.get(cid.toString()) ?? new Uint8Array())
  for (const { agent, birth } of histories) await witness.commit(host, { agent, records: birth, blocks: [], fetch })
  const before = process.cpuUsage()
  const began = performance.now()
  await Promise.all(
    histories.map(async ({ agent, later }) => {
      for (const [record, journal] of later) {
        const answer = await witness.commit(host, { agent, records: [record], blocks: [journal], fetch })
        if (answer.kind !== 'cosigned') throw new Error(answer.kind)
      }
    }),
  )
  const { user, system } = process.cpuUsage(before)
  costs.push((user + system) / 1000 / (AGENTS * COMMITS))
  rates.push((AGENTS * COMMITS) / ((performance.now() - began) / 1000))
  await store.close()
}
await rm(folder, { recursive: true })
const rate = median(rates)
report({
  what: 'a commit at a witness',
  value: median(costs),
  unit: 'ms of processor',
  atMost: TARGET_MS,
  note: `${Math.round(1000 / median(costs))} a second of one core; ${rate.toFixed(0)} came to pass, of ${AGENTS} agents, in one process, with its own store`,
})
