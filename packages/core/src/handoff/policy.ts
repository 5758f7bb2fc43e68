/**
 * Whether a node takes an agent in, and whether an agent may go there. Pure.
 *
 * @module
 */
import type { Chain } from '@igor/lineage'
import type { NodePolicy } from '../api.ts'
import { IgorError } from '../errors.ts'
import type { Manifest } from '../manifest.ts'
import { CAPABILITIES } from '../worker/capabilities.ts'

/** Agents of one node by default: each has a timer, a commit a second, and up to 64 MiB. */
export const DEFAULT_MAX_AGENTS = 100

export interface House {
  readonly peer: string
  readonly policy: NodePolicy
  /** Agents that live here or are on their way in. */
  readonly hosted: number
  /** Its store lost data, decisions on handoffs perhaps: it takes nobody in. */
  readonly damaged: boolean
}

export const roomOf = ({ policy, hosted, damaged }: House): number =>
  damaged ? 0 : Math.max(0, (policy.maxAgents ?? DEFAULT_MAX_AGENTS) - hosted)

const reject = (message: string): never => {
  throw new IgorError('HANDOFF_REJECTED', message)
}

/** @throws IgorError HANDOFF_REJECTED with a sentence for the owner */
export const checkHouse = (house: House, from: string): void => {
  const { policy } = house
  if (house.damaged) reject('the data folder of that node was damaged: it takes no agents in')
  if (policy.allow !== undefined && !policy.allow.includes(from)) reject('that node takes agents from peers on its list only')
  if (roomOf(house) === 0) reject(`that node has no room: it hosts ${house.hosted} agents already`)
}

/** @throws IgorError HANDOFF_REJECTED with a sentence for the owner */
export const checkGuest = (house: House, manifest: Manifest): void => {
  const offered = house.policy.capabilities ?? CAPABILITIES
  const lacking = [...manifest.capabilities.keys()].filter((name) => !offered.includes(name))
  if (lacking.length > 0) reject(`that node does not offer the capability ${lacking.join(', ')}`)
  checkMigration(house.peer, house.policy.price ?? 0n, manifest)
}

/** What the agent itself asks of a move; both sides hold to it. @throws IgorError HANDOFF_REJECTED */
export const checkMigration = (to: string, price: bigint, manifest: Manifest): void => {
  const { enabled, allow, maxPricePerSecond } = manifest.migration
  if (!enabled) reject('its manifest does not let it move (migration_policy.enabled is false)')
  if (allow !== null && !allow.includes(to)) reject(`its manifest does not allow ${to} as a host`)
  if (maxPricePerSecond !== null && price > maxPricePerSecond) {
    reject(`that node asks ${price} microcents a second, its manifest allows ${maxPricePerSecond}`)
  }
}

/** @throws IgorError HANDOFF_REJECTED unless this peer has authority over the agent */
export const checkSource = (chain: Chain, peer: string): void => {
  const { authority } = chain
  if (authority.status !== 'held' || authority.by !== peer) {
    reject(`by its history ${chain.agent} does not live at ${peer}`)
  }
}
