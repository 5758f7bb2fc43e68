/** What the tests build chains from: keys, honest next records, and random honest histories. */
import fc from 'fast-check'
import type { CID } from 'multiformats/cid'
import {
  type Accept,
  agentSeed,
  type Block,
  type Body,
  buildMemory,
  type Chain,
  type Checkpoint,
  cborCid,
  cosign,
  costOf,
  didOf,
  encodeState,
  extendChain,
  type Genesis,
  type Handoff,
  LineageError,
  type LineageErrorCode,
  type LineageRecord,
  makeOrder,
  makeReady,
  type Order,
  type Progress,
  peerIdOf,
  publicKeyOf,
  RECOVER_EPOCHS,
  type Ready,
  type Recover,
  type Refuse,
  type Retire,
  rawCid,
  type Sign,
  signerOfSeed,
  signRecord,
  startChain,
  withCosignatures,
} from './index.ts'

export interface Key {
  readonly seed: Uint8Array
  readonly publicKey: Uint8Array
  readonly sign: Sign
}
export interface Peer extends Key {
  readonly peer: string
  readonly incarnation: Uint8Array
}

const keyOf = (seed: Uint8Array): Key => ({ seed, publicKey: publicKeyOf(seed), sign: signerOfSeed(seed) })
const peerOf = (fill: number): Peer => {
  const key = keyOf(new Uint8Array(32).fill(fill))
  return { ...key, peer: peerIdOf(key.publicKey), incarnation: new Uint8Array(16).fill(fill) }
}

export const nonce = new Uint8Array(32).fill(7)
export const owner = keyOf(agentSeed(new Uint8Array(32).fill(1), nonce))
export const stranger = keyOf(agentSeed(new Uint8Array(32).fill(2), nonce))
export const agent = didOf(owner.publicKey)
export const otherAgent = didOf(stranger.publicKey)
export const peers: readonly Peer[] = [11, 12, 13].map(peerOf)
/** Witnesses: neither is a host. */
export const [walter, wanda] = [21, 22].map(peerOf) as [Peer, Peer]
export const [alice, bob, carol] = peers as [Peer, Peer, Peer]

export const moduleBytes = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0)
export const manifestBytes = new TextEncoder().encode('{"capabilities":{}}')
export const initBytes = Uint8Array.of(1, 2, 3)
/** `{}` in DAG-CBOR: stands for the runtime's part. */
export const hostBytes = Uint8Array.of(0xa0)
export const chunkBytes = [1, 2].map((fill) => new Uint8Array(4096).fill(fill))
export const stateBlock = encodeState({
  version: 1,
  memory: buildMemory(
    65536,
    chunkBytes.map((bytes, index) => [index * 3, rawCid(bytes).multihash.digest] as const),
  ),
  globals: [Uint8Array.of(1, 0, 0, 0)],
  host: cborCid(hostBytes),
})
/** All blocks that an agent of this kit needs. */
export const agentBlocks: readonly Block[] = [
  ...[moduleBytes, manifestBytes, initBytes].map((bytes) => ({ cid: rawCid(bytes), bytes })),
  stateBlock,
  { cid: cborCid(hostBytes), bytes: hostBytes },
  ...chunkBytes.map((bytes) => ({ cid: rawCid(bytes), bytes })),
]

/** 2026-01-01, Unix ms. */
export const BORN = 1_767_225_600_000

export const genesisBody: Genesis = {
  kind: 'genesis',
  version: 1,
  agent,
  seq: 0,
  prev: null,
  anchor: null,
  epoch: 1,
  time: BORN,
  nonce,
  name: 'test agent',
  module: rawCid(moduleBytes),
  manifest: rawCid(manifestBytes),
  init: rawCid(initBytes),
  budget: 1_000_000n,
  price: 1000n,
  authority: alice.peer,
  incarnation: alice.incarnation,
  witness: null,
}

export const born = async (change: Partial<Genesis> = {}): Promise<Chain> =>
  startChain(await signRecord({ ...genesisBody, ...change }, owner.sign))

export const base = (chain: Chain) => ({
  agent: chain.agent,
  seq: chain.head.body.seq + 1,
  prev: chain.head.id,
  anchor: chain.anchor.id,
  epoch: chain.epoch,
  time: chain.head.body.time + 1000,
})

