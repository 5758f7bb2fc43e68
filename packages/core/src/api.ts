/**
 * What users of Igor hold in their hands: a node and its agents. Everything else is internal.
 *
 * @module
 */
import type { Version } from '@igor/sandbox'
import type { CID } from 'multiformats/cid'
import type { LinkKind, Store, StoreUsage } from './platform.ts'
import type { Replay, ReplayOptions } from './replay-report.ts'

/** One word for a person, derived from authority and health. */
export type AgentState = 'active' | 'moving' | 'halted' | 'faulted' | 'exhausted' | 'paused' | 'moved' | 'retired'

export interface AgentStatus {
  readonly agent: string
  readonly name: string
  readonly state: AgentState
  /** Why it is in that state, where it is not obvious; a sentence with what to do. */
  readonly reason?: string
  readonly tick: number
  readonly epoch: number
  readonly seq: number
  /** CID of the head record. */
  readonly head: string
  /** Microcents. */
  readonly budget: bigint
  /** Peer id of the node where it lives, as far as this node knows. */
  readonly host: string
  /** True if that is this node. */
  readonly here: boolean
  /** True if it lives here or ever did. */
  readonly resided: boolean
  /** True if this node holds the owner's key: it may order. */
  readonly owned: boolean
  readonly public: boolean
  /** Unix ms of its genesis, once known. */
  readonly born?: number
  /** Where the last move came from, when it got here. */
  readonly lastMove?: Move
  readonly capabilities: readonly string[]
  /** Unread messages in its inbox. */
  readonly inbox: number
  /** Bytes of linear memory. */
  readonly memory: number
  /** Peer id of its witness; null: it has none and never fails over by itself. */
  readonly witness?: string | null
  /** Ticks after this one are provisional: a failover may lose them. Never more than `tick`. */
  readonly committed?: number
  /** With a witness, where it lives: milliseconds that its lease still runs. 0: it stands still until the witness answers. */
  readonly leaseMs?: number
}

export interface Move {
  readonly agent: string
  readonly from: string
  readonly to: string
  /** The last tick at the source; the first at the target is one more. */
  readonly tick: number
  /**
   * How long it stood still: to the first tick's start at the target, from the last tick's end at the source
   * if the next one was due, else from when it stopped waiting for it. Each node's word.
   */
  readonly downtimeMs: number
}

export interface View {
  readonly kind: 'text' | 'rgba'
  readonly bytes: Uint8Array
  readonly width: number
  readonly height: number
}

/** What a watcher sees; all of it committed. */
export type AgentEvent =
  | { readonly type: 'status'; readonly status: AgentStatus }
  | { readonly type: 'log'; readonly tick: number; readonly time: number; readonly text: string }
  | { readonly type: 'view'; readonly tick: number; readonly view: View }
  | { readonly type: 'progress'; readonly phase: MovePhase; readonly done: number; readonly total: number }
  | { readonly type: 'moved'; readonly move: Move }

export type MovePhase = 'offer' | 'copy' | 'stop' | 'commit'

/** Every host an agent ever had, each verified. */
export interface Passport {
  readonly agent: string
  readonly name: string
  readonly hosts: readonly { readonly peer: string; readonly epoch: number; readonly tick: number; readonly since: number }[]
  readonly records: number
  readonly epoch: number
  readonly tick: number
  /** CID of the genesis. */
  readonly genesis: string
  readonly module: string
  /** Forced recovers: from there one life rests on the owner's word. */
  readonly asserted: readonly string[]
}

/** A handle on one agent; works wherever the agent lives. */
export interface Agent {
  readonly id: string
  /** The latest known. */
  readonly status: AgentStatus
  /** Status, log and view from now on, starting with the current status and view. Ends when aborted. */
  watch(signal: AbortSignal): AsyncIterable<AgentEvent>
  /** Puts a message of at most 64 KiB into the inbox; resolves when that is committed. */
  send(message: Uint8Array | string, options?: Waiting): Promise<void>
  /** @param peer peer id or multiaddr */
  moveTo(peer: string, options?: Waiting): Promise<Move>
  pause(options?: Waiting): Promise<void>
  resume(options?: Waiting): Promise<void>
  retire(options?: Waiting): Promise<void>
  /** Adds to its budget. @param amount microcents, at least 1 */
  fund(amount: bigint, options?: Waiting): Promise<void>
  /**
   * Goes on with another module, under the same manifest: what the old one's `agent_checkpoint` gives goes to the new
   * one's `agent_resume`. Rejects with BAD_MODULE, and the old one goes on, when that fails.
   */
  upgrade(module: Uint8Array, options?: Waiting): Promise<void>
  /**
   * Gives it another witness; null: none, and it never fails over by itself. The old one has to be there and agree: where
   * it is gone for good, `Node.recover` with `force` and `witness` is the owner's word for that.
   *
   * @param peer peer id, name or multiaddr of a node that serves as one
   * @throws IgorError WITNESS_UNREACHABLE | QUOTA; nothing is changed then
   */
  changeWitness(peer: string | null, options?: Waiting): Promise<void>
  /** One CARv1 file. With `to`, the agent leaves for that node; without, a copy for inspection and recovery. */
  export(options?: ExportOptions): Promise<Uint8Array>
  /** Checks the whole lineage, from genesis to head. */
  passport(options?: Waiting): Promise<Passport>
  /**
   * The same, and with `replay` what its journals cover is run again, in a worker of its own, and held against what its
   * hosts signed. An agent that lives elsewhere shows its blocks to its owner alone.
   */
  verify(options?: VerifyOptions): Promise<Verification>
}

