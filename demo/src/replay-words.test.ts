import { expect, test } from 'vitest'
import type { Replay } from './api.ts'
import { progressWords, replayWords } from './replay-words.ts'

const found = (part: Partial<Replay> = {}): Replay => ({
  verdict: 'consistent',
  fromTick: 1,
  toTick: 1200,
  ticks: 1200,
  fuel: 5000n,
  states: 3,
  doubts: [],
  ...part,
})
const words = (replay: Replay) => replayWords(replay, (peer) => `name of ${peer}`)
const doubt = { code: 'not kept', fromTick: 1, toTick: 9, message: 'the state before it is not kept' } as const

test('what came out the same says how much, and that older ticks are gone where they are', () => {
  expect(words(found())).toMatchObject({
    verdict: 'ok',
    text: expect.stringMatching(/^Ran 1,200 ticks again, 1 to 1,200: .* to the bit\.$/),
  })
  expect(words(found({ doubts: [doubt] })).text).toMatch(/Older ones are not kept\.$/)
})

test('a lie names the tick, the chunk where memory differs, and who signed it', () => {
  const guilt = {
    record: 'b',
    epoch: 1,
    seq: 4,
    signer: '12D3KooWliar',
    claim: 'state',
    tick: 1042,
    agreedTick: 1000,
    message: 'two states',
  } as const
  const { verdict, text } = words(found({ verdict: 'guilty', guilt: { ...guilt, part: 'memory', chunk: 7 } }))
  expect(verdict).toBe('failed')
  expect(text).toContain('first at tick 1,042, in chunk 7 of its memory')
  expect(text).toContain('name of 12D3KooWliar')
  expect(words(found({ verdict: 'guilty', guilt })).text).not.toContain('chunk')
})

test('what cannot be judged says why, and is no lie', () => {
  const missing = {
    code: 'machine',
    fromTick: 10,
    toTick: 20,
    message: 'this machine could not run it again: out of memory',
  } as const
  expect(words(found({ verdict: 'cannot judge', doubts: [doubt, missing] }))).toEqual({
    verdict: 'asserted',
    text: 'Nobody can tell: This machine could not run it again: out of memory.',
  })
  expect(words(found({ ticks: 0, fromTick: null, toTick: null })).verdict).toBe('asserted')
})

test('progress is in ticks', () => {
  expect(progressWords({ ticks: 1200, ofTicks: 3400, fuel: 0n, ofFuel: 0n })).toBe('1,200 of 3,400 ticks')
})
