/**
 * The records of a lineage (docs/design.md, section 5), as values. Integers that are i64 on the
 * wire are `bigint`; the rest are safe integers.
 *
 * @module
 */
import type { CID } from 'multiformats/cid'

/** What every body has. Its identity, and `prev`, is the CID of the encoded body. */
export interface BodyBase {
  /** did:key of the agent (Ed25519). */
  readonly agent: string
  /** 0 for genesis, then prev's plus one. */
  readonly seq: number
  readonly prev: CID | null
  /** The last record that moved authority, or applied a fund, witness or upgrade order; null in genesis. */
  readonly anchor: CID | null
  readonly epoch: number
  /** Unix milliseconds, by the signer's clock. */
  readonly time: number
}

/** Signed by the agent's key. Starts epoch 1. */
export interface Genesis extends BodyBase {
  readonly kind: 'genesis'
  readonly version: 1
  /** 32 bytes; the agent's key is derived from the owner's seed and it. */
  readonly nonce: Uint8Array
  /** What people call it: 1 to 64 characters. Not unique. */
  readonly name: string
  readonly module: CID
  /** Raw block: the manifest's JSON, at most 64 KiB. */
  readonly manifest: CID
  /** Raw block of at most 1 MiB; null: empty. */
  readonly init: CID | null
  /** Microcents. */
  readonly budget: bigint
  /** Microcents per nominal second. */
  readonly price: bigint
  /** Peer id of the first authority. */
  readonly authority: string
  /** 16 bytes: the store of the first authority. */
  readonly incarnation: Uint8Array
  /** Peer id of the witness. */
  readonly witness: string | null
}

/** What a checkpoint and a handoff say of the agent's progress. */
export interface Progress {
  /** The journal's segment since the previous record that has one. */
  readonly journal: CID | null
  /** Absent in a record made only to commit. */
  readonly state: CID | null
  /** The last record with a state, where this one has none. */
  readonly from: CID | null
  readonly tick: number
  readonly module: CID
  readonly manifest: CID
  readonly instrument: number
  readonly costTable: number
  /** Cumulative fuel. */
  readonly fuel: bigint
  /** Cumulative cost, microcents. */
  readonly cost: bigint
  readonly price: bigint
  /** What is left, microcents. */
  readonly budget: bigint
  /** The orders applied since the previous record, signed (encoded `Signed`), in order of n. At most 16. */
  readonly orders: readonly Uint8Array[]
}

/** Signed by the authority's node key. */
export interface Checkpoint extends BodyBase, Progress {
  readonly kind: 'checkpoint'
}

/** Signed by the authority's node key: epoch + 1 is `ready.to`'s to take. */
export interface Handoff extends BodyBase, Progress {
  readonly kind: 'handoff'
  /** Encoded `Signed` of a `Ready`. */
  readonly ready: Uint8Array
}

/** Signed by `to` of the handoff or recover before it (or, after a refuse, by the handoff's signer). */
export interface Accept extends BodyBase {
  readonly kind: 'accept'
  readonly incarnation: Uint8Array
  readonly budget: bigint
  readonly price: bigint
}

/** Signed by `to` of the handoff before it: I do not and never will hold this epoch. */
export interface Refuse extends BodyBase {
  readonly kind: 'refuse'
  /** Stable code, at most 64 characters. */
  readonly code: string
  /** For people, at most 256 characters. */
  readonly reason: string
}

/** Signed by the agent's key (epoch + 2^32) or the witness (epoch + 1); acts through `to`'s accept. */
export interface Recover extends BodyBase {
  readonly kind: 'recover'
  readonly ready: Uint8Array
  readonly because: string
  readonly asserts: 'holder-gone' | 'witness-gone' | null
  /** Only with `witness-gone`: peer id of the witness from here on; null: none. */
  readonly witness?: string | null
}

/** Signed by the authority: given up for good; only a recover may follow. */
export interface Retire extends BodyBase {
  readonly kind: 'retire'
  readonly because: string
  /** The order that asked for it, if one did. */
  readonly orders: readonly Uint8Array[]
}

export type Body = Genesis | Checkpoint | Handoff | Accept | Refuse | Recover | Retire
export type BodyKind = Body['kind']

/** Encoded body and its signature; itself dag-cbor `{body, signature}`. */
export interface Signed {
  readonly body: Uint8Array
  readonly signature: Uint8Array
}

/** A witness's word that a record is the next in the agent's history. Signed by `by`, domain `igor/cosign/1`. */
export interface Cosignature {
  /** Peer id of the witness. */
  readonly by: string
  /** 16 bytes: the witness's store. */
  readonly incarnation: Uint8Array
  readonly signature: Uint8Array
}

/** A decoded record. Its signatures may not have been checked yet: chain verification does that. */
export interface LineageRecord<B extends Body = Body> {
  /** The CID of the body: its identity. */
  readonly id: CID
  readonly body: B
  readonly signed: Signed
  /** At most two: a change of witness has one of the old and one of the new. */
  readonly cosignatures: readonly Cosignature[]
  /** The encoded envelope, with the cosignatures: what is stored and sent. */
  readonly bytes: Uint8Array
}

