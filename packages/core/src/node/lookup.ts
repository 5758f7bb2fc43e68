/**
 * Which agent, and which peer, a person means.
 *
 * @module
 */
import type { AgentStatus, Peer } from '../api.ts'
import { IgorError } from '../errors.ts'

/** All of it: one that nobody in sight has heard of can be named so alone. */
export const isDid = (name: string): boolean => /^did:key:z\w{40,60}$/.test(name)

/** @throws IgorError UNKNOWN_AGENT | AMBIGUOUS_NAME */
export const findAgent = (all: readonly AgentStatus[], nameOrId: string): string => {
  const exact = all.find((one) => one.agent === nameOrId)
  if (exact !== undefined) return exact.agent
  const prefix = nameOrId.startsWith('did:key:') ? nameOrId : `did:key:${nameOrId}`
  const matches = all.filter((one) => one.name === nameOrId || (nameOrId.length >= 4 && one.agent.startsWith(prefix)))
  // A stranger may call its agent as it likes: one's own comes first.
  const own = matches.filter((one) => one.here || one.owned)
  const [only] = own.length === 1 ? own : matches
  if (only === undefined) throw new IgorError('UNKNOWN_AGENT', `no agent ${nameOrId} here or at the peers in sight`)
  if (matches.length > 1 && own.length !== 1) {
    throw new IgorError('AMBIGUOUS_NAME', `${nameOrId} means ${matches.map((one) => one.agent).join(', ')}: give more of the DID`)
  }
  return only.agent
}

/**
 * @param self this node
 * @returns peer id
 * @throws IgorError UNKNOWN_PEER | AMBIGUOUS_NAME
 */
export const findPeer = (self: { readonly id: string; readonly name: string }, list: readonly Peer[], peer: string): string => {
  if (peer === self.id || list.some((one) => one.id === peer)) return peer
  if (peer === self.name) return self.id
  const named = list.filter((one) => one.name === peer || (peer.length >= 6 && one.id.endsWith(peer)))
  const [only] = named
  if (named.length > 1) throw new IgorError('AMBIGUOUS_NAME', `${named.length} peers are called ${peer}: give a peer id`)
  if (only !== undefined) return only.id
  if (/^12D3Koo\w{40,60}$/.test(peer)) return peer
  throw new IgorError('UNKNOWN_PEER', `no peer ${peer} in sight: give a peer id, a name that "peers" shows, or a multiaddr`)
}
