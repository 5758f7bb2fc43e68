import { expect, test } from 'vitest'
import type { AgentStatus, Peer } from './api.ts'
import { archipelago, type Island, isPutRight, mayMove, survival } from './archipelago.ts'

const agent = (name: string, host: string, part: Partial<AgentStatus> = {}): AgentStatus => ({
  agent: `did:key:${name}`,
  name,
  state: 'active',
  tick: 1,
  epoch: 1,
  seq: 1,
  head: 'b',
  budget: 0n,
  host,
  here: host === 'me',
  resided: true,
  owned: true,
  public: true,
  capabilities: [],
  inbox: 0,
  memory: 0,
  ...part,
})
const peer = (id: string, part: Partial<Peer> = {}): Peer => ({
  id,
  name: id,
  kind: 'tab',
  link: 'webrtc',
  price: 0n,
  room: 10,
  agents: 0,
  seen: 99_000,
  ...part,
})
const map = (agents: AgentStatus[], peers: Peer[], home?: string) =>
  archipelago({
    self: 'me',
    selfName: 'me',
    agents,
    peers,
    home,
    nameOf: (id) => `name of ${id}`,
    kindOf: () => undefined,
    now: 100_000,
  })
const island = (part: Partial<Island>): Island => ({
  peer: 'x',
  name: 'x',
  kind: 'tab',
  link: 'webrtc',
  agents: [],
  said: 0,
  home: false,
  ...part,
})

test('this tab comes first, then its server, then servers, tabs, and who is out of reach', () => {
  const peers = [peer('tab'), peer('gone', { link: 'none' }), peer('far', { kind: 'server' }), peer('home', { kind: 'server' })]
  const { islands } = map([agent('a', 'gone')], peers, 'home')
  expect(islands.map(({ peer }) => peer)).toEqual(['me', 'home', 'far', 'tab', 'gone'])
})

test('every agent is on exactly one island, also where its host is unknown', () => {
  const { islands } = map([agent('a', 'me'), agent('b', 'tab'), agent('c', 'nobody')], [peer('tab')])
  expect(islands.map((each) => [each.peer, each.agents.map(({ name }) => name)])).toEqual([
    ['me', ['a']],
    ['tab', ['b']],
    ['nobody', ['c']],
  ])
  expect(islands[2]).toMatchObject({ link: 'none', kind: 'unknown', name: 'name of nobody' })
})

test('the retired have left their islands', () => {
  const { islands, retired } = map([agent('a', 'me', { state: 'retired' })], [])
  expect([islands[0]?.agents, retired.map(({ name }) => name)]).toEqual([[], ['a']])
})

test('the server of this page is on the map also while it is dead; a tab that left is not', () => {
  const { islands } = map([], [peer('left', { link: 'none' })], 'home')
  expect(islands.map((each) => [each.peer, each.link])).toEqual([
    ['me', 'self'],
    ['home', 'none'],
  ])
})

test('a round trip is that of a connection, or none', () => {
  const { islands } = map([agent('a', 'p')], [peer('p', { link: 'none', rtt: 3 })])
  expect(islands[1]).not.toHaveProperty('rtt')
})

test('a connected node that has gone silent says so', () => {
  const silent = (part: Partial<Peer>) => map([], [peer('p', part)]).islands[1]?.silent
  expect([silent({ seen: 85_000 }), silent({ seen: 92_000 }), silent({ seen: 0 })]).toEqual([15_000, undefined, undefined])
})

test('agents keep their order while they tick', () => {
  const order = (ticks: number) =>
    map([agent('b', 'me', { born: 2, tick: ticks }), agent('a', 'me', { born: 1 })], []).islands[0]?.agents.map(
      ({ name }) => name,
    )
  expect([order(1), order(99)]).toEqual([
    ['a', 'b'],
    ['a', 'b'],
  ])
})

test.each([
  ['to where it is', agent('a', 'x'), island({}), /lives here/],
  ['of someone else', agent('a', 'me', { owned: false }), island({}), /not in this browser/],
  ['out of reach', agent('a', 'me'), island({ link: 'none' }), /Not connected/],
  ['onto a full node', agent('a', 'me'), island({ room: 0 }), /Full/],
  ['while it moves', agent('a', 'me', { state: 'moving' }), island({}), /on its way/],
  ['while halted', agent('a', 'me', { state: 'halted' }), island({}), /halted/],
  ['after its end', agent('a', 'me', { state: 'retired' }), island({}), /retired/],
])('no move %s', (_what, status, to, why) =>
  expect(mayMove(status, to)).toMatchObject({ ok: false, why: expect.stringMatching(why) }),
)

test('a move of one’s own agent to a connected node with room', () => {
  expect(mayMove(agent('a', 'me', { state: 'paused' }), island({ room: 1 }))).toEqual({ ok: true })
})

test('where it would survive: only a server outlives the tab', () => {
  expect(survival(agent('a', 'me'), { kind: 'self', name: 'me' })).toMatchObject({
    safe: false,
    text: expect.stringMatching(/^Only in this browser/),
  })
  expect(survival(agent('a', 's'), { kind: 'server', name: 'owl' })).toMatchObject({
    safe: true,
    text: expect.stringMatching(/disk of owl/),
  })
  expect(survival(agent('a', 't'), { kind: 'tab', name: 'fox' }).safe).toBe(false)
})

test('a problem is over where the agent goes on elsewhere or in another state, and not where it stays after a move that failed', () => {
  const before = (part: Partial<AgentStatus>): boolean => isPutRight(agent('a', 'me', part), agent('a', 'me'))
  expect(before({ host: 'far' })).toBe(true)
  expect(before({ host: 'far', state: 'moving' })).toBe(true)
  expect(before({ state: 'paused' })).toBe(true)
  expect(before({})).toBe(false)
  // The word of it may come after the reason does.
  expect(before({ state: 'moving' })).toBe(false)
  expect(isPutRight(undefined, agent('a', 'me'))).toBe(false)
  expect(isPutRight(agent('a', 'me'), agent('a', 'me', { state: 'faulted' }))).toBe(false)
})