/** Honest progress: `fuel` more than before, billed. */
export const progress = (chain: Chain, ticks = 1, burnt = 0n): Progress => {
  const fuel = (chain.progress?.body.fuel ?? 0n) + burnt
  const before = chain.progress?.body.cost ?? 0n
  const cost = chain.billed.cost + costOf(fuel - chain.billed.fuel, chain.price)
  return {
    journal: null,
    state: stateBlock.cid,
    from: null,
    tick: chain.tick + ticks,
    module: genesisBody.module,
    manifest: genesisBody.manifest,
    instrument: 1,
    costTable: 0,
    fuel,
    cost,
    price: chain.price,
    budget: chain.budget - (cost - before),
    orders: [],
  }
}

export const checkpointBody = (chain: Chain, ticks = 1, burnt = 0n): Checkpoint => ({
  ...base(chain),
  ...progress(chain, ticks, burnt),
  kind: 'checkpoint',
})

export const readyOf = (to: Peer, change: Partial<Ready> = {}): Ready => ({
  agent,
  handoff: new Uint8Array(16).fill(9),
  to: to.peer,
  incarnation: to.incarnation,
  price: 2000n,
  nonce: new Uint8Array(32).fill(8),
  expiry: BORN + 86_400_000,
  ...change,
})
export const readyBytes = async (to: Peer, change: Partial<Ready> = {}): Promise<Uint8Array> =>
  (await makeReady(readyOf(to, change), to.sign)).bytes

export const orderBytes = async (n: number, order: Partial<Order> = {}, sign: Sign = owner.sign): Promise<Uint8Array> =>
  (await makeOrder({ kind: 'pause', agent, n, ...order } as Order, sign)).bytes

export const handoffBody = async (chain: Chain, to: Peer, change: Partial<Ready> = {}): Promise<Handoff> => ({
  ...base(chain),
  ...progress(chain, 0),
  kind: 'handoff',
  ready: await readyBytes(to, change),
})

/** The accept that may stand next: of the one who was offered, or of the one who was refused. */
export const acceptBody = (chain: Chain): Accept => {
  const { authority } = chain
  if (authority.status === 'offered') {
    const { incarnation, price } = authority.ready
    return {
      ...base(chain),
      kind: 'accept',
      epoch: chain.epoch + (authority.recover ? 0 : 1),
      incarnation,
      price,
      budget: chain.budget,
    }
  }
  if (authority.status !== 'refused') throw new Error('nothing to accept')
  return {
    ...base(chain),
    kind: 'accept',
    epoch: chain.epoch + 1,
    incarnation: authority.incarnation,
    price: chain.price,
    budget: chain.budget,
  }
}

export const refuseBody = (chain: Chain): Refuse => ({
  ...base(chain),
  kind: 'refuse',
  epoch: chain.epoch + (chain.authority.status === 'offered' && chain.authority.recover ? 0 : 1),
  code: 'NO_ROOM',
  reason: 'full',
})

export const recoverBody = async (chain: Chain, to: Peer, asserts: Recover['asserts'] = 'holder-gone'): Promise<Recover> => ({
  ...base(chain),
  kind: 'recover',
  epoch: chain.epoch + RECOVER_EPOCHS,
  ready: await readyBytes(to),
  because: 'the disk died',
  asserts,
})

export const retireBody = (chain: Chain): Retire => ({ ...base(chain), kind: 'retire', because: 'done', orders: [] })

export interface History {
  readonly chain: Chain
  readonly records: readonly LineageRecord[]
}

/** Signs and appends; everything is verified. */
export const add = async (history: History, body: Body, by: Key): Promise<History> => {
  const record = await signRecord(body, by.sign)
  return { chain: extendChain(history.chain, record), records: [...history.records, record] }
}
export const start = async (): Promise<History> => {
  const chain = await born()
  return { chain, records: [chain.genesis] }
}

/** With the cosignatures of these witnesses. */
export const cosigned = async <B extends Body>(record: LineageRecord<B>, ...by: readonly Peer[]): Promise<LineageRecord<B>> =>
  withCosignatures(record, await Promise.all(by.map((one) => cosign(record, one.peer, one.incarnation, one.sign))))

