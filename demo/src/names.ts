/**
 * Names of nodes, for people. A node that left keeps the name under which it was last seen.
 *
 * @module
 */
import type { IgorNode, Peer } from './api.ts'
import type { Site } from './site.ts'
import { shortId } from './words.ts'

interface Known {
  readonly name: string
  readonly kind: Peer['kind']
}

const KEY = 'igor.names'
const MAX_NAMES = 300

const known = new Map<string, Known>()

const load = (): void => {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(KEY) ?? '[]')
    if (!Array.isArray(value)) return
    for (const entry of value.slice(-MAX_NAMES)) {
      if (!Array.isArray(entry)) continue
      const [id, name, kind] = entry as unknown[]
      if (typeof id === 'string' && typeof name === 'string') {
        known.set(id, { name: name.slice(0, 64), kind: kind === 'server' ? 'server' : 'tab' })
      }
    }
  } catch {
    // Damaged: names are only a comfort.
  }
}

/** Notes the names of the nodes in sight. */
export const learnNames = (node: IgorNode, peers: readonly Peer[], site: Site | undefined): void => {
  if (known.size === 0) load()
  let news = false
  const learn = (id: string, name: string, kind: Peer['kind']): void => {
    const before = known.get(id)
    if (name === '' || (before?.name === name && before.kind === kind)) return
    known.delete(id)
    known.set(id, { name, kind })
    news = true
  }
  if (site) learn(site.peerId, site.name, 'server')
  learn(node.id, node.name, 'tab')
  for (const peer of peers) learn(peer.id, peer.name, peer.kind)
  if (!news) return
  for (const id of known.keys()) {
    if (known.size <= MAX_NAMES) break
    known.delete(id)
  }
  try {
    localStorage.setItem(KEY, JSON.stringify([...known].map(([id, { name, kind }]) => [id, name, kind])))
  } catch {
    // Full or forbidden: the next load starts without them.
  }
}

export const kindOf = (id: string): Peer['kind'] | undefined => known.get(id)?.kind

/** `this tab`, a name, or a short peer id. */
export const nameOfPeer = (node: IgorNode, id: string): string =>
  id === node.id ? 'this tab' : (known.get(id)?.name ?? shortId(id))

/** Where an agent is, in a sentence: `in this tab`, `on brave-owl`. */
export const placeOf = (node: IgorNode, id: string): string => (id === node.id ? 'in this tab' : `on ${nameOfPeer(node, id)}`)

/** Peer ids of Ed25519 keys, as libp2p writes them. */
const PEER_ID = /\b12D3KooW[1-9A-HJ-NP-Za-km-z]{44}\b/g

/** A sentence of the runtime, with the names of nodes in place of their ids where they are known. */
export const withNames = (node: IgorNode, text: string): string => text.replace(PEER_ID, (id) => nameOfPeer(node, id))
