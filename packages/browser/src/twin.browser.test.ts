import { afterEach, expect, test, vi } from 'vitest'
import { incarnationTwin } from './twin.ts'

afterEach(() => {
  vi.restoreAllMocks()
  localStorage.clear()
})

test('a twin is kept for its slot and store', () => {
  const twin = incarnationTwin('tab-1')
  expect(twin.get()).toBeUndefined()
  twin.set('00ff')
  twin.set('aa55')
  expect(incarnationTwin('tab-1').get()).toBe('aa55')
  expect(incarnationTwin('tab-2').get()).toBeUndefined()
  expect(incarnationTwin('tab-1', 'other').get()).toBeUndefined()
})

test('what is not hex is no twin', () => {
  const twin = incarnationTwin('tab-1')
  for (const wrong of ['', 'a', 'AA', 'xx', 'a'.repeat(130)]) expect(() => twin.set(wrong)).toThrow(RangeError)
  twin.set('aa')
  const key = localStorage.key(0)
  if (key === null) throw new Error('it was not kept')
  localStorage.setItem(key, 'not hex')
  expect(twin.get()).toBeUndefined()
})

test('a localStorage that is full keeps no old twin', () => {
  const twin = incarnationTwin('tab-1')
  twin.set('aa')
  vi.spyOn(Storage.prototype, 'setItem').mockImplementation(() => {
    throw new DOMException('full', 'QuotaExceededError')
  })
  twin.set('bb')
  expect(twin.get()).toBeUndefined()
})

test('a blocked localStorage is an absent twin', () => {
  const twin = incarnationTwin('tab-1')
  vi.spyOn(globalThis, 'localStorage', 'get').mockImplementation(() => {
    throw new DOMException('denied', 'SecurityError')
  })
  twin.set('aa')
  expect(twin.get()).toBeUndefined()
})
