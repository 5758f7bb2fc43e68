import { describe, expect, test } from 'vitest'
import { instrument } from './instrument.ts'
import { refusal } from './testing/errors.ts'
import { wat } from './testing/wat.ts'
import { ALLOW } from './testing/wide.ts'
import { CURRENT, isKnownVersion, VERSIONS } from './versions.ts'

const COUNTS = wat('(module (memory 1) (func (export "f") (local i32) (loop (br_if 0 (i32.eqz (local.get 0))))))')

describe('versions', () => {
  test('the current one is known, and at least one that was before it', () => {
    expect(VERSIONS.at(-1)).toEqual(CURRENT)
    expect(VERSIONS.length).toBeGreaterThan(1)
    expect(VERSIONS.every(isKnownVersion)).toBe(true)
    expect(instrument(COUNTS, ALLOW).version).toEqual(CURRENT)
  })

  test.each(VERSIONS)('instrumentation $instrument with cost table $costTable is still there', (version) => {
    expect(instrument(COUNTS, { ...ALLOW, version }).version).toEqual(version)
  })

  test('another one is refused, and named', () => {
    for (const version of [
      { instrument: CURRENT.instrument + 1, costTable: CURRENT.costTable },
      { instrument: CURRENT.instrument, costTable: 0 },
    ]) {
      expect(isKnownVersion(version)).toBe(false)
      const error = refusal(() => instrument(COUNTS, { ...ALLOW, version }))
      expect([error.code, error.message]).toEqual([
        'BAD_OPTION',
        `instrumentation ${version.instrument} with cost table ${version.costTable} is not known here`,
      ])
    }
  })
})
