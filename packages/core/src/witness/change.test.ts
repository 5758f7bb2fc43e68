import { cosignatureOf, type LineageRecord, verifyChain } from '@igor/lineage'
import { beforeEach, describe, expect, it } from 'vitest'
import type { CommitAnswer, WitnessLink } from '../authority/witness.ts'
import { testCrypto } from '../node/fixtures/world.ts'
import type { Store } from '../platform.ts'
import { openLogStore } from '../store/log-store.ts'
import { type Disk, makeDisk } from '../testing/memory-files.ts'
import { changeOver } from './change.ts'
import {
  a,
  accept,
  agent,
  b,
  born,
  cosignedAs,
  type History,
  handClock,
  handOver,
  type Peer,
  readBlock,
  recover,
  tick,
  toWitness,
  walter,
  wanda,
} from './fixtures/kit.ts'
import { linkToSelf } from './link.ts'
import { openWitness, type WitnessService } from './service.ts'

const { random } = testCrypto

/** A witness that can be started again, on the same disk or on an older one. */
interface Office {
  readonly peer: Peer
  service: WitnessService
  disk: Disk
  restart(disk?: Disk): Promise<void>
}

describe('a change of witness', () => {
  let clock: ReturnType<typeof handClock>
  let old: Office
  let next: Office

  const openOffice = async (peer: Peer): Promise<Office> => {
    let store: Store
    const open = async (disk: Disk): Promise<WitnessService> => {
      store = await openLogStore(disk.open(), { random })
      const { id, sign, incarnation } = peer
      return openWitness({ clock, crypto: testCrypto, store, id, sign, incarnation, options: {} })
    }
    const disk = makeDisk()
    const office: Office = {
      peer,
      disk,
      service: await open(disk),
      restart: async (other = office.disk) => {
        await store.close()
        office.disk = other
        office.service = await open(other)
      },
    }
    return office
  }
  beforeEach(async () => {
    clock = handClock()
    old = await openOffice(walter)
    next = await openOffice(wanda)
  })

  const show = ({ service }: Office, records: readonly LineageRecord[], by: Peer = a): Promise<CommitAnswer> =>
    service.commit(by.id, {
      agent,
      records,
      blocks: [],
      fetch: async (want) => (await Promise.all(want.map(readBlock))).filter((bytes) => bytes !== undefined),
    })
  const cosigned = async (at: Office, history: History, by: Peer = a, from = 0): Promise<History> => {
    const answer = await show(at, history.records.slice(from), by)
    if (answer.kind !== 'cosigned') throw new Error(answer.kind)
    return cosignedAs(history, answer.record)
  }
  const lease = async (at: Office, history: History, by: Peer = a): Promise<string> => {
    const { body, id } = history.chain.head
    return (await at.service.renew(by.id, agent, { epoch: body.epoch, seq: body.seq, id })).kind
  }
  const living = async (): Promise<History> => cosigned(old, await tick(await born()))
  const refused = { code: 'NOT_AUTHORITATIVE' }

  it('is cosigned first by the new one, which leases nothing yet, then by the old one, which leases nothing any more', async () => {
    const asked = await toWitness(await living(), wanda)
    await expect(show(old, asked.records.slice(-1)), 'too early').rejects.toMatchObject({ code: 'BAD_REQUEST' })
    expect(await lease(old, await living())).toBe('lease')
    const first = await show(next, asked.records)
    if (first.kind !== 'cosigned') throw new Error(first.kind)
    expect(first.lease).toBeUndefined()
    const half = cosignedAs(asked, first.record)
    expect(await lease(next, half)).toBe('history')
    await expect(show(next, (await tick(half)).records.slice(-1))).resolves.toEqual({ kind: 'history' })
    await expect(show(next, (await tick(half)).records)).rejects.toMatchObject(refused)
    clock.move(60_000)
    expect(await next.service.takeoverIn(agent)).toBeUndefined()
    expect(await old.service.takeoverIn(agent)).toBe(0)

    const whole = await cosigned(old, half, a, 2)
    expect(verifyChain(whole.records)).toMatchObject({ witness: wanda.id, changing: null })
    expect(await old.service.takeoverIn(agent)).toBeUndefined()
    expect(await lease(old, whole)).toBe('later')
    await expect(show(old, (await tick(whole)).records.slice(-1))).rejects.toMatchObject(refused)
    // Its last answer can be had again.
    expect(await show(old, half.records.slice(-1))).toMatchObject({
      kind: 'cosigned',
      record: { bytes: whole.records.at(-1)?.bytes },
    })
    expect(await show(next, whole.records.slice(-1))).toEqual({ kind: 'history' })
    expect(await show(next, whole.records)).toMatchObject({ kind: 'cosigned', lease: { ms: 15_000 } })
    expect(await next.service.takeoverIn(agent)).toBe(15_000)
    const on = await cosigned(next, await tick(whole), a, 3)
    expect(await lease(next, on)).toBe('lease')
    expect(on.chain.cosigned?.id).toEqual(on.chain.head.id)
  })

  it('keeps nothing of the agent at the old one but its history', async () => {
    const asked = await toWitness(await living(), wanda)
    const state = asked.chain.state?.body.state
    if (state == null) throw new Error('no state')
    const whole = await cosigned(old, await cosigned(next, asked), a, 2)
    expect(await old.service.block(agent, state)).toBeUndefined()
    expect(await next.service.block(agent, state)).toBeDefined()
    const kept = verifyChain((await old.service.records(agent)) ?? [])
    expect(kept).toMatchObject({ witness: wanda.id, head: { id: whole.chain.head.id } })
  })

  it('that the old one gave away before it cosigned has not happened, and the new one never acts on it', async () => {
    const history = await living()
    const half = await cosigned(next, await toWitness(history, wanda))
    clock.move(15_000)
    const taken = await recover(history, b, walter)
    await old.service.put(history.chain, taken.chain.head)
    await expect(show(old, half.records.slice(-1))).rejects.toMatchObject(refused)
    const on = await cosigned(
      old,
      await accept(cosignedAs(taken, (await old.service.chain(agent))?.head ?? taken.chain.head), b),
      b,
      3,
    )
    clock.move(60_000)
    expect(await next.service.takeoverIn(agent)).toBeUndefined()
    // Asked for again, in the epoch that counts, it makes room.
    const again = await toWitness(on, wanda, b)
    const whole = await cosigned(old, await cosigned(next, again, b), b, 4)
    expect(await show(next, whole.records, b)).toMatchObject({ kind: 'cosigned', lease: { ms: 15_000 } })
  })

  it('is cosigned once a slot, whatever a host shows', async () => {
    const history = await living()
    await cosigned(next, await toWitness(history, wanda))
    const other = await toWitness(await tick(history, a, 7), wanda)
    const same = { ...other.records.at(-1)?.body, seq: 2 }
    expect(same.seq).toBe(2)
    await expect(show(next, other.records)).rejects.toMatchObject(refused)
  })

  it('counts only from a history that counts: one that its witness never cosigned is no base', async () => {
    const history = await living()
    const moved = await accept(await handOver(history, b), b)
    await expect(show(next, (await toWitness(moved, wanda, b)).records, b)).rejects.toMatchObject({ code: 'NOT_COSIGNED' })
    expect(await next.service.records(agent)).toBeUndefined()
  })

  it('stands through a restart of either, at any moment', async () => {
    const asked = await toWitness(await living(), wanda)
    const half = await cosigned(next, asked)
    await next.restart()
    expect(await show(next, half.records.slice(-1))).toMatchObject({
      kind: 'cosigned',
      record: { bytes: half.records.at(-1)?.bytes },
    })
    clock.move(60_000)
    expect(await next.service.takeoverIn(agent)).toBeUndefined()
    expect(await next.service.unfinished(agent)).toMatchObject({ chain: { changing: { from: walter.id } } })
    const whole = await cosigned(old, half, a, 2)
    await old.restart()
    clock.move(60_000)
    expect(await old.service.takeoverIn(agent)).toBeUndefined()
    await expect(show(old, (await tick(asked)).records.slice(-1))).rejects.toMatchObject(refused)
    await show(next, whole.records)
    await next.restart()
    expect(await next.service.unfinished(agent)).toBeUndefined()
    expect(await lease(next, whole)).toBe('lease')
  })

  it('goes to none, and back again', async () => {
    const none = await cosigned(old, await toWitness(await living(), null), a, 2)
    expect(verifyChain(none.records)).toMatchObject({ witness: null, changing: null })
    const alone = await tick(none)
    await expect(show(old, alone.records.slice(-1))).rejects.toMatchObject(refused)
    // From none the new one's word is enough, and from it on the agent is its own.
    const back = await cosigned(old, await toWitness(alone, walter))
    expect(verifyChain(back.records)).toMatchObject({ witness: walter.id, changing: null })
    expect(await lease(old, back)).toBe('lease')
    const over = await cosigned(next, await toWitness(back, wanda))
    const there = await cosigned(old, over, a, over.records.length - 1)
    await show(next, there.records)
    const home = await cosigned(old, await toWitness(there, walter))
    const done = await cosigned(next, home, a, home.records.length - 1)
    expect(await show(old, done.records)).toMatchObject({ kind: 'cosigned', lease: { ms: 15_000 } })
    expect(verifyChain(done.records)).toMatchObject({ witness: walter.id })
  })

  it('from none is for the first of two branches', async () => {
    const genesis = await tick(await born(a, null))
    await cosigned(next, await toWitness(genesis, wanda))
    await expect(show(next, (await toWitness(await tick(genesis, a, 4), wanda)).records)).rejects.toMatchObject(refused)
  })

  describe('brought to its end by the holder', () => {
    /** A ledger in memory, and the links of its node; each link may be cut. */
    const holder = (history: History) => {
      let { chain, records } = history
      const ledger = {
        agent,
        get chain() {
          return chain
        },
        get records() {
          return records
        },
        cosigned: async (record: LineageRecord) => {
          ;({ chain, records } = cosignedAs({ chain, records }, record))
        },
      }
      const asked: string[] = []
      const link = async (witness: string): Promise<WitnessLink> => {
        asked.push(witness)
        const { service } = witness === walter.id ? old : next
        return linkToSelf(a.id, service, { mayRead: async () => true, takeover: async () => {} })
      }
      const run = (change: typeof link = link) =>
        changeOver({ ledger, read: readBlock, link: change, signal: new AbortController().signal })
      return { ledger, run, asked, link }
    }

    it('asks the new one first, and each only for what is missing', async () => {
      const { ledger, run, asked } = holder(await toWitness(await living(), wanda))
      await run()
      expect(asked).toEqual([wanda.id, walter.id])
      expect(ledger.chain).toMatchObject({ witness: wanda.id, changing: null })
      const last = ledger.records.at(-1)
      for (const by of [wanda, walter]) expect(last && cosignatureOf(last, by.id)).toBeDefined()
      await run()
      expect(asked).toHaveLength(2)
    })

    it('first has the old one cosign what came before it', async () => {
      const history = await living()
      const { ledger, run, asked } = holder(await toWitness(await tick(await tick(history)), wanda))
      await run()
      expect(asked).toEqual([walter.id, wanda.id, walter.id])
      expect(ledger.chain).toMatchObject({ witness: wanda.id, changing: null })
    })

    it('goes on where an answer was lost, wherever that was', async () => {
      const asked = await toWitness(await living(), wanda)
      for (const lost of [wanda.id, walter.id]) {
        const { ledger, run, link } = holder(asked)
        const deaf = async (witness: string): Promise<WitnessLink> => {
          const at = await link(witness)
          if (witness !== lost) return at
          return {
            ...at,
            commit: async (...given) => {
              await at.commit(...given)
              throw new Error('the line is cut')
            },
          }
        }
        await expect(run(deaf)).rejects.toThrow()
        expect(ledger.chain).toMatchObject({ witness: walter.id, changing: { to: wanda.id } })
        await run()
        expect(ledger.chain).toMatchObject({ witness: wanda.id, changing: null })
      }
    })

    it('does not take the word of the new one for that of the old: only the one in force can say that it is over', async () => {
      const { run, ledger } = holder(await toWitness(await living(), wanda))
      const refuses = async (): Promise<never> => {
        throw Object.assign(new Error('no'), { code: 'NOT_AUTHORITATIVE' })
      }
      const at = linkToSelf(a.id, next.service, { mayRead: async () => true, takeover: async () => {} })
      await expect(run(async () => ({ ...at, commit: refuses }))).rejects.toMatchObject({ code: 'WITNESS_UNREACHABLE' })
      expect(ledger.chain.changing).not.toBeNull()
    })

    it('of which the old one knows better, says so', async () => {
      const history = await living()
      const { run } = holder(await toWitness(history, wanda))
      clock.move(15_000)
      await old.service.put(history.chain, (await recover(history, b, walter)).chain.head)
      await expect(run()).rejects.toMatchObject(refused)
    })
  })
})
