/**
 * From what the node knows to what the page shows: islands with the agents that live on them. Pure.
 *
 * @module
 */
import type { AgentStatus, LinkKind, Peer } from './api.ts'

export interface Island {
  readonly peer: string
  readonly name: string
  readonly kind: 'self' | 'server' | 'tab' | 'unknown'
  readonly link: LinkKind | 'self' | 'none'
  readonly rtt?: number
  /** Connected, but without a word for so many ms: it may have just closed. */
  readonly silent?: number
  /** Living here, in an order that does not change while they tick. */
  readonly agents: readonly AgentStatus[]
  /** How many it says it hosts; may be more than are shown. */
  readonly said: number
  /** How many more it takes, if known. */
  readonly room?: number
  /** It served this page. */
  readonly home: boolean
}

export interface Archipelago {
  readonly islands: readonly Island[]
  readonly retired: readonly AgentStatus[]
}

export interface Sight {
  readonly self: string
  readonly selfName: string
  readonly agents: readonly AgentStatus[]
  readonly peers: readonly Peer[]
  /** Peer id of the server of this page. */
  readonly home: string | undefined
  readonly nameOf: (peer: string) => string
  readonly kindOf: (peer: string) => Peer['kind'] | undefined
  /** Unix ms. */
  readonly now: number
}

/** Nodes say a word every 2 s. A closed tab stays connected for some 12 s until that is noticed. */
export const SILENT_MS = 9000

/** How long a connected peer has been silent, if that is worth a word. */
export const silenceOf = (peer: Peer, now: number): number | undefined => {
  const silent = now - peer.seen
  return peer.link !== 'none' && peer.seen > 0 && silent > SILENT_MS ? silent : undefined
}

const byAge = (a: AgentStatus, b: AgentStatus): number =>
  (a.born ?? Number.MAX_SAFE_INTEGER) - (b.born ?? Number.MAX_SAFE_INTEGER) || (a.agent < b.agent ? -1 : 1)

const rank = (island: Island): number => {
  if (island.kind === 'self') return 0
  if (island.home) return 1
  if (island.link === 'none') return 4
  return island.kind === 'server' ? 2 : 3
}

/** This tab first, then its server, other servers, other tabs, and those out of reach. */
export const archipelago = (sight: Sight): Archipelago => {
  const living = new Map<string, AgentStatus[]>()
  const retired: AgentStatus[] = []
  for (const agent of [...sight.agents].sort(byAge)) {
    if (agent.state === 'retired') {
      retired.push(agent)
      continue
    }
    const there = living.get(agent.host)
    if (there) there.push(agent)
    else living.set(agent.host, [agent])
  }
  const islands: Island[] = []
  const add = (island: Omit<Island, 'agents' | 'said'> & { readonly said?: number }): void => {
    const agents = living.get(island.peer) ?? []
    living.delete(island.peer)
    islands.push({ ...island, agents, said: Math.max(island.said ?? 0, agents.length) })
  }
  add({ peer: sight.self, name: sight.selfName, kind: 'self', link: 'self', home: false })
  for (const peer of sight.peers) {
    if (peer.id === sight.self) continue
    const home = peer.id === sight.home
    const silent = silenceOf(peer, sight.now)
    // Someone who left and has nothing that we know of is no longer on the map.
    if (peer.link === 'none' && !home && !living.has(peer.id)) continue
    add({
      peer: peer.id,
      name: peer.name,
      kind: peer.kind,
      link: peer.link,
      ...(peer.rtt === undefined || peer.link === 'none' ? {} : { rtt: peer.rtt }),
      ...(silent === undefined ? {} : { silent }),
      said: peer.link === 'none' ? 0 : peer.agents,
      room: peer.room,
      home,
    })
  }
  const { home } = sight
  if (home !== undefined && !islands.some((island) => island.peer === home)) {
    add({ peer: home, name: sight.nameOf(home), kind: 'server', link: 'none', home: true })
  }
  for (const peer of [...living.keys()]) {
    add({ peer, name: sight.nameOf(peer), kind: sight.kindOf(peer) ?? 'unknown', link: 'none', home: false })
  }
  islands.sort((a, b) => rank(a) - rank(b) || (a.peer < b.peer ? -1 : 1))
  return { islands, retired }
}

export type Verdict = { readonly ok: true } | { readonly ok: false; readonly why: string }

/** May whoever holds this page's keys order this agent at all? */
export const mayOrder = (agent: AgentStatus): Verdict => {
  if (!agent.owned) return { ok: false, why: 'Someone else’s: the key of its owner is not in this browser.' }
  if (agent.state === 'retired') return { ok: false, why: 'It is retired.' }
  return { ok: true }
}

/** May this agent go to that island now? The node has the last word; this saves a person the attempt. */
export const mayMove = (agent: AgentStatus, to: Island): Verdict => {
  const order = mayOrder(agent)
  if (!order.ok) return order
  if (agent.host === to.peer) return { ok: false, why: 'It lives here.' }
  if (agent.state === 'moving') return { ok: false, why: 'It is on its way already.' }
  if (agent.state === 'halted') return { ok: false, why: 'It is halted.' }
  if (to.link === 'none') return { ok: false, why: 'Not connected.' }
  if (to.room === 0) return { ok: false, why: 'Full: it takes no more agents.' }
  return { ok: true }
}

/** Where it would survive, in words: without a witness an agent lives where it lives. */
export const survival = (
  agent: AgentStatus,
  host: Pick<Island, 'kind' | 'name'>,
): { readonly safe: boolean; readonly text: string } => {
  if (agent.state === 'retired') return { safe: false, text: 'It has ended. Its history stays where it last lived.' }
  if (host.kind === 'server') {
    return {
      safe: true,
      text: `On the disk of ${host.name}. It goes on whether or not this tab is open, and after a crash of that server.`,
    }
  }
  if (agent.witness != null) {
    return {
      safe: true,
      text:
        host.kind === 'self'
          ? 'In this browser, and with its witness. Close this tab and it goes on elsewhere within seconds; while its witness cannot be reached it stands still.'
          : `Where ${host.name} is, and with its witness: when that tab is gone it goes on elsewhere within seconds.`,
    }
  }
  if (host.kind === 'self') {
    return {
      safe: false,
      text: 'Only in this browser. Close the tab and it sleeps here until you are back. If the browser’s data is cleared, it is gone: move it to a server, or save a copy.',
    }
  }
  return {
    safe: false,
    text: `Only where ${host.name} is${host.kind === 'tab' ? ', a browser tab: it sleeps there while that tab is closed' : ''}. Save a copy, or move it to a server.`,
  }
}

/** True if what went wrong with an agent is over: it went wrong where and as it was. Whoever stays after a move that failed says why. */
export const isPutRight = (was: AgentStatus | undefined, is: AgentStatus): boolean =>
  was !== undefined && is.state === 'active' && (was.host !== is.host || (was.state !== 'active' && was.state !== 'moving'))
