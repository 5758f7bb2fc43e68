import { threadsSuite } from '@igor/core/testing'
import { describe, expect, test } from 'vitest'
import { webThreads } from './threads.ts'

const workerUrl = new URL('./worker.ts', import.meta.url)

threadsSuite(() => webThreads({ workerUrl }))

describe('a thread that ends by itself', () => {
  const exit = (url: URL) => {
    const thread = webThreads({ workerUrl: url }).spawn()
    return new Promise<string>((resolve) => {
      thread.onexit = resolve
    })
  }

  test('because its script is not there', async () => {
    expect(await exit(new URL('/no-such-worker.js', location.href))).toContain('did not load')
  })

  test('because nobody caught an error', async () => {
    const script = new Blob(['throw new Error("boom")'], { type: 'text/javascript' })
    const url = new URL(URL.createObjectURL(script))
    expect(await exit(url)).toContain('boom')
    URL.revokeObjectURL(url.href)
  })
})

test('parallelism is what was asked for, and at least one', () => {
  expect(webThreads({ workerUrl, parallelism: 3 }).parallelism).toBe(3)
  expect(webThreads({ workerUrl, parallelism: 0 }).parallelism).toBe(1)
  expect(webThreads({ workerUrl }).parallelism).toBe(navigator.hardwareConcurrency)
})
