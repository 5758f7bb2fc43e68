/**
 * How this page says things: states, connections, numbers, times.
 *
 * @module
 */
import type { AgentState, AgentStatus, LinkKind, MovePhase } from './api.ts'

export interface StateWords {
  readonly word: string
  /** What it means, for someone who never read a page about Igor. */
  readonly meaning: string
}

/** A holder whose witness is silent stands still in peace: nothing is in doubt, and nobody has to do anything. */
export type Shown = AgentState | 'waiting'

export const shownState = ({ state, leaseMs }: Pick<AgentStatus, 'state' | 'leaseMs'>): Shown =>
  state === 'halted' && leaseMs !== undefined ? 'waiting' : state

export const STATES: Readonly<Record<Shown, StateWords>> = {
  active: { word: 'active', meaning: 'It runs: it ticks where it lives.' },
  moving: { word: 'moving', meaning: 'It is between two nodes. Exactly one of them will go on with it.' },
  halted: { word: 'halted', meaning: 'It is in doubt who may run it, so nobody does. Only its owner can resolve that.' },
  waiting: {
    word: 'waiting',
    meaning: 'Its lease is over until its witness answers. It ticks nothing meanwhile, and goes on by itself.',
  },
  faulted: { word: 'faulted', meaning: 'Its program failed several times in a row, so it rests at its last good tick.' },
  exhausted: { word: 'exhausted', meaning: 'Its budget is used up. It rests at its last tick.' },
  paused: { word: 'paused', meaning: 'Its owner paused it. It keeps its place and its memory.' },
  moved: { word: 'moved', meaning: 'It lives on another node now, which does not answer at the moment.' },
  retired: { word: 'retired', meaning: 'It was ended for good. Its history can still be checked.' },
}

export const PHASES: readonly { readonly phase: MovePhase; readonly word: string; readonly doing: string }[] = [
  { phase: 'offer', word: 'offer', doing: 'asking the other node' },
  { phase: 'copy', word: 'copy', doing: 'copying its memory while it runs on' },
  { phase: 'stop', word: 'stop', doing: 'stopping between two ticks' },
  { phase: 'commit', word: 'commit', doing: 'handing it over' },
]

export interface LinkWords {
  readonly word: string
  readonly meaning: string
}

export const LINKS: Readonly<Record<LinkKind | 'none' | 'self', LinkWords>> = {
  self: { word: 'you are here', meaning: 'This tab is a node.' },
  webrtc: { word: 'direct, WebRTC', meaning: 'Straight from this tab to that node, with no server between.' },
  websocket: { word: 'WebSocket', meaning: 'Straight from this tab to that server.' },
  tcp: { word: 'TCP', meaning: 'Straight from this node to that server.' },
  relayed: { word: 'relayed', meaning: 'Through a relay, for small messages only. Agents move once a direct connection stands.' },
  none: { word: 'not connected', meaning: 'Known, but out of reach at the moment.' },
}

/** 3 to 1 bars by round trip in ms; 0 when it is not known. */
export const bars = (rtt: number | undefined): 0 | 1 | 2 | 3 => (rtt === undefined ? 0 : rtt <= 50 ? 3 : rtt <= 200 ? 2 : 1)

const numbers = new Intl.NumberFormat('en')
export const count = (n: number): string => numbers.format(n)

/** `1 agent`, `2 agents`, `no agents`. */
export const plural = (n: number, one: string, many = `${one}s`): string =>
  n === 0 ? `no ${many}` : `${count(n)} ${n === 1 ? one : many}`

/** A number and its unit belong on one line. */
const NBSP = '\u00a0'

/** A duration in ms, with as many digits as are worth reading. */
export const millis = (ms: number): string => {
  if (ms < 0.95) return `<1${NBSP}ms`
  if (ms < 9.95) return `${ms.toFixed(1)}${NBSP}ms`
  if (ms < 999.5) return `${Math.round(ms)}${NBSP}ms`
  return `${(ms / 1000).toFixed(ms < 9_950 ? 1 : 0)}${NBSP}s`
}

/** An age in ms: the largest unit and no more. */
export const age = (ms: number): string => {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min`
  const hours = Math.floor(minutes / 60)
  if (hours < 24) return `${hours} h ${minutes % 60} min`
  const days = Math.floor(hours / 24)
  return days < 7 ? `${days} d ${hours % 24} h` : `${count(days)} days`
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
export const bytes = (n: number): string => {
  let value = n
  let unit = 0
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : value.toFixed(1).replace(/\.0$/, '')} ${UNITS[unit]}`
}

const clockTime = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const fullTime = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' })
export const timeOfDay = (ms: number): string => clockTime.format(ms)
export const dateTime = (ms: number): string =>
  Number.isFinite(ms) && Math.abs(ms) < 8.64e15 ? fullTime.format(ms) : 'at an unknown time'

/** `did:key:z6Mk…3fGh`, `12D3…9xKq`: enough to compare, not to read. */
export const shortId = (id: string): string => {
  const bare = id.replace(/^did:key:/, '')
  return bare.length <= 12 ? bare : `${bare.slice(0, 4)}…${bare.slice(-5)}`
}

/** One card's worth of an agent's text; control characters other than line ends would disturb the layout. */
export const tidy = (text: string, limit: number): string => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  const clean = text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '')
  return clean.length > limit ? `${clean.slice(0, limit - 1)}…` : clean
}

/** A name that a file system takes. */
export const fileName = (name: string, end: string): string =>
  `${name.replace(/[^\p{L}\p{N}._-]+/gu, '-').slice(0, 60) || 'agent'}${end}`

/** What went wrong, in the words of whoever threw it. */
export const said = (error: unknown): string => {
  const text = error instanceof Error ? error.message : String(error)
  const clean = tidy(text, 600).trim()
  if (clean === '') return 'It failed without a word.'
  // A sentence may begin with a name, which stays as it is.
  const first = /^\p{Ll}+[\s,]/u.test(clean) ? (clean[0] ?? '').toUpperCase() : (clean[0] ?? '')
  return `${first}${clean.slice(1)}${/[.!?]$/.test(clean) ? '' : '.'}`
}

export const codeOf = (error: unknown): string | undefined => {
  const code: unknown = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : undefined
}
