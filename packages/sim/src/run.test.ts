import { describe, expect, it } from 'vitest'
import { runSeed } from './run.ts'

/** Short: signatures are real ones here. */
const SHORT = { minutes: 0.2, agents: 1, nodes: 3 }

describe('a seed', () => {
  it('gives the same run again, byte for byte', async () => {
    const [one, again] = [await runSeed({ seed: 11, ...SHORT }), await runSeed({ seed: 11, ...SHORT })]
    expect(one.failures).toEqual([])
    expect(again.hash).toBe(one.hash)
    expect(one.ticks).toBeGreaterThan(2)
  })

  it('gives another run than another seed, and than a run without its faults', async () => {
    const { hash } = await runSeed({ seed: 12, ...SHORT })
    expect((await runSeed({ seed: 13, ...SHORT })).hash).not.toBe(hash)
    expect((await runSeed({ seed: 12, ...SHORT, level: 0 })).hash).not.toBe(hash)
  })

  it('ends a process where it is told to', async () => {
    const point = 'handoff: sync log, before'
    const { struck, failures } = await runSeed({ seed: 3, minutes: 0.5, level: 0, crash: { point, nth: 0 } })
    expect(struck).toEqual(new Set([point]))
    expect(failures).toEqual([])
  })
})