export interface VerifyOptions extends ReplayOptions {
  /** Default: only signatures and rules are checked. */
  readonly replay?: boolean
}

export interface Verification extends Passport {
  /** With `replay`. */
  readonly replay?: Replay
}

export interface Waiting {
  readonly signal?: AbortSignal
}

export interface ExportOptions extends Waiting {
  /** Peer id or multiaddr of a node that answers, or the bytes of its `ready` (from `Node.ready`). */
  readonly to?: string | Uint8Array
}

export interface SpawnOptions extends Waiting {
  readonly module: Uint8Array
  /** JSON text or value; default: no capabilities. */
  readonly manifest?: string | Uint8Array | object
  /** At most 1 MiB. */
  readonly init?: Uint8Array
  /** Microcents. */
  readonly budget?: bigint
  /** 1 to 64 characters; default: two words made from the DID. */
  readonly name?: string
  /** Peer id or multiaddr of its witness; null: none. Default: the manifest's. */
  readonly witness?: string | null
}

export interface ImportOptions extends Waiting {
  /** Owner seed (32 bytes) to sign a recovery with, when this node does not hold it. */
  readonly key?: Uint8Array
  /** Assert that the last holder is gone: from there one life rests on the owner. */
  readonly force?: boolean
  /**
   * Assert that its witness is gone, and name the one from here on (peer id or multiaddr); null: none. From there one
   * life rests on the owner. Default: its witness decides.
   */
  readonly witness?: string | null
}

export interface RecoverOptions extends Waiting {
  /** Where it goes on: peer id, name or multiaddr. Default: here. */
  readonly to?: string
  /** Assert that the last holder is gone: from there one life rests on the owner. Where there is a witness it is not needed. */
  readonly force?: boolean
  /**
   * Where its witness is to be found, for an agent that nobody in sight has heard of: peer id, name or multiaddr. With
   * `force` it asserts that its witness is gone, and this is the next one; null: none.
   */
  readonly witness?: string | null
}

export interface Peer {
  readonly id: string
  readonly name: string
  readonly kind: 'tab' | 'server'
  readonly link: LinkKind | 'none'
  readonly rtt?: number
  readonly price: bigint
  /** Agents it would take beyond those it has. */
  readonly room: number
  /** Number of agents it says it hosts. */
  readonly agents: number
  /** Unix ms of its last word. */
  readonly seen: number
  /** This node holds a proof that it signed two histories of an agent: no agent goes there, none comes from there. */
  readonly forked?: true
}

/** What became of the agents of a node that gives them all away. */
export interface HandedOver {
  readonly moves: readonly Move[]
  readonly stayed: readonly { readonly agent: string; readonly why: string }[]
}

/** That somebody signed two histories of an agent. Whoever has it can check it, with nothing else at hand. */
export interface Proof {
  /** Peer id of a host or witness, or the agent's DID: its owner. */
  readonly signer: string
  readonly agent: string
  /** For `readForkProof` of the lineage, or `igor verify`. */
  readonly bytes: Uint8Array
}

/** Something an operator should read. */
export interface NodeEvent {
  readonly level: 'info' | 'warn' | 'error'
  readonly code: string
  readonly message: string
  readonly agent?: string
  readonly peer?: string
}

