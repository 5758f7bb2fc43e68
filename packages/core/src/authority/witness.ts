/**
 * What a witness is asked, and what it answers, as whoever asks it sees it: near or far.
 *
 * @module
 */
import type { LineageRecord } from '@igor/lineage'
import type { CID } from 'multiformats/cid'
import { IgorError } from '../errors.ts'

/** Blocks asked for at once. */
export const MAX_WANT = 256

export interface Grant {
  readonly id: Uint8Array
  readonly ms: number
}

export interface CommitRequest {
  readonly agent: string
  /** Oldest first: those after the head, or all from genesis. */
  readonly records: readonly LineageRecord[]
  /** Sent along unasked. */
  readonly blocks: readonly Uint8Array[]
  /** Gets what is missing, at most `MAX_WANT` at a time. */
  fetch(want: readonly CID[]): Promise<readonly Uint8Array[]>
}

export type CommitAnswer =
  /** The last record, cosigned; the lease if it makes the peer that brought it the holder. */
  { readonly kind: 'cosigned'; readonly record: LineageRecord; readonly lease?: Grant } | { readonly kind: 'history' }

export interface Claim {
  readonly epoch: number
  readonly seq: number
  /** The last record that the holder knows to be cosigned. */
  readonly id: CID
}

export type RenewAnswer =
  | { readonly kind: 'lease'; readonly lease: Grant }
  /** This witness has not seen so much: show it. */
  | { readonly kind: 'history' }
  /** Later records are cosigned. */
  | { readonly kind: 'later'; readonly head: Claim }
  /** Somebody else has it, or will. */
  | { readonly kind: 'deposed'; readonly by: string }
  | { readonly kind: 'frozen'; readonly why: string }

export interface TakeoverWish {
  /** Peer id of who shall have it; default: who asks. */
  readonly to?: string
  /** The owner's word for who asks. */
  readonly proof?: Uint8Array
}

/** Blocks by their name; undefined: not here any more. */
export type BlockReader = (cid: CID) => Promise<Uint8Array | undefined>

export interface CommitWish {
  readonly agent: string
  readonly records: readonly LineageRecord[]
  /** At most `PUSH_BYTES` together. */
  readonly blocks: readonly Uint8Array[]
  readonly read: BlockReader
}

/** A witness as whoever asks it sees it, near or far. */
export interface WitnessLink {
  commit(wish: CommitWish, signal?: AbortSignal): Promise<CommitAnswer>
  renew(agent: string, claim: Claim, signal?: AbortSignal): Promise<RenewAnswer>
  release(bytes: Uint8Array): Promise<boolean>
  /** Whether it would take this agent from here. @throws IgorError QUOTA */
  welcome(agent: string, signal?: AbortSignal): Promise<void>
  records(agent: string, proof?: Uint8Array, signal?: AbortSignal): Promise<readonly LineageRecord[]>
  takeover(agent: string, wish?: TakeoverWish, signal?: AbortSignal): Promise<void>
  close(): Promise<void>
}

/** The way to each witness. */
export interface Links {
  /**
   * @param hints multiaddrs under which it was known
   * @throws IgorError WITNESS_UNREACHABLE
   */
  to(witness: string, hints: readonly string[], signal?: AbortSignal): Promise<WitnessLink>
  close(): Promise<void>
}

/** For good: no other answer will come to the same. */
export const refuse = (why: string): IgorError => new IgorError('NOT_AUTHORITATIVE', `the witness refuses it: ${why}`)
