import { cosignatureOf, type LineageRecord, verifyChain, verifyCosignature } from '@igor/lineage'
import type { CID } from 'multiformats/cid'
import { beforeEach, describe, expect, it } from 'vitest'
import type { WitnessOptions } from '../api.ts'
import type { CommitAnswer } from '../authority/witness.ts'
import { testCrypto } from '../node/fixtures/world.ts'
import type { Store } from '../platform.ts'
import { openLogStore } from '../store/log-store.ts'
import { type Disk, makeDisk } from '../testing/memory-files.ts'
import {
  a,
  accept,
  agent,
  b,
  bare,
  born,
  c,
  cosignedAs,
  type History,
  handClock,
  handOver,
  type Peer,
  readBlock,
  recover,
  tick,
  walter,
} from './fixtures/kit.ts'
import { makeRelease } from './release.ts'
import { openWitness, type WitnessService } from './service.ts'

const { random } = testCrypto

describe('a witness', () => {
  let clock: ReturnType<typeof handClock>
  let disk: Disk
  let store: Store
  let witness: WitnessService
  const fetched: CID[] = []

  const open = async (incarnation = walter.incarnation, options: WitnessOptions = {}): Promise<void> => {
    store = await openLogStore(disk.open(), { random })
    witness = openWitness({ clock, crypto: testCrypto, store, id: walter.id, sign: walter.sign, incarnation, options })
  }
  const restart = async (incarnation?: Uint8Array): Promise<void> => {
    await store.close()
    await open(incarnation)
  }
  beforeEach(async () => {
    clock = handClock()
    disk = makeDisk()
    fetched.length = 0
    await open()
  })

  const fetch = async (want: readonly CID[]): Promise<Uint8Array[]> => {
    fetched.push(...want)
    return (await Promise.all(want.map(readBlock))).filter((bytes) => bytes !== undefined)
  }
  const show = (records: readonly LineageRecord[], by: Peer = a, blocks: readonly Uint8Array[] = []): Promise<CommitAnswer> =>
    witness.commit(by.id, { agent, records, blocks, fetch })
  const cosigned = async (history: History, by: Peer = a, from = 0): Promise<History> => {
    const answer = await show(history.records.slice(from), by)
    if (answer.kind !== 'cosigned') throw new Error(answer.kind)
    return cosignedAs(history, answer.record)
  }
  const claimOf = ({ chain: { head } }: History) => ({ epoch: head.body.epoch, seq: head.body.seq, id: head.id })
  const living = async (): Promise<History> => cosigned(await tick(await born()))

  it('cosigns the first head, grants the lease to the holder, and keeps all that it needs', async () => {
    const history = await tick(await born())
    const answer = await show(history.records)
    if (answer.kind !== 'cosigned') throw new Error(answer.kind)
    expect(answer.lease).toMatchObject({ ms: 15_000 })
    const cosignature = cosignatureOf(answer.record, walter.id)
    expect(cosignature && verifyCosignature(answer.record, cosignature)).toBe(true)
    expect(new Set(fetched.map(String)).size).toBe(6)
    const kept = verifyChain((await witness.records(agent)) ?? [])
    expect(kept.head.id).toEqual(history.chain.head.id)
    for (const cid of fetched) expect(await witness.block(agent, cid)).toEqual(await readBlock(cid))
  })

  it('cosigns nothing without every block, and a commit costs only the blocks that changed', async () => {
    const history = await tick(await born())
    const less = witness.commit(a.id, {
      agent,
      records: history.records,
      blocks: [],
      fetch: async (want) => (await fetch(want)).slice(1),
    })
    await expect(less).rejects.toMatchObject({ code: 'NOT_AUTHORITATIVE', message: expect.stringContaining('missing') })
    expect(await witness.records(agent)).toBeUndefined()
    const first = await cosigned(history)
    fetched.length = 0
    const second = await cosigned(await tick(first), a, 2)
    // The state, and the chunk that changed; host and the other chunk are there.
    expect(fetched).toHaveLength(2)
    fetched.length = 0
    await cosigned(await bare(second), a, 3)
    expect(fetched).toHaveLength(1)
  })

  it('takes blocks that come unasked, if their hash is needed, and forgets what the head needs no more', async () => {
    const first = await living()
    const second = await tick(first)
    const state = second.chain.state?.body.state
    if (state == null) throw new Error('no state')
    const bytes = await readBlock(state)
    fetched.length = 0
    await show(second.records.slice(2), a, [bytes ?? new Uint8Array(), Uint8Array.of(1, 2, 3)])
    expect(fetched).toHaveLength(1)
    const old = first.chain.state?.body.state
    if (old == null) throw new Error('no state')
    expect(await witness.block(agent, old)).toBeUndefined()
    expect(await witness.block(agent, state)).toEqual(bytes)
    expect(await store.list(`witness/${agent}/block/`)).toHaveLength(6)
  })

  it('gives a resubmitted head its cosignature again, also after a restart', async () => {
    const history = await living()
    const again = await show(history.records.slice(-1))
    await restart()
    const later = await show(history.records.slice(-1))
    for (const answer of [again, later])
      expect(answer).toMatchObject({ kind: 'cosigned', record: { bytes: history.records.at(-1)?.bytes }, lease: { ms: 15_000 } })
  })

  it('gives what moved authority its cosignature again though more came after it, and no lease with it', async () => {
    const moved = await cosigned(await accept(await cosigned(await handOver(await living(), b), a, 2), b), b, 3)
    const left = await cosigned(await handOver(moved, a, b), b, 4)
    const answer = await show(moved.records.slice(3), b)
    expect(answer).toMatchObject({ kind: 'cosigned', record: { bytes: moved.records.at(-1)?.bytes } })
    expect(answer).not.toHaveProperty('lease')
    expect((await witness.chain(agent))?.head.id).toEqual(left.chain.head.id)
  })

  it('refuses for good what does not follow on the head, and its head stays', async () => {
    const history = await living()
    const one = await tick(history)
    await cosigned(one, a, 2)
    const two = await bare(history)
    const beyond = await tick(await tick(history, a, 5))
    for (const records of [two.records.slice(2), beyond.records.slice(2), beyond.records.slice(3), history.records.slice(0, 2)])
      await expect(show(records)).rejects.toMatchObject({ code: 'NOT_AUTHORITATIVE' })
    expect((await witness.chain(agent))?.head.id).toEqual(one.chain.head.id)
  })

  it('refuses what its author may not write, or what lies over five minutes ahead', async () => {
    const history = await living()
    await expect(show((await tick(history, b)).records.slice(2), b)).rejects.toMatchObject({ code: 'BAD_SIGNATURE' })
    const ahead = await tick(history, a, 2_000_000)
    await expect(show(ahead.records.slice(2))).rejects.toMatchObject({ code: 'BAD_REQUEST' })
    const moved = await cosigned(await accept(await cosigned(await handOver(history, b), a, 2), b), b, 3)
    await expect(show((await tick(history)).records.slice(2))).rejects.toMatchObject({ code: 'NOT_AUTHORITATIVE' })
    expect(moved.chain.authority.by).toBe(b.id)
  })

  it('gives the lease to whoever holds the agent, and to nobody else', async () => {
    const history = await living()
    expect(await witness.renew(a.id, agent, claimOf(history))).toMatchObject({ kind: 'lease', lease: { ms: 15_000 } })
    expect(await witness.renew(b.id, agent, claimOf(history))).toEqual({ kind: 'deposed', by: a.id })
    const open = await cosigned(await handOver(history, b), a, 2)
    expect(await witness.renew(a.id, agent, claimOf(open))).toEqual({ kind: 'deposed', by: b.id })
    const answer = await show((await accept(open, b)).records.slice(3), b)
    expect(answer).toMatchObject({ kind: 'cosigned', lease: { ms: 15_000 } })
    expect(await witness.renew(a.id, agent, claimOf(open))).toEqual({ kind: 'deposed', by: b.id })
  })

  it('tells a holder that is behind or ahead of it', async () => {
    const first = await living()
    const second = await cosigned(await tick(first), a, 2)
    expect(await witness.renew(a.id, agent, claimOf(first))).toEqual({ kind: 'later', head: claimOf(second) })
    expect(await witness.renew(a.id, agent, claimOf(await tick(second)))).toEqual({ kind: 'history' })
  })

  it('takes nothing over before the lease is over, and for one lease after a start', async () => {
    const history = await living()
    clock.move(14_999)
    expect(await witness.takeoverIn(agent)).toBe(1)
    await witness.renew(a.id, agent, claimOf(history))
    expect(await witness.takeoverIn(agent)).toBe(15_000)
    const taken = await recover(history, b, walter)
    const record = taken.chain.head
    await expect(witness.put(history.chain, record)).rejects.toMatchObject({ code: 'NOT_AUTHORITATIVE' })
    clock.move(14_000)
    await restart()
    expect(await witness.takeoverIn(agent)).toBe(15_000)
    clock.move(15_000)
    expect(await witness.takeoverIn(agent)).toBe(0)
    const done = await witness.put(history.chain, record)
    expect(cosignatureOf(done, walter.id)).toBeDefined()
    // The one before is deposed, whatever it writes.
    await expect(show((await tick(history)).records.slice(2))).rejects.toMatchObject({ code: 'NOT_AUTHORITATIVE' })
  })

  it('waits for the target of a handoff until its ready expires', async () => {
    const history = await living()
    await cosigned(await handOver(history, b, a, 1_800_000_060_000), a, 2)
    clock.move(59_000)
    expect(await witness.takeoverIn(agent)).toBe(1000)
  })

  it('of a new incarnation takes over nothing before the holder has shown itself', async () => {
    const history = await living()
    await restart(new Uint8Array(16).fill(99))
    clock.move(60_000)
    expect(await witness.takeoverIn(agent)).toBeUndefined()
    await witness.renew(a.id, agent, claimOf(history))
    expect(await witness.takeoverIn(agent)).toBe(15_000)
    await restart(new Uint8Array(16).fill(99))
    clock.move(15_000)
    expect(await witness.takeoverIn(agent)).toBe(0)
  })

  it('that lost its store takes up a history at its own cosignature, and no older branch after that', async () => {
    const history = await cosigned(await tick(await living()), a, 2)
    disk = makeDisk()
    await restart(new Uint8Array(16).fill(99))
    expect(await witness.renew(a.id, agent, claimOf(history))).toEqual({ kind: 'history' })
    expect(await show(history.records.slice(-1))).toEqual({ kind: 'history' })
    const on = await tick(history)
    const answer = await show(on.records)
    expect(answer).toMatchObject({ kind: 'cosigned', record: { id: on.chain.head.id } })
    await expect(show((await tick(history, a, 3)).records.slice(3))).rejects.toMatchObject({ code: 'NOT_AUTHORITATIVE' })
  })

  it('with an older store adopts what it cosigned later, or freezes the agent when that diverges', async () => {
    const first = await living()
    const copy = disk.copy()
    const second = await cosigned(await tick(first), a, 2)
    const moved = await cosigned(await accept(await cosigned(await handOver(second, b), a, 3), b), b, 4)
    disk = copy
    await restart()
    expect(await show(moved.records.slice(-1), b)).toEqual({ kind: 'history' })
    expect(await show(moved.records, b)).toMatchObject({ kind: 'cosigned', lease: { ms: 15_000 } })
    expect((await witness.chain(agent))?.authority.by).toBe(b.id)
  })

  it('freezes an agent of which it is shown its own cosignature on another branch, and cosigns nothing more', async () => {
    const first = await living()
    const copy = disk.copy()
    const left = await cosigned(await accept(await cosigned(await handOver(first, b), a, 2), b), b, 3)
    const later = await cosigned(await tick(left, b), b, 4)
    disk = copy
    await restart()
    const right = await cosigned(await accept(await cosigned(await handOver(first, c), a, 2), c), c, 3)
    await expect(show(later.records, b)).rejects.toMatchObject({
      code: 'AGENT_HALTED',
      message: expect.stringContaining('two histories'),
    })
    await expect(show((await tick(right, c)).records.slice(4), c)).rejects.toMatchObject({ code: 'AGENT_HALTED' })
    await restart()
    expect(await witness.renew(c.id, agent, claimOf(right))).toMatchObject({ kind: 'frozen' })
    clock.move(60_000)
    expect(await witness.takeoverIn(agent)).toBeUndefined()
  })

  it('shortens the lease when the holder says that it goes, and the holder may come back', async () => {
    const history = await living()
    const answer = await witness.renew(a.id, agent, claimOf(history))
    if (answer.kind !== 'lease') throw new Error(answer.kind)
    const release = { agent, epoch: 1, head: history.chain.head.id, lease: answer.lease.id, by: a.id }
    const bytes = await makeRelease(release, a.sign)
    for (const wrong of [
      { ...release, lease: new Uint8Array(16) },
      { ...release, epoch: 2 },
      { ...release, head: history.chain.module },
      { ...release, by: b.id },
    ])
      expect(await witness.release(await makeRelease(wrong, wrong.by === a.id ? a.sign : b.sign))).toBe(false)
    await expect(makeRelease(release, b.sign).then(witness.release)).rejects.toMatchObject({ code: 'BAD_MESSAGE' })
    expect(await witness.takeoverIn(agent)).toBe(15_000)
    expect(await witness.release(bytes)).toBe(true)
    expect(await witness.takeoverIn(agent)).toBe(1500)
    clock.move(1000)
    expect(await witness.renew(a.id, agent, claimOf(history))).toMatchObject({ kind: 'lease' })
    expect(await witness.takeoverIn(agent)).toBe(15_000)
    // Said again by somebody who kept the bytes: they fit no lease any more.
    expect(await witness.release(bytes)).toBe(false)
  })

  it('takes the word of a holder that went before the answer to its last record came, and no older word', async () => {
    const history = await living()
    const answer = await witness.renew(a.id, agent, claimOf(history))
    if (answer.kind !== 'lease') throw new Error(answer.kind)
    const release = { agent, epoch: 1, head: history.chain.head.id, lease: answer.lease.id, by: a.id }
    const next = await cosigned(await tick(history, a), a, history.records.length)
    const older = { ...release, head: history.chain.genesis.id }
    expect(await witness.release(await makeRelease(older, a.sign))).toBe(false)
    expect(await witness.takeoverIn(agent)).toBe(15_000)
    expect(await witness.release(await makeRelease(release, a.sign))).toBe(true)
    expect(await witness.takeoverIn(agent)).toBe(1500)
    // Back again, its lease is a new one, of which that word says nothing.
    expect(await witness.renew(a.id, agent, claimOf(next))).toMatchObject({ kind: 'lease' })
    expect(await witness.release(await makeRelease(release, a.sign))).toBe(false)
  })

  it("cosigns an owner's recover only when the holder has stopped", async () => {
    const history = await living()
    const taken = await recover(history, b)
    await expect(show(taken.records.slice(2), b)).rejects.toMatchObject({ code: 'LEASE_HELD' })
    clock.move(15_000)
    const back = await cosigned(await accept(await cosigned(taken, b, 2), b), b, 3)
    expect(back.chain.authority.by).toBe(b.id)
  })

  it('keeps as many agents as it was told, of those peers that it was told', async () => {
    await restart()
    witness = openWitness({
      clock,
      crypto: testCrypto,
      store,
      id: walter.id,
      sign: walter.sign,
      incarnation: walter.incarnation,
      options: { maxAgents: 0 },
    })
    await expect(living()).rejects.toMatchObject({ code: 'QUOTA' })
    witness = openWitness({
      clock,
      crypto: testCrypto,
      store,
      id: walter.id,
      sign: walter.sign,
      incarnation: walter.incarnation,
      options: { allow: [b.id] },
    })
    await expect(living()).rejects.toMatchObject({ code: 'QUOTA' })
  })

  it('is nothing for agents that name another one, or none', async () => {
    for (const other of [b.id, null])
      await expect(tick(await born(a, other)).then((history) => show(history.records))).rejects.toMatchObject({
        code: 'NOT_AUTHORITATIVE',
      })
  })

  it("believes the platform's yes to a signature only of a key that was seen to be sound, and never its no", async () => {
    const asked: Uint8Array[] = []
    let says = true
    const verify = async (_: Uint8Array, signature: Uint8Array): Promise<boolean> => {
      asked.push(signature)
      return says
    }
    const crypto = { ...testCrypto, verify }
    witness = openWitness({
      clock,
      crypto,
      store,
      id: walter.id,
      sign: walter.sign,
      incarnation: walter.incarnation,
      options: {},
    })
    const first = await living()
    expect(asked).toHaveLength(0)
    const second = await cosigned(await tick(first), a, 2)
    expect(asked).toHaveLength(1)
    says = false
    const third = await cosigned(await tick(second), a, 3)
    expect(asked).toHaveLength(2)
    await expect(show((await tick(third, b)).records.slice(4))).rejects.toMatchObject({ code: 'BAD_SIGNATURE' })
  })
})