export interface Node {
  readonly id: string
  readonly name: string
  readonly multiaddrs: readonly string[]
  /** Peer id of the witness that this node serves; undefined: none. */
  readonly witness: string | undefined
  spawn(options: SpawnOptions): Promise<Agent>
  import(file: Uint8Array, options?: ImportOptions): Promise<Agent>
  /**
   * @param nameOrId DID, unique DID prefix (with or without `did:key:`), or unique name
   * @throws IgorError UNKNOWN_AGENT | AMBIGUOUS_NAME
   */
  agent(nameOrId: string): Agent
  /**
   * Its owner's word that an agent goes on, where it is halted or its host is gone: from what its witness has, once the
   * lease is over; without a witness from what this node has, and `force` says that nobody else goes on with it.
   *
   * @throws IgorError NOT_OWNER | LEASE_HELD (with how long it lasts) | NOT_AUTHORITATIVE | HANDOFF_REJECTED
   */
  recover(nameOrId: string, options?: RecoverOptions): Promise<Agent>
  /**
   * Moves every agent that lives here to that peer, as their host and without an order of their owners, as far
   * as their manifests allow it. One that cannot go stays, and goes on here.
   *
   * @param peer peer id, name or multiaddr
   */
  handOver(peer: string, options?: Waiting): Promise<HandedOver>
  /** Here, once here, seen at peers, or owned. */
  agents(): readonly AgentStatus[]
  peers(): readonly Peer[]
  /** Found or heard of, and checked, by this node: 256 at most. */
  proofs(): Promise<readonly Proof[]>
  connect(multiaddr: string, options?: Waiting): Promise<string>
  /** A signed word, valid for a day, that this node takes one agent from a file made for it. */
  ready(): Promise<Uint8Array>
  /** Owner seeds, in hex, first the one that new agents use. */
  exportKeys(): Promise<readonly string[]>
  importKey(seed: Uint8Array): Promise<void>
  /**
   * Last words for the agents with a witness that live here, signed beforehand: a page that is being closed has them
   * carried to a node that serves the witness, which hands them to `release`.
   */
  releases(): readonly LastWords[]
  /**
   * Takes somebody's last words, for the witness that this node serves or knows: the agent's lease ends in 1.5 s
   * unless its holder is back. Stale ones change nothing.
   *
   * @throws IgorError BAD_MESSAGE
   */
  release(words: Uint8Array): Promise<boolean>
  /**
   * Says the last words of `releases` on the connections that are open, at once and without waiting: for a page that is
   * being closed. `stop` does it by itself.
   */
  farewell(): void
  usage(): Promise<StoreUsage>
  /** Called (at most every 100 ms) when agents, peers or addresses changed. Returns a function that ends it. */
  onchange(listener: () => void): () => void
  onevent(listener: (event: NodeEvent) => void): () => void
  /** Stops ticking, finishes commits, closes everything. */
  stop(): Promise<void>
}

export interface LastWords {
  readonly agent: string
  /** Peer id of the witness. */
  readonly witness: string
  /** At most 512. */
  readonly bytes: Uint8Array
}

/** What a node lets in and asks for. */
export interface NodePolicy {
  /** Agents hosted at a time. Default 100. */
  readonly maxAgents?: number
  /** Microcents per nominal second. Default 0. */
  readonly price?: bigint
  /**
   * States kept of each agent, the present one included, with the journals between them; of those behind the present one
   * no more than take 64 MiB, one at least. Default 16. `all`: without bound.
   */
  readonly keep?: number | 'all'
  /** Peers whose agents are taken in; default: everyone's. */
  readonly allow?: readonly string[]
  /** Capabilities that agents may have here; default: all that are implemented. */
  readonly capabilities?: readonly string[]
  /**
   * Whether an agent's ticks are run again when it is taken in: what led to its last states, from the newest on that this
   * node computed itself (`on-handoff`), or all that its host keeps (`full`). One whose history does not come out again
   * is not taken; when that is found only after it came, it is halted. Default `on-handoff`.
   */
  readonly replay?: 'off' | 'on-handoff' | 'full'
}

export interface NodeOptions {
  readonly kind: 'tab' | 'server'
  /** Shown to people; default: made from the peer id. */
  readonly name?: string
  /** Which of the store's nodes this is (tabs share a store); default `main`. */
  readonly slot?: string
  readonly policy?: NodePolicy
  /**
   * By which instrumentation and cost table agents run here, one of the sandbox's `VERSIONS`. Default: the current one. An
   * older one lets nodes that were not updated yet take in what runs here.
   */
  readonly version?: Version
  /** Serves as a witness for agents that name it. Default: no. */
  readonly witness?: WitnessOptions | boolean
}

export interface WitnessOptions {
  /** Milliseconds of the leases that it grants, 1000 to 60,000. Default 15,000. */
  readonly leaseMs?: number
  /** Agents that it keeps at most. Default 1000. */
  readonly maxAgents?: number
  /** Peers whose agents it takes; default: everyone's. */
  readonly allow?: readonly string[]
  /**
   * Several nodes that serve one witness: the seed (32 bytes) of the witness's key, and a store that all of
   * them share. Default: this node's own key and store.
   */
  readonly shared?: { readonly seed: Uint8Array; readonly store: Store }
}

export type * from './replay-report.ts'
export type { CID }
