import { expect, test } from 'vitest'
import { age, bars, bytes, fileName, millis, plural, said, shortId, shownState, tidy } from './words.ts'

const plain = (text: string): string => text.replaceAll('\u00a0', ' ')

test.each([
  [0.2, '<1 ms'],
  [1.26, '1.3 ms'],
  [9.96, '10 ms'],
  [999.4, '999 ms'],
  [999.6, '1.0 s'],
  [12_400, '12 s'],
])('%f ms reads %s', (ms, text) => expect(plain(millis(ms))).toBe(text))

test.each([
  [-5, '0 s'],
  [59_999, '59 s'],
  [60_000, '1 min'],
  [3_660_000, '1 h 1 min'],
  [90_000_000, '1 d 1 h'],
  [700_000_000, '8 days'],
])('an age of %d ms reads %s', (ms, text) => expect(age(ms)).toBe(text))

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1 KiB'],
  [1536, '1.5 KiB'],
  [64 * 1024 * 1024, '64 MiB'],
])('%d bytes read %s', (n, text) => expect(bytes(n)).toBe(text))

test('counts agree with their noun', () => {
  expect([0, 1, 1200].map((n) => plural(n, 'agent'))).toEqual(['no agents', '1 agent', '1,200 agents'])
})

test('bars fall as the round trip grows, and are empty while it is unknown', () => {
  expect([undefined, 1, 50, 51, 200, 201].map(bars)).toEqual([0, 3, 3, 2, 2, 1])
})

test('ids are cut in the middle, without the method', () => {
  expect(shortId('did:key:z6MkfooBarBazQuxQuux')).toBe('z6Mk…xQuux')
  expect(shortId('short')).toBe('short')
})

test('what an agent says keeps its lines and loses its control characters', () => {
  expect(tidy('a\nb\u0007\u001b[2Jc', 10)).toBe('a\nb[2Jc')
  expect(tidy('abcdef', 4)).toBe('abc…')
})

test('errors become sentences, and names stay names', () => {
  expect(said(new Error('nobody answers'))).toBe('Nobody answers.')
  expect(said(new Error('olive-stork is full.'))).toBe('olive-stork is full.')
  expect(said(new Error(''))).toBe('It failed without a word.')
  expect(said('text')).toBe('text.')
})

test('file names hold nothing that a file system minds', () => {
  expect(fileName('../a b/ç', '.car')).toBe('..-a-b-ç.car')
  expect(fileName('///', '.car')).toBe('-.car')
})

test('who waits for its witness is not in doubt', () => {
  expect(shownState({ state: 'halted', leaseMs: 0 })).toBe('waiting')
  expect(shownState({ state: 'halted' })).toBe('halted')
  expect(shownState({ state: 'active', leaseMs: 0 })).toBe('active')
})
