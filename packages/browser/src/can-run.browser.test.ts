import { afterEach, expect, test, vi } from 'vitest'
import { canRun } from './can-run.ts'

afterEach(() => {
  vi.unstubAllGlobals()
  vi.restoreAllMocks()
})

const missing = () => {
  const result = canRun()
  return result.ok ? [] : result.missing.map(({ feature }) => feature)
}

test('this browser can', () => {
  expect(canRun()).toEqual({ ok: true })
})

test('an insecure page is told that, and that alone', () => {
  vi.stubGlobal('isSecureContext', false)
  vi.stubGlobal('indexedDB', undefined)
  expect(missing()).toEqual(['a secure page'])
})

test.each([
  ['RTCPeerConnection', 'WebRTC data channels'],
  ['WebAssembly', 'WebAssembly with SIMD and bulk memory'],
  ['indexedDB', 'storage'],
  ['BigInt64Array', 'current JavaScript'],
  ['Worker', 'module workers'],
])('without %s: %s is missing, with a reason and a remedy', (global, feature) => {
  vi.stubGlobal(global, undefined)
  const result = canRun()
  if (result.ok) throw new Error('it says that it can')
  expect(result.missing.map((one) => one.feature)).toEqual([feature])
  expect(result.missing[0]?.why).toMatch(/\.$/)
  expect(result.missing[0]?.remedy).toMatch(/\.$/)
})

test('workers that know no modules are not enough', () => {
  vi.stubGlobal('Worker', function OldWorker() {})
  expect(missing()).toEqual(['module workers'])
})

test('WebAssembly that refuses the probe is not enough', () => {
  vi.spyOn(WebAssembly, 'validate').mockReturnValue(false)
  expect(missing()).toEqual(['WebAssembly with SIMD and bulk memory'])
})

test('blocked site data is missing storage', () => {
  vi.spyOn(Storage.prototype, 'getItem').mockImplementation(() => {
    throw new DOMException('denied', 'SecurityError')
  })
  expect(missing()).toEqual(['storage'])
})
