/**
 * What is known of every agent, as people read it: from the ledger where it is here, else from what
 * its host says.
 *
 * @module
 */
import type { Chain } from '@igor/lineage'
import type { Ledger } from '../agent/ledger.ts'
import type { AgentState, AgentStatus } from '../api.ts'
import { agentNameOf } from '../names.ts'
import type { SaidAgent } from '../protocols/presence.ts'
import type { Owner } from './owner.ts'
import type { Peers } from './peers.ts'
import type { Residents } from './residents.ts'

/** A reason is a sentence or two; watchers take no more than 1024 characters. */
const MAX_WHY = 900

interface Sources {
  readonly peer: string
  readonly residents: Residents
  readonly peers: Peers
  readonly owner: Owner
}

const stateHere = (residents: Residents, ledger: Ledger): { state: AgentState; reason?: string } => {
  const { row, chain, agent, present: host } = ledger
  switch (row.state) {
    case 'recovery-required':
      return { state: 'halted', reason: `${row.why.slice(0, MAX_WHY)}. It stands still here; only its owner can recover it.` }
    case 'handoff-pending': {
      const { authority } = chain
      const to = authority.status === 'offered' ? authority.ready.to : 'its target'
      const reason = `It left for ${to}; this node keeps asking until the answer is known.`
      return residents.outgoing(agent) === undefined ? { state: 'moving', reason } : { state: 'moving' }
    }
    case 'retired':
      return chain.authority.status === 'retired' ? { state: 'retired', reason: 'Its owner gave it up.' } : { state: 'moved' }
    case 'active-owner': {
      const hosted = residents.hosted(agent)
      const stands = hosted?.commitment.why
      if (stands !== undefined) return { state: 'halted', reason: stands.slice(0, MAX_WHY) }
      const why = hosted?.aside ?? residents.lost().get(agent)
      if (why !== undefined) return { state: 'faulted', reason: why.slice(0, MAX_WHY) }
      if (host?.faulted != null) return { state: 'faulted', reason: `${host.faulted}. Resume it to try again.` }
      if (host?.paused === true) return { state: 'paused' }
      if (ledger.payable === 0n)
        return { state: 'exhausted', reason: 'Its budget is used up: it goes on where it was when its owner adds funds.' }
      return residents.progress(agent) === undefined ? { state: 'active' } : { state: 'moving' }
    }
  }
}

/** An agent whose ledger this store has. */
const ofLedger = ({ peer, residents, owner }: Sources, ledger: Ledger): AgentStatus => {
  const { chain, agent, present } = ledger
  const hosted = residents.hosted(agent)
  const here = ledger.row.state !== 'retired'
  const { authority } = chain
  const lastMove = residents.lastMove(agent)
  const { body } = chain.genesis
  return {
    agent,
    name: body.name,
    ...stateHere(residents, ledger),
    tick: ledger.tick,
    epoch: chain.epoch,
    seq: chain.head.body.seq,
    head: chain.head.id.toString(),
    budget: ledger.meter.budget,
    host: here ? peer : authority.by,
    here,
    resided: true,
    owned: owner.learn(body),
    public: residents.manifest(agent)?.public ?? false,
    born: body.time,
    ...(lastMove === undefined ? {} : { lastMove }),
    capabilities: hosted === undefined ? [] : [...hosted.manifest.capabilities.keys()],
    inbox: present?.inbox.length ?? 0,
    memory: hosted?.memory ?? 0,
    witness: chain.witness,
    committed: chain.witness === null ? ledger.tick : Math.min(ledger.tick, tickOf(chain)),
    ...(hosted?.commitment.witnessed === true ? { leaseMs: Math.round(hosted.commitment.left()) } : {}),
  }
}

/** The last tick that a cosigned record binds. */
const tickOf = ({ cosigned, hosts, head, tick }: Chain): number => {
  if (cosigned === null) return 0
  if (cosigned.id.equals(head.id)) return tick
  const { body } = cosigned
  return 'tick' in body ? body.tick : (hosts.findLast(({ epoch }) => epoch <= body.epoch)?.tick ?? 0)
}

