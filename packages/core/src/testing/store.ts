import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ConflictError, IgorError, StoreClosedError } from '../errors.ts'
import type { Batch, Store } from '../platform.ts'
import { MAX_KEY, MAX_VALUE, MAX_VITAL } from '../store/limits.ts'
import { everyByte, type Fixture, noise, utf8 } from './fixture.ts'

/** Acceptance suite of `Store`. `make` gives a new, empty place each time. */
export function storeSuite(make: () => Promise<Fixture<Store>>): void {
  describe('Store', () => {
    let fixture: Fixture<Store>
    let store: Store

    beforeEach(async () => {
      fixture = await make()
      store = await fixture.open()
    })
    afterEach(async () => {
      await store.close()
      await fixture.clean()
    })
    const reopen = async () => {
      await store.close()
      store = await fixture.open()
    }

    it('starts empty and undamaged', async () => {
      expect(store.damaged).toBe(false)
      expect(await store.list('')).toEqual([])
      expect(await store.get('nothing')).toBeUndefined()
    })

    it('puts, replaces and removes', async () => {
      await store.commit({
        put: [
          ['a', utf8('1')],
          ['b', utf8('2')],
        ],
      })
      await store.commit({ put: [['a', utf8('3')]], remove: ['b', 'never-there'] })
      expect(await store.get('a')).toEqual(utf8('3'))
      expect(await store.get('b')).toBeUndefined()
      expect(await store.list('')).toEqual(['a'])
    })

    it('removes first, then puts in order: the last one wins', async () => {
      await store.commit({ put: [['a', utf8('1')]] })
      await store.commit({
        remove: ['a'],
        put: [
          ['a', utf8('2')],
          ['a', utf8('3')],
        ],
      })
      expect(await store.get('a')).toEqual(utf8('3'))
      expect(await store.list('')).toEqual(['a'])
    })

    it('lists the keys of a prefix in the order of their characters', async () => {
      const keys = ['a', 'a/', 'a/1', 'a/10', 'a/2', 'a/B', 'a/b', 'a/~', 'a0', 'b/1']
      await store.commit({ put: keys.toReversed().map((key) => [key, utf8(key)] as const) })
      expect(await store.list('')).toEqual(keys)
      expect(await store.list('a/')).toEqual(['a/', 'a/1', 'a/10', 'a/2', 'a/B', 'a/b', 'a/~'])
      expect(await store.list('a/1')).toEqual(['a/1', 'a/10'])
      expect(await store.list('~')).toEqual([])
      expect(await store.list('a/~')).toEqual(['a/~'])
    })

    it('takes keys of every printable character, up to the longest', async () => {
      const all = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join('')
      const longest = 'k'.repeat(MAX_KEY)
      await store.commit({
        put: [
          [all, utf8('all')],
          [longest, utf8('longest')],
        ],
      })
      await reopen()
      expect(await store.get(all)).toEqual(utf8('all'))
      expect(await store.get(longest)).toEqual(utf8('longest'))
      expect(await store.list(all)).toEqual([all])
    })

    it('keeps bytes as they are: none, every one, and a view of others', async () => {
      const whole = noise(1000)
      await store.commit({
        put: [
          ['none', new Uint8Array()],
          ['every', everyByte()],
          ['view', whole.subarray(100, 200)],
        ],
      })
      for (const round of ['fresh', 'reopened']) {
        expect(await store.get('none'), round).toEqual(new Uint8Array())
        expect(await store.get('every'), round).toEqual(everyByte())
        expect(await store.get('view'), round).toEqual(whole.slice(100, 200))
        await reopen()
      }
    })

    it('is not changed through the bytes that it was given or gave', async () => {
      const value = utf8('mine')
      const committed = store.commit({ put: [['a', value]] })
      value.fill(0)
      await committed
      const first = await store.get('a')
      first?.fill(0)
      expect(await store.get('a')).toEqual(utf8('mine'))
    })

    it('keeps big values', async () => {
      const big = noise(MAX_VALUE)
      const many = Array.from({ length: 2000 }, (_, i) => [`chunk/${i}`, noise(4096, i + 1)] as const)
      await store.commit({ put: [['big', big], ...many] })
      await reopen()
      expect(same(await store.get('big'), big)).toBe(true)
      for (const [key, value] of many) expect(same(await store.get(key), value), key).toBe(true)
    })

    it('keeps everything over closing and opening, durable or not', async () => {
      await store.commit({
        put: [
          ['a', utf8('1')],
          ['b', utf8('2')],
        ],
      })
      await store.commit({ put: [['c', utf8('3')]], remove: ['a'], durable: false })
      await reopen()
      expect(await store.list('')).toEqual(['b', 'c'])
      expect(await store.get('b')).toEqual(utf8('2'))
      expect(await store.get('c')).toEqual(utf8('3'))
      expect(store.damaged).toBe(false)
      await store.commit({ put: [['d', utf8('4')]] })
      await reopen()
      expect(await store.list('')).toEqual(['b', 'c', 'd'])
    })

    it('shows a batch that is not durable at once', async () => {
      await store.commit({ put: [['a', utf8('1')]], durable: false })
      expect(await store.get('a')).toEqual(utf8('1'))
      await store.commit({ expect: [['a', utf8('1')]], put: [['a', utf8('2')]], durable: false })
      await store.commit({})
      expect(await store.get('a')).toEqual(utf8('2'))
    })

    describe('conditions', () => {
      beforeEach(() =>
        store.commit({
          put: [
            ['a', utf8('1')],
            ['empty', new Uint8Array()],
          ],
        }),
      )

      it('hold for equal values and absent keys', async () => {
        await store.commit({
          expect: [
            ['a', utf8('1')],
            ['empty', new Uint8Array()],
            ['b', undefined],
          ],
          put: [['b', utf8('2')]],
          remove: ['a'],
        })
        expect(await store.list('')).toEqual(['b', 'empty'])
      })

      it('that do not hold are named, and nothing is written', async () => {
        const failed = store.commit({
          expect: [
            ['a', utf8('2')],
            ['empty', new Uint8Array()],
            ['b', utf8('1')],
            ['c', undefined],
            ['empty', undefined],
          ],
          put: [
            ['c', utf8('2')],
            ['a', utf8('2')],
          ],
          remove: ['empty'],
        })
        const error = await failed.catch((error: unknown) => error)
        expect(error).toBeInstanceOf(ConflictError)
        expect(error).toMatchObject({ code: 'STORE_CONFLICT', keys: ['a', 'b', 'empty'] })
        expect(await store.list('')).toEqual(['a', 'empty'])
        expect(await store.get('a')).toEqual(utf8('1'))
      })

      it('tell values apart that differ in length or in one byte', async () => {
        await store.commit({ put: [['long', noise(5000)]] })
        const other = noise(5000)
        other[4999] = (other[4999] ?? 0) ^ 1
        for (const value of [other, noise(4999), new Uint8Array(), noise(5001)]) {
          await expect(store.commit({ expect: [['long', value]] })).rejects.toMatchObject({ keys: ['long'] })
        }
        await store.commit({ expect: [['long', noise(5000)]] })
      })

      it('are held against batches that were committed just before', async () => {
        const first = store.commit({ expect: [['n', undefined]], put: [['n', utf8('1')]] })
        const second = store.commit({ expect: [['n', utf8('1')]], put: [['n', utf8('2')]] })
        const third = store.commit({ expect: [['n', utf8('1')]], put: [['n', utf8('3')]] })
        await Promise.all([first, second, expect(third).rejects.toMatchObject({ keys: ['n'] })])
        expect(await store.get('n')).toEqual(utf8('2'))
      })
    })

    it('lets exactly one of many have what they all want', async () => {
      const wishes = Array.from({ length: 50 }, (_, i) =>
        store.commit({
          expect: [['slot', undefined]],
          put: [
            ['slot', utf8(String(i))],
            [`mine/${i}`, utf8('')],
          ],
        }),
      )
      const granted = (await Promise.allSettled(wishes)).flatMap((wish, i) => (wish.status === 'fulfilled' ? [i] : []))
      expect(granted).toHaveLength(1)
      expect(await store.get('slot')).toEqual(utf8(String(granted[0])))
      expect(await store.list('mine/')).toEqual([`mine/${granted[0]}`])
    })

    it('loses no update of many writers', async () => {
      const add = async (): Promise<void> => {
        const old = await store.get('count')
        const next = utf8(String(Number(new TextDecoder().decode(old ?? utf8('0'))) + 1))
        try {
          await store.commit({ expect: [['count', old]], put: [['count', next]] })
        } catch (error) {
          if (!(error instanceof ConflictError)) throw error
          return add()
        }
      }
      await Promise.all(Array.from({ length: 12 }, add))
      expect(await store.get('count')).toEqual(utf8('12'))
    })

    it('commits many at a time, all of them kept', async () => {
      const keys = Array.from({ length: 200 }, (_, i) => `many/${String(i).padStart(3, '0')}`)
      await Promise.all(keys.map((key, i) => store.commit({ put: [[key, utf8(key)]], durable: i % 3 !== 0 })))
      await reopen()
      expect(await store.list('many/')).toEqual(keys)
      for (const key of keys) expect(await store.get(key)).toEqual(utf8(key))
    })

    it('keeps vital keys like others', async () => {
      await store.commit({
        put: [
          ['vital/x', utf8('1')],
          ['other', utf8('1')],
        ],
      })
      await store.commit({
        expect: [['vital/x', utf8('1')]],
        put: [
          ['vital/x', utf8('2')],
          ['vital/y', utf8('1')],
        ],
      })
      await expect(store.commit({ expect: [['vital/x', utf8('1')]], put: [['other', utf8('2')]] })).rejects.toThrow(ConflictError)
      for (const round of ['fresh', 'reopened']) {
        expect(await store.list('vital/'), round).toEqual(['vital/x', 'vital/y'])
        expect(await store.get('vital/x'), round).toEqual(utf8('2'))
        expect(await store.get('other'), round).toEqual(utf8('1'))
        await reopen()
      }
      await store.commit({ remove: ['vital/y'] })
      await reopen()
      expect(await store.list('vital/')).toEqual(['vital/x'])
      expect(await store.get('vital/y')).toBeUndefined()
      expect(store.damaged).toBe(false)
    })

    describe('refuses, and writes nothing of', () => {
      const wrongKey: readonly string[] = ['', 'k'.repeat(MAX_KEY + 1), 'tab\there', 'nul\0', 'ümlaut', 'del\x7f']
      const fourMiB = new Uint8Array(MAX_VALUE)
      const wrong: readonly (readonly [string, Batch])[] = [
        ...wrongKey.map((key) => [`a put of the key ${JSON.stringify(key.slice(0, 9))}`, { put: [[key, utf8('')]] }] as const),
        ...wrongKey.map((key) => [`a removal of the key ${JSON.stringify(key.slice(0, 9))}`, { remove: [key] }] as const),
        ['a value above 4 MiB', { put: [['k', new Uint8Array(MAX_VALUE + 1)]] }],
        ['a vital value above 64 KiB', { put: [['vital/k', new Uint8Array(MAX_VITAL + 1)]] }],
        ['a batch above 128 MiB', { put: Array.from({ length: 33 }, (_, i) => [`k/${i}`, fourMiB] as const) }],
        ['a batch of more than 100,000 keys', { remove: Array.from({ length: 100_001 }, () => 'k') }],
      ]
      for (const [what, batch] of wrong) {
        it(what, async () => {
          const error = await store
            .commit({ ...batch, put: [['good', utf8('')], ...(batch.put ?? [])] })
            .catch((error: unknown) => error)
          expect(error).toBeInstanceOf(IgorError)
          expect(error).toMatchObject({ code: 'BAD_REQUEST' })
          expect(await store.list('')).toEqual([])
        })
      }
      it('nothing, where a key cannot be', async () => {
        await expect(store.get('ümlaut')).rejects.toMatchObject({ code: 'BAD_REQUEST' })
        await expect(store.list('ümlaut')).rejects.toMatchObject({ code: 'BAD_REQUEST' })
      })
    })

    it('tells how much it uses', async () => {
      await store.commit({ put: [['a', noise(100_000)]] })
      const { used, quota, persistent } = await store.usage()
      expect(used).toBeGreaterThan(0)
      if (quota !== undefined) expect(quota).toBeGreaterThan(used)
      expect(typeof persistent).toBe('boolean')
    })

    it('rejects everything once closed, and what was under way is done', async () => {
      const last = store.commit({ put: [['last', utf8('1')]] })
      const closed = store.close()
      await Promise.all([last, closed, store.close()])
      await expect(store.get('last')).rejects.toThrow(StoreClosedError)
      await expect(store.list('')).rejects.toThrow(StoreClosedError)
      await expect(store.commit({ put: [['late', utf8('1')]] })).rejects.toThrow(StoreClosedError)
      await expect(store.usage()).rejects.toThrow(StoreClosedError)
      store = await fixture.open()
      expect(await store.list('')).toEqual(['last'])
    })

    it('is apart from another place', async () => {
      const elsewhere = await make()
      const other = await elsewhere.open()
      await other.commit({ put: [['a', utf8('there')]] })
      expect(await store.get('a')).toBeUndefined()
      await other.close()
      await elsewhere.clean()
    })
  })
}

/** Big values are compared by this: a deep comparison of megabytes is slow. */
function same(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && a.length === b.length && a.every((byte, i) => byte === b[i])
}
