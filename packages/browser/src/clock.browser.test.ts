import { clockSuite } from '@igor/core/testing'
import { afterAll, expect, test } from 'vitest'
import { type WorkerClock, workerClock } from './clock.ts'

const workerUrl = new URL('./clock-worker.ts', import.meta.url)
const made: WorkerClock[] = []

function make(): WorkerClock {
  const clock = workerClock({ workerUrl })
  made.push(clock)
  return clock
}

afterAll(() => {
  for (const clock of made) clock.close()
})

clockSuite(make)

test('many sleeps at a time, each ends by itself or by its own signal', async () => {
  const clock = make()
  const stop = new AbortController()
  const results = await Promise.allSettled(
    Array.from({ length: 500 }, async (_, index) => {
      const done = clock.sleep(index % 2 === 0 ? 5 : 60_000, index % 2 === 0 ? undefined : stop.signal)
      if (index === 499) queueMicrotask(() => stop.abort(new Error('enough')))
      return done
    }),
  )
  expect(results.map(({ status }) => status)).toEqual(
    Array.from({ length: 500 }, (_, index) => (index % 2 === 0 ? 'fulfilled' : 'rejected')),
  )
})

test('a sleep longer than one timer can last does not end at once', async () => {
  const clock = make()
  const stop = new AbortController()
  let woken = false
  const long = clock.sleep(2 ** 40, stop.signal).then(
    () => {
      woken = true
    },
    () => {},
  )
  await clock.sleep(20)
  expect(woken).toBe(false)
  stop.abort()
  await long
  expect(woken).toBe(false)
})

test('a closed clock wakes no one: sleepers and later ones are told', async () => {
  const clock = make()
  const sleeper = clock.sleep(60_000)
  clock.close()
  await expect(sleeper).rejects.toMatchObject({ code: 'NODE_STOPPED' })
  await expect(clock.sleep(1)).rejects.toMatchObject({ code: 'NODE_STOPPED' })
})

test('a worker that cannot start is an error, not a sleep without end', async () => {
  const clock = workerClock({ workerUrl: new URL('/no-such-worker.js', location.href) })
  await expect(clock.sleep(1)).rejects.toMatchObject({ code: 'HOST_FAULT' })
  await expect(clock.sleep(1)).rejects.toMatchObject({ code: 'HOST_FAULT' })
})