/** The same, with what the witnesses of the agent cosign. */
export const addCosigned = async (history: History, body: Body, by: Key, ...witnesses: readonly Peer[]): Promise<History> => {
  const record = await cosigned(await signRecord(body, by.sign), ...witnesses)
  return { chain: extendChain(history.chain, record), records: [...history.records, record] }
}
/** Walter is its witness, and has cosigned its birth. */
export const witnessed = async (): Promise<History> => {
  const genesis = await cosigned(await signRecord({ ...genesisBody, witness: walter.peer }, owner.sign), walter)
  return { chain: startChain(genesis), records: [genesis] }
}

/** As the witness writes it: the next epoch, and nothing asserted. */
export const takeoverBody = async (chain: Chain, to: Peer): Promise<Recover> => ({
  ...(await recoverBody(chain, to, null)),
  epoch: chain.epoch + 1,
})

const holderOf = (chain: Chain): Peer => peers.find(({ peer }) => peer === chain.authority.by) ?? alice

/** alice - checkpoint - handoff to bob - accept - checkpoint. */
export const moved = async (): Promise<History> => {
  let history = await start()
  history = await add(history, checkpointBody(history.chain), alice)
  history = await add(history, await handoffBody(history.chain, bob), alice)
  history = await add(history, acceptBody(history.chain), bob)
  return add(history, checkpointBody(history.chain), bob)
}

/** One step of a random history; what it cannot do where it stands becomes something that it can. */
export interface Step {
  readonly what: 'checkpoint' | 'bare' | 'order' | 'handoff' | 'retire' | 'recover'
  /** Peer, amount, or whether to refuse. */
  readonly n: number
}
export const steps = (maxLength: number): fc.Arbitrary<readonly Step[]> =>
  fc.array(
    fc.record({
      what: fc.constantFrom(
        'checkpoint',
        'checkpoint',
        'checkpoint',
        'bare',
        'order',
        'handoff',
        'handoff',
        'handoff',
        'retire',
        'recover',
      ) as fc.Arbitrary<Step['what']>,
      n: fc.nat(1000),
    }),
    { maxLength },
  )

async function bodyOf(chain: Chain, { what, n }: Step): Promise<readonly [Body, Key]> {
  const to = peers[n % peers.length] ?? alice
  const { authority } = chain
  if (authority.status === 'offered') {
    const by = peers.find(({ peer }) => peer === authority.ready.to) ?? alice
    if (what === 'recover' && n % 2 === 0) return [await recoverBody(chain, by), owner]
    return n % 3 === 0 ? [refuseBody(chain), by] : [acceptBody(chain), by]
  }
  if (authority.status === 'refused') return [acceptBody(chain), holderOf(chain)]
  if (authority.status === 'retired') return [await recoverBody(chain, to, null), owner]
  const by = holderOf(chain)
  const fuel = BigInt(n) * 1_000_003n
  switch (what) {
    case 'checkpoint':
      return [checkpointBody(chain, n % 5, fuel), by]
    case 'bare': {
      const body = checkpointBody(chain, n % 5, fuel)
      return [chain.state === null ? body : { ...body, state: null, from: chain.state.id }, by]
    }
    case 'order':
      return [{ ...checkpointBody(chain), orders: [await orderBytes(chain.lastOrder + 1 + n)] }, by]
    case 'handoff':
      return [{ ...(await handoffBody(chain, to)), ...progress(chain, n % 2, fuel) }, by]
    case 'retire':
      return [retireBody(chain), by]
    case 'recover':
      return [await recoverBody(chain, to), owner]
  }
}

/** A history that honest parties may have written. */
export const live = async (walk: readonly Step[]): Promise<History> => {
  let history = await start()
  for (const step of walk) {
    const [body, by] = await bodyOf(history.chain, step)
    const record = await signRecord(body, by.sign)
    history = { chain: extendChain(history.chain, record, { trusted: true }), records: [...history.records, record] }
  }
  return history
}

/** The code of what `run` throws; anything but a LineageError fails the test. */
export const codeOf = (run: () => unknown): LineageErrorCode | 'accepted' => {
  try {
    run()
    return 'accepted'
  } catch (error) {
    if (error instanceof LineageError) return error.code
    throw error
  }
}

/** Stands for a record that is not there. */
export const fake: CID = cborCid(Uint8Array.of(1))
