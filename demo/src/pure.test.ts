import { expect, test } from 'vitest'
import { isLater } from './actions.ts'
import type { AgentStatus, Move } from './api.ts'
import { introWords } from './intro-words.ts'
import { seedsIn } from './seeds.ts'
import { parseSite } from './site.ts'
import { fuller } from './watch.ts'

const move = (from: string, to: string, tick: number): Move => ({ agent: 'a', from, to, tick, downtimeMs: 1 })
const status = (part: Partial<AgentStatus>): AgentStatus => ({
  agent: 'a',
  name: 'a',
  state: 'active',
  tick: 5,
  epoch: 1,
  seq: 5,
  head: 'b',
  budget: 0n,
  host: 'h',
  here: false,
  resided: false,
  owned: true,
  public: true,
  capabilities: [],
  inbox: 0,
  memory: 0,
  ...part,
})

test('of two moves the later is the one with more ticks, or the one that goes on from the other', () => {
  expect(isLater(move('a', 'b', 3), undefined)).toBe(true)
  expect(isLater(move('b', 'c', 4), move('a', 'b', 3))).toBe(true)
  expect(isLater(move('a', 'b', 3), move('b', 'c', 4))).toBe(false)
  expect(isLater(move('a', 'b', 3), move('a', 'b', 3))).toBe(false)
  expect(isLater(move('b', 'c', 3), move('a', 'b', 3))).toBe(true)
})

test('what presence leaves out is filled in from what watching told', () => {
  const watched = status({ tick: 4, seq: 4, capabilities: ['log'], memory: 65_536, born: 7 })
  expect(fuller(status({}), watched)).toMatchObject({ tick: 5, capabilities: ['log'], memory: 65_536, born: 7 })
  expect(fuller(status({}), status({ tick: 9, seq: 9, state: 'paused', owned: false }))).toMatchObject({
    tick: 9,
    state: 'paused',
    owned: true,
  })
  expect(fuller(status({ epoch: 2, host: 'new' }), status({ tick: 9, seq: 9 })).host).toBe('new')
})

test('the first sentence promises only what holds', () => {
  const none = { here: undefined, onServer: undefined, elsewhere: undefined, server: false, others: false }
  expect(introWords(none).title).toMatch(/Start an agent/)
  expect(introWords({ ...none, here: status({}) }).title).not.toMatch(/server|another tab/)
  expect(introWords({ ...none, here: status({}), others: true }).title).toMatch(/another tab/)
  expect(introWords({ ...none, here: status({}), server: true, others: true }).title).toMatch(/server/)
  const alone = introWords({ ...none, here: status({}), server: true }).text
  expect(alone).toMatch(/sleeps in this browser/)
  expect(introWords({ ...none, here: status({ witness: 'w' }), server: true }).text).toMatch(/goes on elsewhere/)
  expect(introWords({ ...none, onServer: status({ name: 'fox' }), server: true }).over).toMatch(/fox lives on the server/)
  expect(introWords({ ...none, elsewhere: status({ name: 'fox' }) }).over).toMatch(/fox lives in another tab/)
})

test('keys are found in whatever surrounds them, each once', () => {
  const key = 'ab'.repeat(32)
  expect(seedsIn(`# backup\n${key}\n${key.toUpperCase()}, ${'cd'.repeat(32)}\n${'ef'.repeat(33)}`)).toEqual([
    new Uint8Array(32).fill(0xab),
    new Uint8Array(32).fill(0xcd),
  ])
})

test('a server’s word is read with limits, and what is no word of a server is none', () => {
  const text = JSON.stringify({
    peerId: 'p',
    name: 'n',
    multiaddrs: ['/a', 7],
    iceServers: ['stun:s', { urls: ['turn:t'], username: 'u' }, 5],
  })
  expect(parseSite(text)).toEqual({
    peerId: 'p',
    name: 'n',
    multiaddrs: ['/a'],
    iceServers: [{ urls: 'stun:s' }, { urls: ['turn:t'], username: 'u' }],
  })
  for (const bad of ['', '<html>', '[]', '{}', '{"peerId":5}', `{"peerId":"p","name":"${'x'.repeat(70_000)}"}`]) {
    expect(parseSite(bad)).toBeUndefined()
  }
})
