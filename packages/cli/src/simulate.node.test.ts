import { describe, expect, it } from 'vitest'
import { igor } from './testing/io.ts'

describe('igor simulate', () => {
  it('runs a seed, again the same, and tells it step by step', async () => {
    const one = await igor(['simulate', '--seed', '11', '--json', '--trace'])
    const again = await igor(['simulate', '--seed', '11', '--json', '--trace'])
    expect(again.stdout).toBe(one.stdout)
    const { failures, trace, hash } = JSON.parse(one.stdout)
    expect({ code: one.code, failures }).toEqual({ code: 0, failures: [] })
    expect(trace.join('\n')).toContain('is up')
    expect(hash).toMatch(/^[0-9a-f]{16}$/)
  })

  it('sums up many, and refuses what is no number', async () => {
    const { code, stdout } = await igor(['simulate', '--seeds', '2'])
    expect(code).toBe(0)
    expect(stdout).toContain('2 runs')
    expect(await igor(['simulate', '--seed', 'x'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--seed takes a number'),
    })
  })
})
