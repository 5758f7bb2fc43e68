import { MAX_PROOF_BYTES, peerIdOf, publicKeyOf, signerOfSeed } from '@igor/lineage'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Forks } from '../agent/context.ts'
import type { NodeEvent } from '../api.ts'
import { StoreFullError } from '../errors.ts'
import { keys } from '../keys.ts'
import { createMemoryHub, type MemoryHub } from '../network/memory-hub.ts'
import type { Network, Store } from '../platform.ts'
import { openLogStore } from '../store/log-store.ts'
import { type Disk, makeDisk } from '../testing/memory-files.ts'
import { born, type History, handClock, type Peer, tick } from '../witness/fixtures/kit.ts'
import { testCrypto } from './fixtures/world.ts'
import { FORKS_TOPIC, openForks } from './forks.ts'

const liarOf = (n: number): Peer => {
  const seed = new Uint8Array(32)
  new DataView(seed.buffer).setUint32(0, n + 1)
  return { id: peerIdOf(publicKeyOf(seed)), seed, sign: signerOfSeed(seed), incarnation: seed.slice(0, 16) }
}

/** The histories that a liar wrote. */
const lies = async (liar: Peer): Promise<readonly [History, History]> => {
  const genesis = await born(liar, null)
  return [await tick(genesis, liar), await tick(genesis, liar, 5)]
}

describe('proofs that a node keeps', () => {
  const seed = new Uint8Array(32).fill(5)
  let hub: MemoryHub
  let network: Network
  let disk: Disk
  let store: Store
  let forks: Forks
  let clock: ReturnType<typeof handClock>
  let ended: AbortController
  let events: NodeEvent[]

  const open = async (change: Partial<Store> = {}): Promise<Forks> => {
    const plain = await openLogStore(disk.open(), { random: testCrypto.random })
    store = { ...plain, damaged: false, ...change }
    const report = (event: NodeEvent): void => void events.push(event)
    return openForks({ clock, store, network, peer: network.id, signal: ended.signal, report })
  }
  const reopen = async (change?: Partial<Store>): Promise<void> => {
    forks.close()
    await store.close()
    forks = await open(change)
  }

  beforeEach(async () => {
    hub = createMemoryHub()
    network = hub.join(seed)
    disk = makeDisk()
    clock = handClock()
    ended = new AbortController()
    events = []
    forks = await open()
  })
  afterEach(async () => {
    ended.abort()
    forks.close()
    await store.close()
    await network.close()
  })

  it('are 256, of which the one kept longest goes, also from the disk', async () => {
    await store.commit({
      put: Array.from({ length: 256 }, (_, n) => [keys.fork(liarOf(n).id, 'did:key:z6Mk'), Uint8Array.of(n)] as const),
    })
    await reopen()
    const [first = '', ...others] = (await forks.list()).map(({ signer }) => signer)
    await forks.compare(...(await lies(liarOf(256))))
    for (const again of [false, true]) {
      if (again) await reopen()
      expect(forks.convicts(first)).toBe(false)
      const kept = (await forks.list()).map(({ signer }) => signer)
      expect(new Set(kept)).toEqual(new Set([...others, liarOf(256).id]))
      for (const signer of kept) expect(forks.convicts(signer)).toBe(true)
    }
    // Known already: nothing is reported, or passed on, again.
    events.length = 0
    await forks.compare(...(await lies(liarOf(256))))
    expect(events).toEqual([])
  })

  it('are acted upon though the disk is full', async () => {
    await reopen({ commit: () => Promise.reject(new StoreFullError('no room')) })
    await forks.compare(...(await lies(liarOf(0))))
    expect(forks.convicts(liarOf(0).id)).toBe(true)
    expect(() => forks.check(liarOf(0).id)).toThrow(expect.objectContaining({ code: 'HANDOFF_REJECTED' }))
  })

  it('against this node itself are kept, and do not keep its agents from it', async () => {
    const self: Peer = { id: network.id, seed, sign: signerOfSeed(seed), incarnation: seed.slice(0, 16) }
    await forks.compare(...(await lies(self)))
    expect(await forks.list()).toMatchObject([{ signer: network.id }])
    expect(forks.convicts(network.id)).toBe(false)
    forks.check(network.id)
  })

  it('come of what a peer shows at most once a second, whatever it shows', async () => {
    const [one, two] = [await lies(liarOf(0)), await lies(liarOf(1))]
    const show = ([mine, theirs]: readonly [History, History]): Promise<void> => forks.shown('somebody', mine, theirs.records)
    await show(one)
    await show(two)
    expect(await forks.list()).toHaveLength(1)
    clock.move(1000)
    await show(two)
    expect(await forks.list()).toHaveLength(2)
  })

  it('are told to whoever comes, once; what is too long, or its own word, is not even read', async () => {
    await forks.compare(...(await lies(liarOf(0))))
    const other = hub.join(new Uint8Array(32).fill(6))
    const heard: Uint8Array[] = []
    const first = Promise.withResolvers<void>()
    other.subscribe(FORKS_TOPIC, (message) => {
      heard.push(message)
      first.resolve()
    })
    forks.greet(other.id)
    await first.promise
    const [known] = await forks.list()
    expect(heard).toEqual([known?.bytes])
    forks.greet(other.id)
    events.length = 0
    await other.publish(FORKS_TOPIC, new Uint8Array(MAX_PROOF_BYTES + 1))
    const read = Promise.withResolvers<void>()
    network.subscribe(FORKS_TOPIC, () => read.resolve())
    await other.publish(FORKS_TOPIC, Uint8Array.of(1))
    await read.promise
    expect(events).toMatchObject([{ code: 'PROTOCOL_VIOLATION', peer: other.id }])
    expect(heard).toHaveLength(1)
    await other.close()
  })
})
