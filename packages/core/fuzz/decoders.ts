/**
 * Damages real manifests, records, journals, states, orders and files, by the million: `src/files/fixtures/damage.ts` for
 * whoever has the time.
 *
 *     node --conditions=source packages/core/fuzz/decoders.ts [--count 100000] [--seed 1] [--only segments,states]
 *
 * @module
 */
import { parseArgs } from 'node:util'
import { type Corpus, damageAll } from '../src/files/fixtures/damage.ts'
import { liveCorpus } from '../src/files/fixtures/live-corpus.ts'

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
  },
})
const kinds = values.only?.split(',') as (keyof Corpus)[] | undefined
const corpus = await liveCorpus()
const before = process.memoryUsage().rss
const from = performance.now()
const { failed, ...rest } = await damageAll(corpus, Number(values.count), Number(values.seed), kinds)
for (const line of failed.slice(0, 20)) console.log(line)
const seconds = ((performance.now() - from) / 1000).toFixed(0)
const grown = ((process.memoryUsage().rss - before) / 2 ** 20).toFixed(0)
console.log({ ...rest, failed: failed.length }, `${seconds} s, memory ${grown} MiB more`)
process.exit(failed.length > 0 ? 1 : 0)
