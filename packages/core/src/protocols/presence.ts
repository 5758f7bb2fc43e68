/**
 * Presence: what each node says of itself and its agents, by gossip (docs/design.md, section 10).
 * It is a word, not a proof: whoever acts on it asks the node itself.
 *
 * @module
 */
import { encode } from '@ipld/dag-cbor'
import type { AgentState } from '../api.ts'
import { fieldsOf, violation } from './wire.ts'

export const PRESENCE_TOPIC = '/igor/presence/1'

/** Gossip carries at most 64 KiB; with 200 agents of 250 bytes a word stays below. */
export const MAX_SAID_AGENTS = 200
/** Gossip's limit, and room for its envelope. */
const MAX_SAID = 60 * 1024
/** In UTF-16 units: 64 characters may be twice as many. */
const MAX_NAME = 128
const MAX_ADDRESSES = 16
const MAX_ADDRESS = 512

export interface SaidAgent {
  readonly agent: string
  /** Empty unless the agent is public. */
  readonly name: string
  readonly state: AgentState
  readonly tick: number
  readonly epoch: number
  readonly seq: number
  /** CID of the head, as text. */
  readonly head: string
  readonly public: boolean
  /** With a witness: the last tick that it has cosigned, and milliseconds that its lease ran on when this was said. */
  readonly committed?: number
  readonly leaseMs?: number
}

export interface Said {
  readonly peer: string
  readonly name: string
  readonly kind: 'tab' | 'server'
  readonly price: bigint
  readonly room: number
  /** Peer id of the witness that it serves. */
  readonly witness?: string
  readonly addresses: readonly string[]
  readonly agents: readonly SaidAgent[]
  /** The node is going away. */
  readonly leaving: boolean
}

const STATES: readonly AgentState[] = ['active', 'moving', 'halted', 'faulted', 'exhausted', 'paused', 'moved', 'retired']

/** As much of it as gossip carries: agents that live before those that were given up. */
export const encodeSaid = (said: Omit<Said, 'peer'>): Uint8Array => {
  const [retired, living] = [true, false].map((gone) => said.agents.filter(({ state }) => (state === 'retired') === gone))
  let agents = [...(living ?? []), ...(retired ?? [])].slice(0, MAX_SAID_AGENTS)
  for (;;) {
    const message = encodeWith(said, agents)
    if (message.length <= MAX_SAID || agents.length === 0) return message
    agents = agents.slice(0, Math.floor(agents.length * 0.9))
  }
}

const encodeWith = (said: Omit<Said, 'peer'>, agents: readonly SaidAgent[]): Uint8Array =>
  encode({
    type: 'presence',
    name: said.name.slice(0, MAX_NAME),
    kind: said.kind,
    price: said.price,
    room: said.room,
    ...(said.witness === undefined ? {} : { witness: said.witness }),
    leaving: said.leaving,
    addresses: said.addresses.filter((address) => address.length <= MAX_ADDRESS).slice(0, MAX_ADDRESSES),
    agents: agents.map((one) => [
      one.agent,
      one.name,
      one.state,
      one.tick,
      one.epoch,
      one.seq,
      one.head,
      one.public,
      ...leaseOf(one),
    ]),
  })

const leaseOf = ({ committed, leaseMs }: SaidAgent): number[] =>
  committed === undefined || leaseMs === undefined ? [] : [committed, leaseMs]

const short = (value: unknown, max: number): value is string => typeof value === 'string' && value.length <= max
const count = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

const readAgent = (item: unknown, fail: (what: string) => never): SaidAgent => {
  if (!Array.isArray(item)) return fail('agents')
  const [agent, name, state, tick, epoch, seq, head, open, committed, leaseMs] = item
  const known = STATES.find((one) => one === state)
  if (
    !short(agent, 128) ||
    !short(name, MAX_NAME) ||
    known === undefined ||
    !count(tick) ||
    !count(epoch) ||
    !count(seq) ||
    !short(head, 128) ||
    typeof open !== 'boolean' ||
    (item.length > 8 && !(count(committed) && count(leaseMs)))
  ) {
    return fail('agents')
  }
  const lease = item.length > 8 ? { committed, leaseMs } : {}
  return { agent, name, state: known, tick, epoch, seq, head, public: open, ...lease }
}

/** @throws IgorError PROTOCOL_VIOLATION */
export const decodeSaid = (peer: string, message: Uint8Array): Said => {
  const fields = fieldsOf(peer, message)
  const kind = fields.text('kind', 8)
  if (kind !== 'tab' && kind !== 'server') throw violation(peer, 'it is neither tab nor server')
  return {
    peer,
    name: fields.text('name', MAX_NAME),
    kind,
    price: fields.big('price'),
    room: fields.count('room'),
    ...(fields.has('witness') ? { witness: fields.text('witness', 128) } : {}),
    leaving: fields.flag('leaving'),
    addresses: fields.list('addresses', MAX_ADDRESSES, (item, fail) => (short(item, MAX_ADDRESS) ? item : fail('addresses'))),
    agents: fields.list('agents', MAX_SAID_AGENTS, readAgent),
  }
}
