import { ConflictError, IgorError, StoreClosedError, StoreDamagedError } from '@igor/core'
import { storeSuite } from '@igor/core/testing'
import { afterEach, expect, test } from 'vitest'
import { cdp } from 'vitest/browser'
import { openIdbStore, requestPersistence } from './store.ts'

const bytes = (...values: number[]) => new Uint8Array(values)
const made: string[] = []

function fresh(): string {
  const name = `test-${crypto.randomUUID()}`
  made.push(name)
  return name
}

/** The database itself, to break it. */
async function raw(name: string, version?: number): Promise<IDBDatabase> {
  const request = indexedDB.open(name, version)
  await settled(request)
  return request.result
}

function settled(request: IDBRequest): Promise<unknown> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}

async function overwrite(name: string, store: 'values' | 'copies', key: string, change: (old: Uint8Array) => unknown) {
  const database = await raw(name)
  const objects = database.transaction(store, 'readwrite').objectStore(store)
  const value = change((await settled(objects.get(key))) as Uint8Array)
  await settled(value === undefined ? objects.delete(key) : objects.put(value, key))
  database.close()
}

const flip = (old: Uint8Array) => old.map((byte, index) => (index === old.length - 1 ? byte ^ 1 : byte))

afterEach(async () => {
  for (const name of made.splice(0)) await settled(indexedDB.deleteDatabase(name))
})

storeSuite(async () => {
  const name = `suite-${crypto.randomUUID()}`
  return { open: () => openIdbStore(name), clean: async () => void (await settled(indexedDB.deleteDatabase(name))) }
})

test('of two stores that commit under the same expectation exactly one wins, every time', async () => {
  const name = fresh()
  const stores = await Promise.all([openIdbStore(name), openIdbStore(name)])
  let value: Uint8Array | undefined
  for (let round = 0; round < 20; round++) {
    const held = value
    const results = await Promise.allSettled(
      stores.map((store, who) =>
        store.commit({
          expect: [['n', held]],
          put: [
            ['n', bytes(round, who)],
            [`by/${round}`, bytes(who)],
          ],
        }),
      ),
    )
    const winners = results.flatMap((result, who) => (result.status === 'fulfilled' ? [who] : []))
    expect(winners).toHaveLength(1)
    const loser = results.find((result) => result.status === 'rejected')
    expect(loser?.reason).toBeInstanceOf(ConflictError)
    value = await stores[0]?.get('n')
    expect(value).toEqual(bytes(round, winners[0] ?? -1))
    expect(await stores[1]?.get(`by/${round}`)).toEqual(bytes(winners[0] ?? -1))
  }
  await Promise.all(stores.map((store) => store.close()))
})

test('what is written is what was passed, though it changes at once after the call', async () => {
  const store = await openIdbStore(fresh())
  const large = new Uint8Array(1 << 16)
  const view = large.subarray(10, 12)
  const expected = bytes()
  await store.commit({ put: [['e', bytes()]] })
  const done = store.commit({
    expect: [['e', expected]],
    put: [
      ['v', view],
      ['vital/v', view],
    ],
  })
  view.fill(7)
  await done
  expect(await store.get('v')).toEqual(bytes(0, 0))
  expect((await store.get('v'))?.buffer.byteLength).toBe(2)
  expect(await store.get('vital/v')).toEqual(bytes(0, 0))
  await store.close()
})

test.each(['values', 'copies'] as const)(
  'a vital value survives the damage or loss of its copy in %s, and is mended at opening',
  async (which) => {
    const name = fresh()
    const store = await openIdbStore(name)
    await store.commit({
      put: [
        ['vital/a', bytes(1, 2)],
        ['vital/b', bytes(3)],
      ],
    })
    await overwrite(name, which, 'vital/a', flip)
    await overwrite(name, which, 'vital/b', () => undefined)
    expect(await store.get('vital/a')).toEqual(bytes(1, 2))
    expect(await store.get('vital/b')).toEqual(bytes(3))
    expect(await store.list('vital/')).toEqual(['vital/a', 'vital/b'])
    await store.commit({ expect: [['vital/a', bytes(1, 2)]] })
    await store.close()
    const again = await openIdbStore(name)
    expect(again.damaged).toBe(false)
    const other = which === 'values' ? 'copies' : 'values'
    await overwrite(name, other, 'vital/a', flip)
    await overwrite(name, other, 'vital/b', () => 'not bytes')
    expect(await again.get('vital/a')).toEqual(bytes(1, 2))
    expect(await again.get('vital/b')).toEqual(bytes(3))
    await again.close()
  },
)

