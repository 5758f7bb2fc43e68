import { expect, it } from 'vitest'
import { openIdentity, settleIdentity } from './identity.ts'
import { testCrypto } from './node/fixtures/world.ts'
import { openLogStore } from './store/log-store.ts'
import { makeDisk } from './testing/memory-files.ts'

const at = (place: string) => ({ read: () => place })

it('stays displaced until its agents stand still, however often it is started meanwhile', async () => {
  const store = await openLogStore(makeDisk().open(), { random: testCrypto.random })
  const first = await openIdentity(store, testCrypto, 'main', at('here'))
  expect(first.displaced).toBe(false)
  const moved = await openIdentity(store, testCrypto, 'main', at('there'))
  expect(moved.displaced).toBe(true)
  expect(moved.incarnation).not.toEqual(first.incarnation)
  // The start was cut short.
  const again = await openIdentity(store, testCrypto, 'main', at('there'))
  expect(again).toMatchObject({ displaced: true, incarnation: moved.incarnation, seed: first.seed })
  await settleIdentity(store, 'main')
  expect(await openIdentity(store, testCrypto, 'main', at('there'))).toMatchObject({
    displaced: false,
    incarnation: moved.incarnation,
  })
  await store.close()
})
