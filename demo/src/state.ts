/**
 * What the page knows. One mutable value; `changed()` asks for one render per frame.
 *
 * @module
 */
import { createLogOrder, type LogOrder } from '@igor/core'
import type { AgentStatus, IgorNode, Move, MovePhase, Peer, StoreUsage, View } from './api.ts'
import type { GalleryItem } from './gallery.ts'
import type { Site } from './site.ts'

export interface LogLine {
  readonly tick: number
  readonly time: number
  readonly text: string
}

/** What watching an agent brought. */
export interface Live {
  readonly log: LogLine[]
  /** Whoever begins to watch is told the last lines, known or not. */
  readonly order: LogOrder
  /** Grows by one with each line ever seen, so that a view knows what is new. */
  logged: number
  view?: { readonly tick: number; readonly view: View }
  progress?: { readonly phase: MovePhase; readonly done: number; readonly total: number }
  /** The last status that came by watching. */
  status?: AgentStatus
  /** Why it cannot be watched at the moment. */
  lost?: string
}

/** A move that this page asked for. */
export interface MoveRun {
  readonly agent: string
  readonly from: string
  readonly to: string
  /** `performance.now()`. */
  readonly began: number
  readonly stop: AbortController
}

/** Something that went wrong at a place on the page; stays until it is dismissed or put right. */
export interface Problem {
  readonly title: string
  readonly text: string
  readonly code?: string
  readonly again?: () => void
}

export interface Activity {
  readonly id: number
  /** Unix ms. */
  readonly time: number
  readonly level: 'info' | 'warn' | 'error'
  readonly text: string
  readonly agent?: string
}

export type Open = { readonly kind: 'agent'; readonly id: string } | { readonly kind: 'node' } | undefined

export interface State {
  agents: readonly AgentStatus[]
  peers: readonly Peer[]
  readonly live: Map<string, Live>
  readonly runs: Map<string, MoveRun>
  /** What is being done to an agent, by agent: `pausing`, `exporting`. */
  readonly busy: Map<string, string>
  /** By place: an agent's id, `gallery`, `drop`, `node`. */
  readonly problems: Map<string, Problem>
  /** The last move of each agent, and when this page saw it end (`performance.now()`). */
  readonly moves: Map<string, { readonly move: Move; readonly seen: number }>
  /** Tick at which a copy was last saved from this page, by agent. */
  readonly saved: Map<string, number>
  activity: readonly Activity[]
  open: Open
  gallery: readonly GalleryItem[] | 'loading' | Problem
  starting: ReadonlySet<string>
  site: Site | undefined
  /** Unix ms since when the server does not answer. */
  serverLost: number | undefined
  online: boolean
  /** A newer page waits for a reload. */
  newer: boolean
  usage: StoreUsage | undefined
  introGone: boolean
  /** An agent that has just been started: it is brought into view once it has a card. */
  reveal: string | undefined
}

export interface App {
  readonly node: IgorNode
  readonly state: State
  /** Renders once, at the next frame. */
  changed(): void
  /** Called at each render, in order of registration. */
  onrender(render: () => void): void
  /** Says it to a screen reader. */
  announce(text: string, urgent?: boolean): void
  note(level: Activity['level'], text: string, agent?: string): void
}

export const MAX_LOG_LINES = 500
export const MAX_ACTIVITY = 100

export const newState = (): State => ({
  agents: [],
  peers: [],
  live: new Map(),
  runs: new Map(),
  busy: new Map(),
  problems: new Map(),
  moves: new Map(),
  saved: new Map(),
  activity: [],
  open: undefined,
  gallery: 'loading',
  starting: new Set(),
  site: undefined,
  serverLost: undefined,
  online: true,
  newer: false,
  usage: undefined,
  introGone: false,
  reveal: undefined,
})

export const liveOf = (state: State, agent: string): Live => {
  let live = state.live.get(agent)
  if (!live) {
    live = { log: [], order: createLogOrder(), logged: 0 }
    state.live.set(agent, live)
  }
  return live
}

export const agentOf = (state: State, id: string): AgentStatus | undefined => state.agents.find((a) => a.agent === id)