test('a vital value without an intact copy is damaged, to readers, to expectations and at opening', async () => {
  const name = fresh()
  const store = await openIdbStore(name)
  await store.commit({ put: [['vital/a', bytes(1, 2)]] })
  for (const copy of ['values', 'copies'] as const) await overwrite(name, copy, 'vital/a', flip)
  await expect(store.get('vital/a')).rejects.toBeInstanceOf(StoreDamagedError)
  await expect(store.commit({ expect: [['vital/a', undefined]], put: [['x', bytes()]] })).rejects.toBeInstanceOf(
    StoreDamagedError,
  )
  expect(await store.get('x')).toBeUndefined()
  await store.close()
  const again = await openIdbStore(name)
  expect(again.damaged).toBe(true)
  await again.close()
})

test('a vital value under the name of another is damaged', async () => {
  const name = fresh()
  const store = await openIdbStore(name)
  await store.commit({
    put: [
      ['vital/a', bytes(1)],
      ['vital/b', bytes(2)],
    ],
  })
  let taken: Uint8Array = bytes()
  for (const copy of ['values', 'copies'] as const) {
    await overwrite(name, copy, 'vital/a', (old) => {
      taken = old
      return old
    })
    await overwrite(name, copy, 'vital/b', () => taken)
  }
  await expect(store.get('vital/b')).rejects.toBeInstanceOf(StoreDamagedError)
  await store.close()
})

test('a value that is not bytes is damaged', async () => {
  const name = fresh()
  const store = await openIdbStore(name)
  await store.commit({ put: [['a', bytes(1)]] })
  await overwrite(name, 'values', 'a', () => 'text')
  await expect(store.get('a')).rejects.toBeInstanceOf(StoreDamagedError)
  await store.close()
})

test('a database that is deleted under the store closes it', async () => {
  const name = fresh()
  const store = await openIdbStore(name)
  await store.commit({ put: [['a', bytes(1)]] })
  await settled(indexedDB.deleteDatabase(name))
  await expect(store.get('a')).rejects.toBeInstanceOf(StoreClosedError)
  const again = await openIdbStore(name)
  expect(await again.list('')).toEqual([])
  await again.close()
})

test('a database of a newer version is left alone', async () => {
  const name = fresh()
  const database = await raw(name, 1000)
  database.close()
  const failure = await openIdbStore(name).catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(IgorError)
  expect(failure).toMatchObject({ code: 'STORE_VERSION' })
})

test('usage tells of bytes and quota; persistence can be asked for', async () => {
  const store = await openIdbStore(fresh())
  const usage = await store.usage()
  expect(usage.quota).toBeGreaterThan(1e6)
  expect(usage.used).toBeGreaterThanOrEqual(0)
  const granted = await requestPersistence()
  expect((await store.usage()).persistent).toBe(granted)
  await store.close()
})

function noise(length: number): Uint8Array {
  const result = new Uint8Array(length)
  for (let start = 0; start < length; start += 65536) crypto.getRandomValues(result.subarray(start, start + 65536))
  return result
}

test('the browser takes the database away: every call settles', async () => {
  const store = await openIdbStore(fresh())
  await store.commit({ put: [['a', noise(1 << 20)]] })
  const session = cdp() as { send(method: string, parameters: object): Promise<unknown> }
  const calls = Promise.allSettled(
    Array.from({ length: 20 }, (_, index) => store.commit({ put: [[`k/${index}`, noise(1 << 18)]] })),
  )
  await session.send('Storage.clearDataForOrigin', { origin: location.origin, storageTypes: 'indexeddb' })
  for (const result of await calls) {
    if (result.status === 'rejected') expect(result.reason).toBeInstanceOf(StoreClosedError)
  }
  await expect(store.get('a')).rejects.toBeInstanceOf(StoreClosedError)
  await store.close()
})
