import { describe, expect, it } from 'vitest'
import { explore } from './explore.ts'
import { createModel, type ModelFault } from './protocol.ts'

const told = (witness: boolean, fault?: ModelFault) => {
  const { violation, states } = explore(createModel(fault === undefined ? { witness } : { witness, fault }))
  return { states, what: violation === undefined ? undefined : `${violation.what}: ${violation.steps.join('; ')}` }
}

describe('every interleaving of two hosts', () => {
  it('without a witness: one life, and a move always ends', () => {
    const { what, states } = told(false)
    expect(what).toBeUndefined()
    expect(states).toBeGreaterThan(300)
  })

  it('with a witness, its lease and takeover: one life, and a move always ends', () => {
    const { what, states } = told(true)
    expect(what).toBeUndefined()
    expect(states).toBeGreaterThan(10_000)
  }, 60_000)

  it.each(['accept sent before it is durable', 'refusal is a mere message', 'handoff not durable'] as const)(
    'finds: %s',
    (fault) => {
      expect(told(false, fault).what).toBeDefined()
    },
  )

  it.each([
    'lease counted from the answer',
    'takeover right after a restart',
    'head not durable before the cosignature',
    'a head is moved without looking at it',
  ] as const)(
    'finds, with a witness: %s',
    (fault) => {
      expect(told(true, fault).what).toBeDefined()
    },
    60_000,
  )
})