/** A target's word that it will take an agent. Signed by `to`, domain `igor/ready/1`. */
export interface Ready {
  /** null: any agent (a ready made ahead, for a file). */
  readonly agent: string | null
  /** 16 random bytes. */
  readonly handoff: Uint8Array
  /** Peer id. */
  readonly to: string
  readonly incarnation: Uint8Array
  readonly price: bigint
  /** 32 random bytes. */
  readonly nonce: Uint8Array
  /** Unix milliseconds. */
  readonly expiry: number
}

/** An owner's wish. Signed by the agent's key, domain `igor/order/1`. n = max(last applied + 1, Unix ms). */
export type Order = { readonly agent: string; readonly n: number } & (
  | { readonly kind: 'move'; readonly to: string }
  /** Another witness; null: none. */
  | { readonly kind: 'witness'; readonly to: string | null }
  /** Adds to the budget: microcents, at least 1. */
  | { readonly kind: 'fund'; readonly amount: bigint }
  /** Another module, under the same manifest; where it fails to take over, the old one stays. */
  | { readonly kind: 'upgrade'; readonly module: CID }
  | { readonly kind: 'pause' | 'resume' | 'retire' }
)

/** State block: memory in 4 KiB chunks (zero chunks left out), globals, and the host's part. */
export interface StateBlock {
  readonly version: 1
  readonly memory: {
    /** Length of the linear memory; a multiple of 64 KiB. */
    readonly bytes: number
    /**
     * Runs of non-zero chunks: [index of the first, SHA-256 digests of the chunks, 32 bytes each].
     * Ascending, maximal runs, so that one memory has one encoding. A chunk is a raw block.
     */
    readonly runs: readonly (readonly [first: number, digests: Uint8Array])[]
  }
  /** Exact bits of each mutable global, in index order. */
  readonly globals: readonly Uint8Array[]
  /** dag-cbor block of the runtime. */
  readonly host: CID
}

export const CHUNK_BYTES = 4096
export const MAX_BLOCK_BYTES = 1024 * 1024

/** What a verified chain says, up to its head. Plain data. */
export interface Chain {
  readonly agent: string
  readonly genesis: LineageRecord<Genesis>
  readonly head: LineageRecord
  readonly anchor: LineageRecord
  /** Of the head. */
  readonly epoch: number
  /** The last tick that a record names; 0 before the first. */
  readonly tick: number
  readonly authority: Authority
  /** Peer id of the witness in force after the head. */
  readonly witness: string | null
  /** The last record that this witness cosigned, as far as the records that were shown tell. */
  readonly cosigned: LineageRecord | null
  /** A change of witness at its end that has not happened yet, for want of cosignatures; null in every history that counts. */
  readonly changing: WitnessChange | null
  /** Last record with progress, if any (checkpoint or handoff). */
  readonly progress: LineageRecord<Checkpoint | Handoff> | null
  /** Last record that has a state. */
  readonly state: LineageRecord<Checkpoint | Handoff> | null
  /** n of the last order applied; 0 before the first. */
  readonly lastOrder: number
  readonly budget: bigint
  /** What it runs: that of genesis, or of the last upgrade. */
  readonly module: CID
  /** Of this epoch. */
  readonly price: bigint
  /** Cumulative fuel and cost when this epoch's authority took over: its price counts from there. */
  readonly billed: { readonly fuel: bigint; readonly cost: bigint }
  /** Every host it ever had, oldest first; one entry an epoch held. */
  readonly hosts: readonly Host[]
  /** How many records were verified one by one (pruned ones do not count). */
  readonly records: number
  /** Forced recovers on the way: from there promise 1 rests on the owner. */
  readonly asserted: readonly { readonly record: CID; readonly asserts: 'holder-gone' | 'witness-gone' }[]
}

/** Until both have cosigned its record `from` is the witness; null: none. */
export interface WitnessChange {
  readonly record: LineageRecord
  readonly from: string | null
  readonly to: string | null
}

/** Who may extend the chain now, and how. */
export type Authority =
  | { readonly status: 'held'; readonly by: string; readonly incarnation: Uint8Array }
  /** A handoff stands open: only `to` may accept or refuse. */
  | {
      readonly status: 'offered'
      /** The handoff's signer, with its store; both become the holder again if `to` refuses. */
      readonly by: string
      readonly incarnation: Uint8Array
      readonly ready: Ready
      readonly recover: false
    }
  /** A recover stands open: only `to` may accept or refuse. `by` is the agent, or the witness's peer id. */
  | { readonly status: 'offered'; readonly by: string; readonly ready: Ready; readonly recover: true }
  /** `to` refused: epoch + 1 belongs to `by`. */
  | { readonly status: 'refused'; readonly by: string; readonly incarnation: Uint8Array }
  /** Nobody holds it: retired by `by`, or an owner's recover was refused by `by`. Only the owner's recover may follow. */
  | { readonly status: 'retired'; readonly by: string }
  /** Nobody holds it: `by` refused the witness's recover. Only a recover may follow, the witness's too. */
  | { readonly status: 'vacant'; readonly by: string }

export interface Host {
  readonly peer: string
  readonly epoch: number
  /** Tick at which it took over. */
  readonly tick: number
  /** Unix ms, by its own clock. */
  readonly since: number
}
