import { expect, it, vi } from 'vitest'
import { raced, staggered } from './signals.ts'

/** Rejections that nobody heard of would end the process of a node. */
const unheard = async (run: () => Promise<void>): Promise<unknown[]> => {
  const seen: unknown[] = []
  const hear = (error: unknown): void => void seen.push(error)
  process.on('unhandledRejection', hear)
  try {
    await run()
    // Node.js tells of them after the microtasks of the turn in which they came.
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
  } finally {
    process.off('unhandledRejection', hear)
  }
  return seen
}

const hangs = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))

it('attempts that are given up while another is awaited leave no rejection behind', async () => {
  const parent = new AbortController()
  expect(
    await unheard(async () => {
      const attempts = [vi.fn(hangs), vi.fn(hangs)]
      const run = staggered(attempts, 60_000, parent.signal)
      run.catch(() => {})
      parent.abort(new Error('enough'))
      await expect(run).rejects.toThrow('enough')
    }),
  ).toEqual([])
})

it('a race that was over before it began leaves the promise to itself', async () => {
  expect(
    await unheard(async () => {
      await expect(raced(Promise.reject(new Error('late')), AbortSignal.abort(new Error('over')))).rejects.toThrow('over')
    }),
  ).toEqual([])
})
