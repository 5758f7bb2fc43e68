import { describe, expect, it } from 'vitest'
import { createKeyedSerial, createSerial } from './serial.ts'

const soon = (): Promise<void> => new Promise((resolve) => queueMicrotask(resolve))

describe('a serial', () => {
  it('runs one after the other, also after one that failed', async () => {
    const serial = createSerial()
    const log: string[] = []
    const task = (name: string) => async () => {
      log.push(`${name} begins`)
      await soon()
      log.push(`${name} ends`)
      if (name === 'b') throw new Error('b')
      return name
    }
    const outcomes = await Promise.allSettled(['a', 'b', 'c'].map((name) => serial(task(name))))
    expect(log).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends'])
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  })

  it('by key keeps the subjects apart, and each in order, though callers come and go', async () => {
    const serialOf = createKeyedSerial()
    const log: string[] = []
    const release = Promise.withResolvers<void>()
    const first = serialOf('a')(async () => {
      await release.promise
      log.push('a1')
    })
    const second = serialOf('a')(async () => log.push('a2'))
    await serialOf('b')(async () => log.push('b'))
    expect(log).toEqual(['b'])
    release.resolve()
    await Promise.all([first, second])
    await serialOf('a')(async () => log.push('a3'))
    expect(log).toEqual(['b', 'a1', 'a2', 'a3'])
  })
})
