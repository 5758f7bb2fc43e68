import { beforeAll, describe, expect, it } from 'vitest'
import { type Corpus, damageAll } from './fixtures/damage.ts'
import { liveCorpus } from './fixtures/live-corpus.ts'

describe('damaged input', () => {
  let corpus: Corpus
  beforeAll(async () => {
    corpus = await liveCorpus()
  }, 30_000)

  const kinds = ['manifests', 'records', 'segments', 'states', 'hosts', 'orders', 'readies', 'files'] as const
  it.each(kinds)(
    '%s: a typed error, or what is written again as the same bytes',
    async (kind) => {
      expect(corpus[kind].length).toBeGreaterThan(0)
      const { failed, refused, slowest } = await damageAll(corpus, kind === 'files' ? 300 : 1400, 7, [kind])
      expect(failed).toEqual([])
      expect(refused).toBeGreaterThan(0)
      expect(slowest).toBeLessThan(2000)
    },
    30_000,
  )
})