/** An agent whose history the store lost: only its owner can go on, from a copy. */
const ofLost = ({ peer, owner }: Sources, agent: string, why: string): AgentStatus => ({
  agent,
  name: agentNameOf(agent),
  state: 'halted',
  reason: `${why.slice(0, MAX_WHY)}. It stands still here; only its owner can recover it, from a copy.`,
  tick: 0,
  epoch: 0,
  seq: 0,
  head: '',
  budget: 0n,
  host: peer,
  here: true,
  resided: true,
  owned: owner.owns(agent) ?? false,
  public: false,
  capabilities: [],
  inbox: 0,
  memory: 0,
})

/** An agent that lives elsewhere, by the word of its host. */
const ofSaid = (
  { residents, owner }: Sources,
  { peer, said, ageMs }: { readonly peer: string; readonly said: SaidAgent; readonly ageMs: number },
  known: AgentStatus | undefined,
): AgentStatus => {
  const { agent, name, state, tick, epoch, seq, head, committed, leaseMs } = said
  const lastMove = residents.lastMove(agent)
  const born = known?.born ?? owner.bornAt(agent)
  return {
    agent,
    name: name || known?.name || agentNameOf(agent),
    state,
    tick,
    epoch,
    seq,
    head,
    budget: known?.budget ?? 0n,
    host: peer,
    here: false,
    resided: known?.resided ?? false,
    owned: owner.owns(agent) ?? false,
    public: said.public,
    ...(born === undefined ? {} : { born }),
    ...(lastMove === undefined ? {} : { lastMove }),
    capabilities: known?.capabilities ?? [],
    inbox: 0,
    memory: known?.memory ?? 0,
    ...(committed === undefined || leaseMs === undefined
      ? {}
      : { committed: Math.min(tick, committed), leaseMs: Math.max(0, Math.round(leaseMs - ageMs)) }),
  }
}

/** Undefined: neither here nor at any peer in sight. */
export const statusOf = (sources: Sources, agent: string): AgentStatus | undefined => {
  const ledger = sources.residents.ledger(agent)
  const why = sources.residents.lost().get(agent)
  const known = ledger === undefined ? (why === undefined ? undefined : ofLost(sources, agent, why)) : ofLedger(sources, ledger)
  if (known?.here === true || known?.state === 'retired') return known
  const host = sources.peers.hostOf(agent)
  if (host === undefined) return known
  const { said } = host
  const older = known !== undefined && (said.epoch < known.epoch || (said.epoch === known.epoch && said.seq < known.seq))
  return older ? known : ofSaid(sources, host, known)
}

export const listStatuses = (sources: Sources): AgentStatus[] => {
  const { residents } = sources
  const agents = new Set([...residents.ledgers().map((ledger) => ledger.agent), ...residents.lost().keys()])
  for (const said of sources.peers.said()) for (const one of said.agents) if (one.state !== 'moved') agents.add(one.agent)
  // One that is not public is said by its host for its owner to find; it is nobody else's business.
  return [...agents].flatMap((agent) => {
    const status = statusOf(sources, agent)
    return status !== undefined && (status.public || status.owned || status.resided) ? [status] : []
  })
}

/** What a node says of its agents, those that live here before those that were given up; no more than `most` are looked at. */
export const listOwn = (sources: Sources, most: number): AgentStatus[] => {
  const { residents } = sources
  const [gone, living] = [true, false].map((left) => residents.ledgers().filter(({ row }) => (row.state === 'retired') === left))
  const agents = [
    ...(living ?? []).map(({ agent }) => agent),
    ...residents.lost().keys(),
    ...(gone ?? []).map(({ agent }) => agent),
  ]
  const found: AgentStatus[] = []
  for (const agent of new Set(agents)) {
    if (found.length >= most) break
    const status = statusOf(sources, agent)
    if (status?.resided === true && (status.here || status.state === 'retired')) found.push(status)
  }
  return found
}
